"""GPT, paper by paper: the helper package of the course."""
