"""Trackers, which record a search beside its study, such as in Weights & Biases; one module each."""
