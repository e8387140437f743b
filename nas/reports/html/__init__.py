"""HTML report of a study in one self-contained file."""

from __future__ import annotations

from nas.reports.document.context import ReportContext
from nas.reports.html.page import render

__all__ = ["ReportContext", "render"]
