"""Numbers as text."""

from __future__ import annotations


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
