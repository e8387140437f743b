"""Search of Inception architectures: samplers, training, workers, the study and the command line."""
