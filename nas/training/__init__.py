"""From an architecture to a learning curve."""
