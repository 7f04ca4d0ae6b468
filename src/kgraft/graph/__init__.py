"""What a knowledge graph is, in memory and on disk."""
