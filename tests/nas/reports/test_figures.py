"""Figure of the front, for different objectives and numbers of trials."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from engine import AXES, candidate, curve

from nas.reports.figures import draw_front
from nas.study.belief import Believer
from nas.study.training_state import TrainingState
from nas.study.trial import Record

OBJECTIVES = [("val_accuracy",), ("val_accuracy", "macs"), ("val_accuracy", "macs", "params"), ("macs", "params")]


def records(count: int) -> list[Record]:
    """Return complete trials whose accuracy grows with MACs, except for every third, and a failed one."""
    made = [Record(count, "failed", candidate(count), (), TrainingState(), None, None)]
    for number in range(count):
        accuracy = 0.3 if number % 3 == 2 else 0.5 + number / 50
        values = {"val_accuracy": accuracy, "macs": 1e4 * 1.5**number, "params": 200.0 - number}
        made.append(Record(number, "complete", candidate(number), curve(1), TrainingState(), values, None))
    return made


@pytest.mark.few(6)
@pytest.mark.parametrize("count", [0, 1, 12])
@pytest.mark.parametrize("objectives", OBJECTIVES, ids="-".join)
def test_a_picture_is_drawn(tmp_path: Path, objectives: tuple[str, ...], count: int) -> None:
    path = tmp_path / "front.png"
    draw_front(
        records(count), Believer.of_measured([AXES[name] for name in objectives]), r"what <b>was</b> $\searched{$", path
    )
    pixels = matplotlib.image.imread(path)
    assert pixels.shape == (650, 1040, 4)
    assert len(np.unique(pixels.reshape(-1, 4), axis=0)) > 10


def test_a_trial_more_changes_the_picture(tmp_path: Path) -> None:
    axes = [AXES["val_accuracy"], AXES["macs"]]
    for count in (11, 12):
        draw_front(records(count), Believer.of_measured(axes), "front", tmp_path / f"{count}.png")
    assert (tmp_path / "11.png").read_bytes() != (tmp_path / "12.png").read_bytes()
