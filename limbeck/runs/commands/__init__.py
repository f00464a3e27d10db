"""What the command line offers beside running a recipe."""
