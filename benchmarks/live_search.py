"""Real searches side by side: our default, TPE and random networks, scored by retrained networks on the test part.

The searches of one seed run at the same time with one slot each, so that other load on the machine affects all alike.
At an eighth, a quarter, half and the end of its time, a search would return its believed front, with any sampler. All
networks of these fronts are then trained again with other seeds and measured on the test part, which no search has
seen; a search is scored by the hypervolume of what it would have returned, in the box of the whole space
(docs/rehearsals.md). Finished searches
and trainings are kept, and the same command goes on. The outputs are docs/live_search*.md and plots beside them.

    python benchmarks/live_search.py [--data FOLDER] [--minutes 4] [--seeds 8] [--truths 2]
        [--folder outputs/live]

Without a folder with CIFAR-10 as Parquet, the images are the digits of `make search`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nas.cli.app.compose import compose
from nas.data import describe
from nas.evaluation.training_list import Rules
from nas.evaluation.trial_runner import TrialRunner
from nas.objectives.limits import Limits
from nas.objectives.pareto import hypervolume, losses
from nas.objectives.requirements import Requirements
from nas.search.build import space_for
from nas.search.environment import environment
from nas.search.executors import executor_for, resolved_data
from nas.study.study import open_study
from nas.tabular.simulation.intervals import estimate
from nas.tabular.simulation.truth import axes_of_space
from nas.tabular.tabulate.plan import training_tasks
from nas.tabular.tabulate.runner import TableRunner
from nas.tabular.tabulate.shards import Shards
from nas.tabular.tabulate.table_maker import TableMaker
from search_space.architecture import Architecture

ROOT = Path(__file__).resolve().parent.parent
STRATEGIES: Mapping[str, Sequence[str]] = {
    "default": (),
    "tpe": ("sampler=tpe", "fidelity=full"),
    "random": ("sampler=random", "fidelity=full"),
}
SMALL = ("data.resolution=16", "data.train_fraction=0.1")
"""Images of experiment=cifar_quick."""

FIRST_TRUTH = 1001
"""First of the seeds with which networks are trained again; no search has it."""

PARTS = (1 / 8, 1 / 4, 1 / 2, 1.0)

Steps = Sequence[tuple[float, Sequence[str]]]
"""Seconds since the search began, ascending, and the networks that it would return from then on."""

Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Setting:
    """Images and length of the searches.

    Attributes:
        words: overrides of `nas search` and `nas tabulate` that name the images.
        title: name of the images.
        page: file of the results.
        seconds: of a search.
        seeds: number of searches of a strategy.
        truths: number of seeds with which a network is trained again.
        folder: of studies and trainings.
    """

    words: Sequence[str]
    title: str
    page: Path
    seconds: float
    seeds: int
    truths: int
    folder: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, help="a folder with CIFAR-10 as Parquet")
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--truths", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=ROOT / "outputs" / "live")
    arguments = parser.parse_args()
    images = arguments.data is not None
    words = ["data=cifar10", f"data.path={arguments.data}", *SMALL] if images else []
    title, page = ("CIFAR-10 at 16×16", "live_search_cifar.md") if images else ("digits", "live_search.md")
    folder = arguments.folder / ("cifar" if images else "digits")
    setting = Setting(
        words, title, ROOT / "docs" / page, 60 * arguments.minutes, arguments.seeds, arguments.truths, folder
    )
    for seed in range(setting.seeds):
        _search(seed, setting)
    steps = {
        name: [_steps(setting.folder / f"{name}_{seed}", setting) for seed in range(setting.seeds)]
        for name in STRATEGIES
    }
    points, axes = _truth(setting)
    scores = {
        name: [
            [(moment, hypervolume(losses(axes, [points[n] for n in front]))) for moment, front in run] for run in runs
        ]
        for name, runs in steps.items()
    }
    setting.page.write_text(_page(setting, scores), encoding="utf-8")
    _draw(scores, setting)
    print(f"wrote {setting.page}")


def _search(seed: int, setting: Setting) -> None:
    """Run the searches of one seed that are not finished, all at the same time."""
    running = []
    for name, strategy in STRATEGIES.items():
        study = setting.folder / f"{name}_{seed}"
        if (study / "front.json").exists():
            continue
        words = [*setting.words, f"budget.minutes={setting.seconds / 60:g}", "budget.trials=null", "workers.slots=1"]
        words += ["tracking=none", f"seed={seed}", f"study={study}", *strategy]
        command = [sys.executable, "-m", "nas", "search", *words]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    if running:
        print(f"searches of seed {seed}", file=sys.stderr, flush=True)
    if any(process.wait() for process in running):
        raise SystemExit(f"a search of seed {seed} failed; its command prints the reason")


def _steps(study: Path, setting: Setting) -> Steps:
    """Return what a search would have returned at each moment: architectures' identities."""
    opened, found = open_study(study), []
    complete = [record for record in opened.records() if record.values]
    for moment in (part * setting.seconds for part in PARTS):
        known = [record for record in complete if (record.training.clock or 0.0) <= moment]
        found.append((moment, [member.candidate.id for member in opened.believer.front(known)]))
    return found


