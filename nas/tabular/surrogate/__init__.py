"""Surrogate benchmark of a large space: models of a sample's trainings that predict those of any network."""
