"""Retraining of picked networks in full over several seeds, and their single measurement on the test part."""
