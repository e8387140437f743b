"""Export of trained networks: one module a format, each with its own check against the torch module."""
