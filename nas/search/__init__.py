"""The search: driver, state, proposer, and the objects that a configuration builds."""
