"""The commands ``kgraft benchmark`` and ``kgraft synth``."""
