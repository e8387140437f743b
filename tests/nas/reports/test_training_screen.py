"""Screen of a list of trainings, and the text and tables on retrained networks."""

from __future__ import annotations

import io
from typing import Any

import pyte
from engine import curve
from rich.console import Console

from nas.jobs import Epoch
from nas.reports.retrained import final_front_text, worst_classes
from nas.reports.tables import front_table, retrain_table
from nas.reports.training_screen import LiveTrainings, list_observer_for, training_screen
from nas.study.list_progress import ListProgress, RunningTraining


def progress(**changes: Any) -> ListProgress:
    running = [
        RunningTraining("trial 17 seed 0", 2, 12, 0, curve(2)),
        RunningTraining("baseline resnet20 seed 1", 0, 12, 1),
    ]
    plain: dict[str, Any] = {
        "done": 3,
        "failed": 0,
        "total": 9,
        "share_done": 0.25,
        "running": running,
        "clock_seconds": 61.0,
        "seconds_left": 605.0,
    }
    return ListProgress(**plain | changes)


def lines(found: ListProgress, width: int = 100, height: int = 20, *, plain: bool = False) -> list[str]:
    return [line.plain for line in training_screen(found, width, height, plain=plain)]


def test_a_line_says_how_far_all_are_and_each_training_has_one() -> None:
    head, first, second = lines(progress())
    assert head.endswith("25% 3/9 trainings · 1:01 spent · 10:05 left")
    assert first.startswith("slot 0  trial 17 seed 0")
    assert f"epoch 2/12  accuracy {curve(2)[-1].val_accuracy:.4f}" in first
    assert "baseline resnet20 seed 1" in second
    assert "accuracy" not in second


def test_without_a_validation_the_training_loss_is_shown() -> None:
    whole = RunningTraining("trial 1 seed 0", 1, 4, 0, (Epoch(1, 0.75, None, None, None, 1.0),))
    assert lines(progress(running=[whole]))[1].endswith("epoch 1/4  training loss 0.7500")


def test_a_screen_of_any_size_is_kept() -> None:
    many = [RunningTraining(f"trial {number} seed 0", 1, 4, number) for number in range(50)]
    for width, height in ((10, 1), (40, 5), (200, 80)):
        found = lines(progress(running=many, stopping=True), width, height, plain=True)
        assert len(found) <= height
        assert all(len(line) <= width for line in found)
    assert lines(progress(running=many), height=5)[-1] == "… and 47 more trainings"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_redrawn_in_place_and_left_clean(monkeypatch: Any) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert list_observer_for(io.StringIO()) is None
    assert isinstance(list_observer_for(Terminal()), LiveTrainings)
    stream = Terminal()
    observer = LiveTrainings(Console(file=stream, force_terminal=True, width=80, height=24, markup=False))
    observer.on_progress(progress())
    observer.on_progress(progress(done=4, share_done=0.5))
    observer.on_end(progress(done=9, share_done=1.0, running=[]))
    emulated = pyte.Screen(80, 24)
    pyte.Stream(emulated).feed(stream.getvalue().replace("\n", "\r\n"))
    shown = [line.rstrip() for line in emulated.display if line.strip()]
    assert shown == ["9/9 trainings done, 1:01 spent"]


def network(**changes: Any) -> dict[str, Any]:
    scores = {"mean": 0.9, "sd": 0.01, "n": 3}
    classes = [{"name": str(n), "precision": 0.9, "recall": 0.95 - n / 100, "n": 40} for n in range(5)]
    plain = {
        "trial": 17,
        "summary": "3:8",
        "costs": {"params": 1000, "macs": 50_000},
        "values": {"val_accuracy": 0.93},
        "test_accuracy": scores,
        "val_accuracy": scores,
        "seeds": [{}],
        "classes": classes,
    }
    return plain | changes


def document() -> dict[str, Any]:
    rival = {
        "baseline": "resnet20",
        "width": 0.2,
        "macs": 49_000,
        "test_accuracy": 0.88,
        "interval": [0.86, 0.9],
        "trial": 17,
        "trial_macs": 50_000,
        "difference": 0.02,
        "difference_interval": [-0.01, 0.05],
    }
    baseline = network(summary="resnet20 of 0.2 times the width", values={}, baseline="resnet20")
    del baseline["trial"]
    front = [{"trial": 17, "test_accuracy": 0.9, "interval": [0.88, 0.92], "probability": 1.0}]
    return {
        "study": "mine",
        "training": {"epochs": 5},
        "networks": [network()],
        "baselines": [baseline],
        "front": front,
        "against_baselines": [rival],
        "optimism": {"mean": 0.03, "error": None, "n": 1},
    }


def test_the_end_names_the_best_at_its_cost_and_the_command_that_exports_it() -> None:
    least = ", ".join(f"{n} {95 - n}.0 % (precision 90.0 %, n = 40)" for n in (4, 3, 2))
    below = "2.0 ± 3.0 points below trial 17 of 50k MACs, which the interval does not tell apart"
    text = final_front_text(document(), "nas export study=mine pick=")
    assert text.splitlines() == [
        "Most accurate at its cost, by mean test accuracy:",
        "  trial 17: 0.9000 (95 % interval 0.8800 to 0.9200), on the front with probability 1.00 among the retrained",
        f"    least recalled: {least}",
        "    nas export study=mine pick=17",
        f"Baseline resnet20 at 0.2 times its widths, 49k MACs: 0.8800 (95 % interval 0.8600 to 0.9000), {below}",
        "The search's validation accuracy was 3.0 points above the test accuracy",
    ]
    assert worst_classes([{"name": "cat", "precision": None, "recall": None, "n": 0}]) == ""


def written(renderable: Any) -> str:
    console = Console(file=io.StringIO(), width=160, markup=False)
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_tables_have_the_baselines_and_the_test_accuracies() -> None:
    table = written(retrain_table(document()))
    assert "baseline" in table
    assert "resnet20 of 0.2 times the width" in table
    costs = {"params": 1000, "macs": 50_000, "memory_mib": 0.1}
    item = {"trial": 17, "summary": "3:8", "values": {"val_accuracy": 0.93}, "costs": costs}
    front = {"study": "mine", "objectives": ["val_accuracy"], "front": [item]}
    assert "test accuracy" not in written(front_table(front))
    tested = {**front, "front": [{**item, "test_accuracy": {"mean": 0.9, "sd": 0.01, "n": 3}}, item]}
    text = written(front_table({**tested, "optimism": {"mean": 0.03, "error": 0.01, "n": 2}}))
    assert "0.9000 ± 0.0100 (n = 3)" in text
    assert "3.0 ± 1.0 points above the test accuracies, in the mean of 2 networks" in text
    below = written(front_table({**tested, "optimism": {"mean": -0.017, "error": None, "n": 1}}))
    assert "The search's validation accuracy was 1.7 points below the test accuracy" in below
