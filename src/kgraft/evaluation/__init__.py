"""Ranking, protocols and the benchmark."""
