"""Ranking of held-out facts, and metrics of ranks."""
