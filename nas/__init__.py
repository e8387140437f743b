"""How architectures are searched: samplers, training, workers, the study and the command line."""
