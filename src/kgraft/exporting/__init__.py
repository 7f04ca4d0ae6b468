"""Export of a model's vectors to the formats of other tools."""
