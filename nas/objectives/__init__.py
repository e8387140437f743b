"""What a Pareto front is made of."""
