"""Comparison of training alone, joint training, teacher and student."""
