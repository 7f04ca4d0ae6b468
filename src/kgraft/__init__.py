"""Graft the knowledge of linked knowledge graphs onto your own."""
