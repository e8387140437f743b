"""Samplers: which network is trained next. Optuna's by the name of their class, and our own."""
