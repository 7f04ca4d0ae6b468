"""Embedding tables, encoders, and the model they make."""
