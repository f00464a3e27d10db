"""What can be seen of a recipe before anything is spent."""
