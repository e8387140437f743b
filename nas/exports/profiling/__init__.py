"""Profiling of networks on the device at hand: latency, memory, energy; and by a script on other devices."""
