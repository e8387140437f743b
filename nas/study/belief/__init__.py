"""Belief about the true values of trained networks, and the surrogate behind it."""

from __future__ import annotations

from nas.study.belief.believer import Believed, Believer
from nas.study.belief.gaps import CONFIDENCE, Gap

__all__ = ["CONFIDENCE", "Believed", "Believer", "Gap"]
