"""Log of a training: network, device, and a line for each epoch."""

from __future__ import annotations

import re
from pathlib import Path

from nas.evaluation.training_log import LoggedControl, training_name
from nas.jobs import Epoch, Job


class Noting:
    in_step = True

    def __init__(self) -> None:
        self.rows: list[Epoch] = []

    def epoch_done(self, row: Epoch) -> None:
        self.rows.append(row)

    def should_stop(self) -> bool:
        return len(self.rows) > 1


def job(repeat: int = 0) -> Job:
    return Job(5, 1, {}, 0, 0, 3, Path("x"), repeat=repeat)


def test_an_epoch_is_a_line_and_is_passed_on(capfd):
    noting = Noting()
    control = LoggedControl(noting, job(), "")
    assert control.in_step is True
    rows = [Epoch(1, 2.0, 1.9, 0.3, 0.3, 1.5), Epoch(2, 1.5, None, None, None, 1.25)]
    for row in rows:
        control.epoch_done(row)
    assert noting.rows == rows
    assert control.should_stop()
    first, second = capfd.readouterr().err.splitlines()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d epoch 1/3: train loss 2.0000, val loss 1.9000, "
        r"val accuracy 0.3000, 1.50 s",
        first,
    )
    assert second.endswith("epoch 2/3: train loss 1.5000, 1.25 s")


def test_the_trainings_of_a_pack_are_told_apart(capfd):
    LoggedControl(Noting(), job(2), training_name(job(2))).epoch_done(Epoch(1, 2.0, None, None, None, 1.5))
    assert "trial 5 repeat 2: epoch 1/3" in capfd.readouterr().err
