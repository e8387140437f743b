"""Weights & Biases: the driver's tracker, the process that records, and the uploads.

`tracker.py` runs in the driver and sends rows to `process.py`, which writes W&B runs by `study_run.py`, the only
importer of wandb, and uploads them by `upload.py`.
"""

from __future__ import annotations

from nas.tracking.wandb.tracker import make

__all__ = ["make"]
