"""Queries of several facts over an incomplete graph, answered with probabilities."""
