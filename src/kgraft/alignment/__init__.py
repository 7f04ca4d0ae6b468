"""Finding, checking and measuring what is the same across knowledge graphs."""
