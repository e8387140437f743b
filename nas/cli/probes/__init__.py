"""Probes of `nas doctor`, one file a subject."""
