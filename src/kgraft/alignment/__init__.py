"""Alignment of knowledge graphs: find links, audit them, and evaluate them."""
