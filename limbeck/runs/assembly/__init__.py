"""What a step works with, put together from its configuration: models, teachers, terms, rows, transforms."""
