"""Synthetic multi-source knowledge graphs, drawn from a hidden world with known rules."""
