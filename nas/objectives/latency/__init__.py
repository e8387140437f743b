"""Predicted latency of a network: its operators, a regression over them that one device fitted, and its file."""
