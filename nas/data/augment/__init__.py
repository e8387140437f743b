"""Augmentation of training images, by whole batches on their device; one file a kind, found by its name."""
