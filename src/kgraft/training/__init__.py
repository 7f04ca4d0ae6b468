"""Joint pre-training, local re-training, and distillation."""
