"""Builds the embedded collection ``world`` from three public packages, one module a source."""
