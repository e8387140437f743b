"""Searches over a table of learning curves: the same driver, samplers and policies, against a simulated clock."""
