"""Tables of learning curves: their format, their making, and simulated searches over them."""
