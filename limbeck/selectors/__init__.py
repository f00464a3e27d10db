"""Subsets of rows under a budget; this file is the list."""
