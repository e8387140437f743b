"""Executors: worker processes on this machine (`local`) and on the machines of a Ray cluster (`ray`)."""
