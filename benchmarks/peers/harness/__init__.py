"""Simulated searches of other optimizers over tables of learning curves."""
