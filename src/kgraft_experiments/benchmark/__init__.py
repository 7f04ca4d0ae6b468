"""Comparison of target-only training, joint training, teacher and student."""
