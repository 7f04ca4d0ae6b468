"""A trained model behind HTTP: answers for programs, and a page for people."""
