"""Training of a network with Lightning: recipes, checkpoints, learning curves, and several processes at once."""
