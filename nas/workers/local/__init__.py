"""Trainings in child processes of this machine."""
