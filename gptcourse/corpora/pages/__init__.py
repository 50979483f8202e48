"""Pages of the web: which to take, their text, their quality, their copies."""