def _truth(setting: Setting) -> tuple[Mapping[str, Mapping[str, float]], Any]:
    """Return MACs and error of every network that a search would ever have returned, and the axes of their box."""
    config = compose("tabulate", [*setting.words, "space=quick", "workers.slots=auto"])
    images = describe(config.data)
    space, requirements = space_for(config.space, images), Requirements()
    found = {}
    for study in sorted(setting.folder.glob("*_*")):
        opened = open_study(study)
        returned = {name for _, front in _steps(study, setting) for name in front}
        found |= {
            record.candidate.id: requirements.examine(Architecture.from_json(dict(record.candidate.architecture)))
            for record in opened.records()
            if record.candidate.id in returned
        }
    recipe = {"data": images.fingerprint, "training": config.training.settings()}
    about = {"device": os.uname().machine, "environment": environment()}
    shards = Shards(setting.folder / "truth" / "shards", recipe, about)
    trial = TrialRunner(resolved_data(config.data, images, config.workers), config.training, 1)
    maker = TableMaker(
        shards,
        setting.folder / "truth" / "trainings",
        Rules(config.training.epochs, config.workers.retries, halves=False),
        partial(executor_for, TableRunner(trial, images.test, 1), config.workers),
        _no_signals,
    )
    pairs = [(examined, FIRST_TRUTH + truth) for truth in range(setting.truths) for examined in found.values()]
    maker.train(training_tasks(pairs, config.training.epochs, maker.folder))
    frame = shards.frame
    last = frame[frame["epoch"] == config.training.epochs].groupby("network_id")["test_accuracy"].mean()
    points = {
        name: {"macs": float(examined.costs["macs"]), "error": 1.0 - float(last[examined.network_id])}
        for name, examined in found.items()
    }
    return points, axes_of_space(space, Limits())


def _no_signals(_: Any) -> AbstractContextManager[None]:
    return nullcontext()


def _at(curve: Curve, moment: float) -> float:
    return next((share for spent, share in reversed(curve) if spent <= moment), 0.0)


def _area(curve: Curve, end: float) -> float:
    """Return the mean hypervolume from the start of a search to its end."""
    moments = [*(moment for moment, _ in curve if moment < end), end]
    values = [value for moment, value in curve if moment < end]
    return sum(value * (b - a) for value, a, b in zip(values, moments, moments[1:], strict=False)) / end


def _page(setting: Setting, scores: Mapping[str, Sequence[Curve]]) -> str:
    """Return the results as Markdown."""
    end, about = setting.seconds, environment()
    moments = [part * end for part in PARTS]
    heads = [*(f"{moment:g} s" for moment in moments), "area"]
    measured = {
        name: [[*(_at(curve, moment) for moment in moments), _area(curve, end)] for curve in curves]
        for name, curves in scores.items()
    }
    lines = [["", *heads], ["---", *["---:"] * len(heads)]]
    for name, rows in measured.items():
        lines.append([name, *(f"{statistics.median(column):.3f}" for column in zip(*rows, strict=True))])
    ours, *rivals = measured
    for rival in rivals:
        pairs = list(zip(measured[ours], measured[rival], strict=True))
        found = [estimate([a[place] - b[place] for a, b in pairs]) for place in range(len(heads))]
        lines.append([f"{ours} − {rival}", *(f"{e.median:+.3f} [{e.low:+.3f}, {e.high:+.3f}]" for e in found)])
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    every = "\n".join(
        f"| {name} | {seed} | {' | '.join(f'{value:.3f}' for value in row)} |"
        for name, rows in measured.items()
        for seed, row in enumerate(rows)
    )
    return f"""# Real searches side by side: {setting.title}

Written by `benchmarks/live_search.py`. {setting.seeds} seeds; the three searches of a seed ran at the same time for
{end / 60:g} minutes with one slot each. Hypervolume, in the box of the whole space, of the front that a search would
have returned, by the test accuracy of its networks when trained again with {setting.truths} other seed(s); `area` is
its mean over the time, constant between these moments and 0 before the first. Medians over seeds; differences are
paired by seed, with the bootstrap's interval of 95 %.

{table}

![hypervolume over seconds]({setting.page.stem}.png)

| strategy | seed | {" | ".join(heads)} |
| --- | ---: | {" | ".join(["---:"] * len(heads))} |
{every}

{about["processor"]}, {about["cores"]} cores, Python {about["python"]}, torch {about["packages"]["torch"]}, optuna
{about["packages"]["optuna"]}.
"""


def _draw(scores: Mapping[str, Sequence[Curve]], setting: Setting) -> None:
    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    plane = figure.subplots()
    end = setting.seconds
    grid = [end * step / 240 for step in range(241)]
    for number, (name, curves) in enumerate(scores.items()):
        for curve in curves:
            moments, values = zip(*[(0.0, 0.0), *curve, (end, _at(curve, end))], strict=True)
            plane.step(moments, values, where="post", color=f"C{number}", alpha=0.25, linewidth=1)
        medians = [statistics.median(_at(curve, moment) for curve in curves) for moment in grid]
        plane.plot(grid, medians, color=f"C{number}", linewidth=2, label=f"{name} (median of {len(curves)})")
    plane.set_xlabel("seconds of the search")
    plane.set_ylabel("hypervolume of the returned front, on the test part")
    plane.set_xlim(0, end)
    plane.grid(alpha=0.3)
    plane.legend(loc="lower right")
    figure.savefig(setting.page.with_suffix(".png"), dpi=130)


if __name__ == "__main__":
    main()
