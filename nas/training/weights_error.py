"""Error of a file of weights, known without torch."""


class StartingWeightsError(ValueError):
    """File of weights that no training can start from."""
