"""Screen of a running search: the most important lines at every size, none too wide."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from engine import AXES, TWO, candidate, curve
from rich.cells import cell_len

from nas.reports.screen import best_first, screen, sparkline
from nas.study.progress import Progress, Running
from nas.study.training_state import TrainingState
from nas.study.trial import Record

AXES_TWO = tuple(AXES[name] for name in TWO)
SIZES = ((80, 23), (120, 39), (60, 14))


def record(number: int, accuracy: float, macs: float, summary: str | None = None) -> Record:
    known = candidate(number)
    known = replace(known, summary=summary or f"3:8 [5s:{number}] ↓max [1:32 3d:8→16 5d:4→16 avg:12] ↓max [3:64]")
    values = {"val_accuracy": accuracy, "macs": macs}
    return Record(number, "complete", known, curve(2), TrainingState(), values, None)


FRONT = [record(number, 0.5 + number / 40, 1e3 * (number + 1)) for number in range(20)]


def progress(slots: int = 4, **changes: Any) -> Progress:
    jobs = [Running(30 + slot, slot, 12, "3:8 [5s:16]", 12, slot, curve(slot)) for slot in range(slots)]
    counts = {"complete": 52, "pruned": 0, "failed": 1, "running": slots, "frozen": 2}
    plain: dict[str, Any] = {
        "counts": counts,
        "trials": 100,
        "front": FRONT,
        "axes": AXES_TWO,
        "hypervolume": 0.61803,
        "running": jobs,
        "training_seconds": 30.0,
        "clock_seconds": 75.9,
        "seconds_left": 125.0,
        "share_done": 0.52,
        "best": FRONT[-1],
        "knee": FRONT[7],
        "history": [0.1, 0.4, 0.5, 0.6, 0.618],
    }
    return Progress(**plain | changes)


def shown(found: Progress, width: int, height: int, *, plain: bool = False) -> list[str]:
    return [line.plain for line in screen(found, width, height, plain=plain)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_count_time_left_best_and_slots_are_seen_at_every_size(width: int, height: int) -> None:
    lines = shown(progress(), width, height)
    assert len(lines) <= height
    assert max(map(cell_len, lines)) <= width
    assert all(words in lines[0] for words in ("52%", "52/100 trials", "2:05 left"))
    assert [line[:15] for line in lines if line.startswith(("best", "knee"))] == [
        "best  trial 19:",
        "knee  trial 7: v"[:15],
    ]
    assert [line[:16] for line in lines if line.startswith("slot")] == [f"slot {n}  trial {30 + n}" for n in range(4)]
    assert any(line.startswith("hypervolume 0.618 ▁▅▇") for line in lines)
    start = next(place for place, line in enumerate(lines) if line.startswith("Pareto front"))
    numbers = [line.split()[0] for line in lines[start + 2 :] if line.strip() and line.split()[0].isdigit()]
    assert numbers == [str(19 - place) for place in range(len(numbers))]
    assert len(numbers) >= 2
    assert f"… and {20 - len(numbers)} more" in lines or len(numbers) == 20


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 2), (10, 3), (20, 5), (40, 8), (200, 60)])
def test_any_size_is_kept_to(width: int, height: int) -> None:
    for found in (progress(64), progress(0), progress(0, front=[], best=None, knee=None, stopping=True)):
        lines = shown(found, width, height)
        assert 1 <= len(lines) <= height
        assert max(map(cell_len, lines)) <= width


def test_more_slots_than_lines_are_counted() -> None:
    lines = shown(progress(64), 80, 23)
    slots = [line for line in lines if line.startswith("slot")]
    (more,) = (line for line in lines if line.endswith("more slots"))
    assert more == f"… and {64 - len(slots)} more slots"
    assert any(line.startswith("Pareto front") for line in lines)


def test_wide_characters_are_cut_by_cells() -> None:
    lines = shown(progress(front=[record(1, 0.9, 10.0, "网络" * 60)], best=record(1, 0.9, 10.0, "网络" * 60)), 60, 14)
    assert max(map(cell_len, lines)) <= 60


def test_a_job_shows_its_epoch_and_its_accuracy() -> None:
    lines = shown(progress(1, running=[Running(7, 2, 4, "3:8", 12, 0, curve(2))]), 100, 20)
    (job,) = [line for line in lines if line.startswith("slot")]
    assert f"epoch 2/4 of 12  accuracy {curve(2)[-1].val_accuracy:.4f}  3:8" in job
    lines = shown(progress(1, running=[Running(7, 0, 12, "3:8", 12, 0, ())]), 100, 20)
    assert any("epoch 0/12  starting …" in line for line in lines)


def test_the_words_have_a_legend_where_there_is_room() -> None:
    tall, low = shown(progress(), 120, 60), shown(progress(), 80, 23)
    assert any(line.startswith("Network: the stem") for line in tall)
    assert "Frozen: begun" in " ".join(tall)
    assert not any(line.startswith("Network: the stem") for line in low)
    assert "Frozen" not in " ".join(shown(progress(counts=progress().counts | {"frozen": 0}), 120, 60))


def test_nothing_is_silent_before_the_first_trial_and_at_the_end() -> None:
    nothing = {"front": [], "best": None, "knee": None, "history": (), "seconds_left": None, "share_done": 0.0}
    lines = shown(progress(0, **nothing), 80, 23)
    assert "starting: drawing the first network …" in lines
    assert "time left ?" in lines[0]
    assert any(line.startswith("stopping after the running epochs") for line in shown(progress(stopping=True), 80, 23))


def test_a_terminal_of_ascii_gets_ascii_bars() -> None:
    line = shown(progress(), 80, 23, plain=True)[0]
    assert line.startswith("#" * 12 + "-" * 12)


def test_sparks() -> None:
    assert sparkline([], 10) == ""
    assert sparkline([0.3, 0.3], 10) == "▁▁"
    assert sparkline(range(100), 8) == "▁▂▃▄▅▆▇█"


def test_the_best_is_first() -> None:
    assert [each.number for each in best_first(FRONT, AXES_TWO)] == list(range(19, -1, -1))
    costs_first = best_first(FRONT, AXES_TWO[::-1])
    assert [each.number for each in costs_first] == list(range(20))
