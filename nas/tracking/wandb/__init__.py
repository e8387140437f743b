"""Weights & Biases: the driver's side, the recorder and the uploads.

`tracker.py` runs in the driver. `recorder.py` runs in the recording process; it writes the study's run by
`study_run.py` and those of trials by `trial_runs.py`, and uploads them by `upload.py`.
"""

from __future__ import annotations

from nas.tracking.wandb.sync import is_sent, link, sync
from nas.tracking.wandb.tracker import make, recording

__all__ = ["is_sent", "link", "make", "recording", "sync"]
