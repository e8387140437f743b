"""How long a training takes, from what networks cost and from the trainings that were clocked."""

from __future__ import annotations

import numpy as np

from nas.samplers.known_cost.gp import Floats

GROWTH = 0.35
"""Exponent of seconds over MACs before anything is clocked: small networks are bound by the cost of calls."""

DOUBT = 0.3
NOISE = 0.2


def predicted_seconds(clocked: Floats, seconds: Floats, wanted: Floats, macs: int) -> Floats:
    """Seconds of trainings: a power law in the costs, by Bayesian regression of logarithms.

    Exponents are normal about `GROWTH` for the column `macs` and about 0 for the others, with deviation `DOUBT`; the
    constant is free, and 1 where nothing was clocked.

    Args:
        clocked: (n, k) logarithms to base 10 of the costs of trainings that were clocked.
        seconds: (n,) what they took, positive.
        wanted: (m, k) logarithms of costs.
        macs: the column that time is expected to grow with.
    """
    slopes = np.zeros(wanted.shape[1])
    slopes[macs] = GROWTH
    if len(seconds) == 0:
        centre = wanted.mean(axis=0) if len(wanted) else np.zeros(wanted.shape[1])
        return np.asarray(10.0 ** ((wanted - centre) @ slopes))
    logs, centre = np.log10(seconds), clocked.mean(axis=0)
    off = clocked - centre
    rest = logs - logs.mean() - off @ slopes
    precision = off.T @ off / NOISE**2 + np.eye(len(slopes)) / DOUBT**2
    slopes = slopes + np.linalg.solve(precision, off.T @ rest / NOISE**2)
    return np.asarray(10.0 ** (logs.mean() + (wanted - centre) @ slopes))
