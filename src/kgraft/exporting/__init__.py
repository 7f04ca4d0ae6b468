"""A model's vectors in the forms that other tools read."""
