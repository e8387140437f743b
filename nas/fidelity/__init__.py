"""Fidelity policies: how far a trial is trained before the next decision about it."""
