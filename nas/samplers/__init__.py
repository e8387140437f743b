"""Samplers: Optuna's through conf/sampler, and our own."""
