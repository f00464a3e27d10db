"""Runs that are killed, interrupted, starved of disk or damaged at every moment (`make torture`)."""
