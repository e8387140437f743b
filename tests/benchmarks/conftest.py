"""Modules of benchmarks and benchmarks/peers, importable by the names that their programs use."""

from __future__ import annotations

import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS / "peers"))
sys.path.append(str(BENCHMARKS))  # last: some of its programs have names that others may have
