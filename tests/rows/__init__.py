"""Tests of limbeck.rows."""
