"""Figures of a study for a paper: front, hypervolume, learning curves and importances, as PNG, SVG and PDF files."""

from __future__ import annotations

from nas.reports.paper.drawing import draw_figures

__all__ = ["draw_figures"]
