"""What notebooks and tests alone use: checks, results, papers, figures, widgets."""
