"""Kinds of model, a file each: how one is recognised and loaded, and what it makes of rows."""
