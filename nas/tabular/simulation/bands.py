"""Medians over simulated searches, as bands of a plot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.reports.rehearsals import Band
from nas.tabular.simulation.intervals import estimate
from nas.tabular.simulation.scores import Score

POINTS = 80
RESAMPLES = 1_000


def band(name: str, scores: Sequence[Score], horizon: float) -> Band:
    """Return the median share of the true front's hypervolume with its interval, from one full training on.

    Args:
        name: of the strategy.
        scores: of its simulated searches, at least one.
        horizon: end of the band in full-training equivalents, above 1.
    """
    spent = [float(moment) for moment in np.geomspace(1.0, horizon, POINTS)]
    found = [estimate([score.at(moment) for score in scores], RESAMPLES) for moment in spent]
    return Band(name, spent, [e.median for e in found], [e.low for e in found], [e.high for e in found])
