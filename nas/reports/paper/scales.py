"""Axes of the figures: the numbers that they show, and ticks whose texts differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

from nas.reports.text import short_number

MANTISSAS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0))
"""Mantissas of ticks on a logarithmic axis, the sparsest first."""
FEWEST, MOST = 3, 6
"""Number of ticks on an axis."""
LARGE = 1000
MARGIN = 0.06
"""Share of an axis that is free at each end."""


@final
@dataclass(frozen=True)
class Scale:
    """Numbers of one axis.

    Attributes:
        title: title of the axis.
        log: whether it is logarithmic.
        percent: whether its numbers are shares, shown in percent.
        error: whether it shows 1 - value, the error of an accuracy.
        whole: whether its numbers are integers.
    """

    title: str
    log: bool = False
    percent: bool = False
    error: bool = False
    whole: bool = False

    def shown(self, value: float | None) -> float:
        """Return the number that the axis shows for a value; NaN for none, and for one that a logarithm lacks."""
        if value is None:
            return math.nan
        found = min(1.0 - value, 1.0) if self.error else float(value)
        return math.nan if self.log and found <= 0 else found

    def apply(self, plot: Axes, side: Literal["x", "y"], numbers: Iterable[float]) -> None:
        """Set range, ticks and title of an axis of a plot.

        Args:
            plot: the plot.
            side: the axis.
            numbers: the numbers that are to be seen on it.
        """
        axis = plot.xaxis if side == "x" else plot.yaxis
        known = [number for number in numbers if math.isfinite(number)]
        axis.set_label_text(self.title)
        if not known:
            axis.set_major_locator(NullLocator())
            return
        low, high = self._range(min(known), max(known))
        plot.set(**{f"{side}scale": "log" if self.log else "linear", f"{side}lim": (low, high)})
        ticks = log_ticks(low, high) if self.log else even_ticks(low, high, whole=self.whole)
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FixedFormatter(self.texts(ticks)))

    def _range(self, low: float, high: float) -> tuple[float, float]:
        if self.log:
            reach = max(MARGIN * math.log(high / low), 0.01)
            return low * math.exp(-reach), high * math.exp(reach)
        reach = max(MARGIN * (high - low), 1e-3 * abs(high), 1e-9)
        return low - reach, high + reach

    def texts(self, ticks: Sequence[float]) -> list[str]:
        """Return the texts of ticks, which differ: all with as few decimals as it takes, large ones with k, M or G."""
        numbers = [100 * tick for tick in ticks] if self.percent else list(ticks)
        if not self.percent and max(map(abs, numbers)) >= LARGE:
            found = [short_number(number) for number in numbers]
            return found if len(set(found)) == len(found) else [f"{number:.6g}" for number in numbers]
        if self.log and not self.percent:
            return [f"{number:.6g}" for number in numbers]
        gap = min((abs(b - a) for a, b in pairwise(numbers)), default=1.0)
        for decimals in range(12):
            found = [f"{number:.{decimals}f}" for number in numbers]
            if all(abs(float(text) - number) <= gap / 100 for text, number in zip(found, numbers, strict=True)):
                break
        return found


def log_ticks(low: float, high: float) -> list[float]:
    """Return ticks of a logarithmic axis, evenly spaced in the number where it is narrow.

    >>> [float(f"{tick:g}") for tick in log_ticks(900, 2e5)], [float(f"{tick:g}") for tick in log_ticks(0.0612, 0.0688)]
    ([1000.0, 10000.0, 100000.0], [0.062, 0.064, 0.066, 0.068])
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for mantissas in MANTISSAS:
        ticks = [mantissa * 10.0**decade for decade in decades for mantissa in mantissas]
        inside = [tick for tick in ticks if low <= tick <= high]
        if FEWEST <= len(inside) <= MOST:
            return inside
    if high / low > 10**MOST:
        step = math.ceil(len(decades) / MOST)
        return [10.0**decade for decade in decades[::step] if low <= 10.0**decade <= high]
    return even_ticks(low, high)


def even_ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Return round ticks of an axis with equal distances, integers if they are to be `whole`."""
    found = MaxNLocator(MOST - 1, steps=[1, 2, 2.5, 5, 10], integer=whole).tick_values(low, high)
    return [float(tick) for tick in np.round(found, 12) if low <= tick <= high]
