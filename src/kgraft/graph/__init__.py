"""Knowledge graphs in memory, and the index of their facts."""
