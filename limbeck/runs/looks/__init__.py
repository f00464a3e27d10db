"""What each kind of step looks at before anything is spent; one module a kind."""
