"""Simulated searches over a table of learning curves: the real driver, samplers and policies on a simulated clock."""
