"""Numbers as text, and the legend of one-line summaries of networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SUMMARY_LEGEND = (
    "Network: the stem (kernel:channels/stride), then a bracket for each block. 5:16 is a branch with kernel 5 and 16 "
    "channels; 5s stacked, 5a asymmetric, 5d depthwise-separable convolutions; 8→16 a 1×1 reduction to 8 channels "
    "first; /4 in 4 groups; ↓ a grid reduction; +v1 and +v3 auxiliary classifiers."
)
"""Legend of `search_space.lowering.summary`."""

FROZEN_LEGEND = "Frozen: begun, and waiting with its checkpoint for more epochs or for the end of the search."
"""Legend of the state of a trial that has begun and has no running job."""


TENTHS = 10
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def short_number(value: float) -> str:
    """Return a number in few characters: 3 digits with k, M or G from 1000 on, 4 decimals below 1, else 4 digits.

    >>> short_number(1234567), short_number(0.91234), short_number(42)
    ('1.23M', '0.9123', '42')
    """
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(float(f"{value:.3g}")) >= size:  # 999.6e3 rounds to 1000k, which is 1M
            return f"{value / size:.3g}{unit}"
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.4g}"


def clock_text(seconds: float | None) -> str:
    """Return minutes and seconds, `?` if unknown.

    >>> clock_text(75), clock_text(None)
    ('1:15', '?')
    """
    return "?" if seconds is None else f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def number_text(value: float) -> str:
    """Return a number with separators between thousands; a fraction has 4 decimals below 10, else 2.

    >>> number_text(1234567), number_text(0.91234), number_text(12.5)
    ('1,234,567', '0.9123', '12.50')
    """
    if isinstance(value, int):
        return f"{value:,}"
    if value == round(value) and abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:,.4f}" if abs(value) < 10 else f"{value:,.2f}"


def size_text(size: int) -> str:
    """Return a count in full, or its order of magnitude from 10^12 on.

    >>> size_text(1234567), size_text(13 * 10**20)
    ('1,234,567', 'about 1.3e+21')
    """
    return f"{size:,}" if size < 10**12 else f"about {size:.2g}" if size < 10**300 else f"about 10^{len(str(size)) - 1}"


def duration_text(seconds: float) -> str:
    """Return seconds in the two largest units, or to a tenth of one below ten.

    >>> duration_text(4.25), duration_text(42.31), duration_text(125), duration_text(3725), duration_text(200_000)
    ('4.2 s', '42 s', '2 min 5 s', '1 h 2 min', '2 d 7 h')
    """
    if seconds < TENTHS:
        return f"{seconds:.1f} s"
    rest, parts = round(seconds), list[str]()
    for unit, size in UNITS:
        count, rest = divmod(rest, size)
        if parts or count:
            parts.append(f"{count} {unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0 "))


def mean_text(values: Mapping[str, Any]) -> str:
    """Return a mean, its standard deviation over seeds and the number of seeds.

    Args:
        values: `mean`, `sd` (None for one seed) and `n`.

    >>> mean_text({"mean": 0.91234, "sd": 0.0042, "n": 3}), mean_text({"mean": 0.9, "sd": None, "n": 1})
    ('0.9123 ± 0.0042 (n = 3)', '0.9000 (n = 1)')
    """
    if not values["n"]:
        return "none yet"
    sd = "" if values["sd"] is None else f" ± {values['sd']:.4f}"
    return f"{values['mean']:.4f}{sd} (n = {values['n']})"
