"""Axes of a Pareto front: costs, the front with its hypervolume, and its expected improvement."""
