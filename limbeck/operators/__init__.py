"""Programs that make rows by asking a teacher; this file is the list."""
