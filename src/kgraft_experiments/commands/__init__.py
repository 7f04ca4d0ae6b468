"""The commands ``kgraft benchmark``, ``kgraft synth`` and ``kgraft evaluate-links``."""
