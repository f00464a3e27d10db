"""Rows of data: reading them, checking them, splitting them, and turning them into batches."""
