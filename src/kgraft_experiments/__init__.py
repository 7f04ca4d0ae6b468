"""Experiments with kgraft: synthetic collections and benchmarks."""
