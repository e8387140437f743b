"""Estimate of a search before it is paid for: time, number of trainings, memory and disk, as ranges."""
