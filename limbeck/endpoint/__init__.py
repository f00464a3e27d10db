"""Reaching teachers behind a wire: what is asked, kept, paid for and tried again."""
