"""Rows that operators make: draws of each row, results in the order of the rows, files of any length."""
