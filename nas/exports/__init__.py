"""Export formats, each with its own check."""
