"""The report: one self-contained HTML file about a study."""

from __future__ import annotations

from nas.reports.html.facts import Circumstances
from nas.reports.html.page import render

__all__ = ["Circumstances", "render"]
