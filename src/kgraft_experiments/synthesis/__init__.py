"""Multi-source knowledge graphs made from a hidden world, to experiment with."""
