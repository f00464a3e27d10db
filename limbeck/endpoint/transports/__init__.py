"""What carries calls to a teacher: through a client over the wire, or into the same process."""
