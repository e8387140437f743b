"""Predicted training time of a network, from its costs and the trainings timed so far."""

from __future__ import annotations

import numpy as np

from nas.study.belief.gp import Floats

MACS_EXPONENT = 0.35
"""Prior mean of the exponent of seconds over MACs; below 1, since small networks are bound by the overhead of calls."""

EXPONENT_DEVIATION = 0.3
"""Prior standard deviation of every exponent."""

NOISE = 0.2
"""Standard deviation of the logarithm to base 10 of a timed training."""


def predict_seconds(timed: Floats, seconds: Floats, wanted: Floats, macs: int) -> Floats:
    """Return predicted training seconds (m,): a power law in the costs, by Bayesian linear regression of logarithms.

    The exponents have normal priors of mean `MACS_EXPONENT` for the column `macs` and 0 for the others, and of
    deviation `EXPONENT_DEVIATION`. The constant has a flat prior; without a timed training, the predictions have a
    geometric mean of 1.

    Args:
        timed: (n, k) logarithms to base 10 of the costs of the networks whose training was timed.
        seconds: (n,) their training times in seconds, positive.
        wanted: (m, k) logarithms to base 10 of the costs of the networks to predict.
        macs: column of the MACs.
    """
    slopes = np.zeros(wanted.shape[1])
    slopes[macs] = MACS_EXPONENT
    if len(seconds) == 0:
        centre = wanted.mean(axis=0) if len(wanted) else np.zeros(wanted.shape[1])
        return np.asarray(10.0 ** ((wanted - centre) @ slopes))
    logs, centre = np.log10(seconds), timed.mean(axis=0)
    centred = timed - centre
    residuals = logs - logs.mean() - centred @ slopes
    precision = centred.T @ centred / NOISE**2 + np.eye(len(slopes)) / EXPONENT_DEVIATION**2
    slopes = slopes + np.linalg.solve(precision, centred.T @ residuals / NOISE**2)
    return np.asarray(10.0 ** (logs.mean() + (wanted - centre) @ slopes))
