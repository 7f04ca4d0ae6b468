"""What is the same across knowledge graphs."""
