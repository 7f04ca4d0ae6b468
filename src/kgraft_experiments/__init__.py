"""Experiments with kgraft: benchmarks, synthetic collections, and the measure of found links."""
