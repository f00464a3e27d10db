"""A run in one page: what was done, what the student kept, what it cost."""
