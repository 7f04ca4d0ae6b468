"""Comparing what a target gains: alone, jointly, from a teacher, as a student."""
