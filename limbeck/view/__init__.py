"""A page to look at rows: a static folder that a browser opens from disk."""
