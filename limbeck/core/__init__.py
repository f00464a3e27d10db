"""Words that every part of limbeck shares; imports nothing else of limbeck."""
