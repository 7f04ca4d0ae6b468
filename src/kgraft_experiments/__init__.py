"""Experiments with kgraft: made collections and benchmarks."""
