"""Judgements of rows, which annotate and never delete; this file is the list."""
