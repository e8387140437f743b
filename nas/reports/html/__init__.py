"""HTML report of a study in one self-contained file."""

from __future__ import annotations

from nas.reports.html.facts import Circumstances
from nas.reports.html.page import render

__all__ = ["Circumstances", "render"]
