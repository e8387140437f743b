"""Real searches on CIFAR-10: `known_cost` with `freeze_thaw` against TPE with full trainings.

Searches of both strategies alternate, so that other load on the machine affects both alike. A finished search is not
run again, and an interrupted one is resumed. The score over time is the hypervolume of a search's front by its own
validation accuracy, as a share of that of the front of all searches together, with the reference point of simulated
searches (docs/rehearsals.md). Without a ground truth, a search that trains more networks is also flattered more. The
outputs are docs/live_search.md, a plot beside it, and benchmarks/results/live_search.json.

    python benchmarks/live_search.py --data FOLDER [--minutes 12] [--slots 2] [--seeds 3] [--folder outputs/live]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nas.objectives.pareto import Axis, hypervolume, losses
from nas.search.environment import environment
from nas.study.study import open_study
from nas.study.trial import Record
from nas.tabular.simulation.truth import axes_around

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "live_search.json"
PAGE = ROOT / "docs" / "live_search.md"
PICTURE = ROOT / "docs" / "live_search.png"
STRATEGIES = {
    "known cost, freeze thaw": ("sampler=known_cost", "fidelity=freeze_thaw"),
    "tpe, full": ("sampler=tpe", "fidelity=full"),
}
PARTS = (1 / 12, 1 / 6, 1 / 3, 1 / 2, 1.0)

Point = Mapping[str, float]
Curve = list[tuple[float, float]]


@dataclass(frozen=True)
class SearchResult:
    """Result of one search.

    Attributes:
        trials: number of trials.
        complete: number of complete trials.
        seconds: of training, summed over the slots.
        completed: seconds since the search began, ascending, with MACs and error of the trial completed then.
    """

    trials: int
    complete: int
    seconds: float
    completed: Sequence[tuple[float, Point]]

    def curve(self, axes: Sequence[Axis], best: float) -> Curve:
        """Return the hypervolume as a share of `best` after each complete trial."""
        points = losses(axes, [point for _, point in self.completed])
        return [(moment, hypervolume(points[: n + 1]) / best) for n, (moment, _) in enumerate(self.completed)]


@dataclass(frozen=True)
class Comparison:
    """Results of all searches.

    Attributes:
        found: results by strategy, one a seed.
        curves: shares over time of the same searches.
        axes: of the hypervolume.
        minutes: budget of each search.
        slots: of each search.
        about: the machine and its packages.
    """

    found: Mapping[str, Sequence[SearchResult]]
    curves: Mapping[str, Sequence[Curve]]
    axes: Sequence[Axis]
    minutes: float
    slots: int
    about: Mapping[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder with CIFAR-10 as Parquet")
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=ROOT / "outputs" / "live")
    arguments = parser.parse_args()
    found: dict[str, list[SearchResult]] = {name: [] for name in STRATEGIES}
    for seed in range(arguments.seeds):
        for name in STRATEGIES:
            found[name].append(_search(name, seed, arguments))
    points = [point for runs in found.values() for run in runs for _, point in run.completed]
    axes = axes_around(points)
    best = hypervolume(losses(axes, points))
    curves = {name: [run.curve(axes, best) for run in runs] for name, runs in found.items()}
    _write(Comparison(found, curves, axes, arguments.minutes, arguments.slots, environment()))
    print(f"wrote {RESULTS}, {PAGE} and {PICTURE}")


def _search(name: str, seed: int, arguments: argparse.Namespace) -> SearchResult:
    study = arguments.folder / f"{name.replace(', ', '_').replace(' ', '_')}_{seed}"
    words = ["experiment=cifar_quick", f"data.path={arguments.data}", f"budget.minutes={arguments.minutes:g}"]
    words += [f"workers.slots={arguments.slots}", "tracking=none", f"seed={seed}", f"study={study}", *STRATEGIES[name]]
    print(f"{name}, seed {seed}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "nas", "search", *words], check=True, stdout=subprocess.DEVNULL)
    records = open_study(study).records()
    complete = [record for record in records if record.values]
    moments = sorted((record.training.clock or 0.0, record.number) for record in complete)
    by_number = {record.number: _point(record) for record in complete}
    seconds = sum(record.seconds for record in records)
    return SearchResult(
        len(records), len(complete), seconds, [(moment, by_number[number]) for moment, number in moments]
    )


def _point(record: Record) -> Point:
    assert record.values is not None, "a complete trial has values"
    return {"macs": float(record.candidate.costs["macs"]), "error": 1.0 - record.values["val_accuracy"]}


def _at(curve: Curve, moment: float) -> float:
    return next((share for spent, share in reversed(curve) if spent <= moment), 0.0)


def _reached(curve: Curve, share: float) -> float | None:
    return next((spent for spent, value in curve if value >= share), None)


def _write(compared: Comparison) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    document = {"environment": compared.about, "minutes": compared.minutes, "slots": compared.slots, "searches": {}}
    for name, runs in compared.found.items():
        document["searches"][name] = [
            {"seed": seed, "trials": run.trials, "complete": run.complete, "training_seconds": round(run.seconds, 1)}
            | {"curve": [[round(moment, 1), round(share, 4)] for moment, share in compared.curves[name][seed]]}
            for seed, run in enumerate(runs)
        ]
    RESULTS.write_text(json.dumps(document) + "\n", encoding="utf-8")
    PAGE.write_text(_page(compared), encoding="utf-8")
    _draw(compared.curves, 60 * compared.minutes)


def _page(compared: Comparison) -> str:
    about, curves, end = compared.about, compared.curves, 60 * compared.minutes
    ours, theirs = STRATEGIES
    moments = [part * end for part in PARTS]
    rows = [["strategy", "seed", "trials", "in full", *(f"{moment / 60:g} min" for moment in moments)]]
    rows.append(["---", *["---:"] * (len(rows[0]) - 1)])
    for name, runs in compared.found.items():
        for seed, run in enumerate(runs):
            shares = [f"{_at(curves[name][seed], moment):.3f}" for moment in moments]
            rows.append([name, str(seed), str(run.trials), str(run.complete), *shares])
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    goals = [_at(curve, end) for curve in curves[theirs]]
    soon = [_reached(curve, goal) for curve, goal in zip(curves[ours], goals, strict=True)]
    times = ", ".join("never" if moment is None else f"{end / moment:.1f}" for moment in soon)
    median = statistics.median(0.0 if moment is None else end / moment for moment in soon)
    reference = ", ".join(
        f"{axis.worst:,.0f} MACs" if axis.log else f"error {axis.worst:.4f}" for axis in compared.axes
    )
    return f"""# Two strategies on real trainings

Written by `benchmarks/live_search.py`: searches of {compared.minutes:g} minutes on {compared.slots} slots, one after
the other in turn, on a tenth of CIFAR-10 at 16×16 pixels (`experiment=cifar_quick`). Shares of the hypervolume of the
front of all searches together, by validation accuracy (the error of the networks that a search returns is flattered by
that choice, the more so the more it has trained); reference point: {reference}.

{table}

How many times sooner `{ours}` has what `{theirs}` has at the end, by seed: {times}; median {median:.1f}.

![hypervolume over seconds](live_search.png)

{about["processor"]}, {about["cores"]} cores, Python {about["python"]}, torch {about["packages"]["torch"]}, optuna
{about["packages"]["optuna"]}.
"""


def _draw(curves: Mapping[str, Sequence[Curve]], end: float) -> None:
    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    plane = figure.subplots()
    for number, (name, runs) in enumerate(curves.items()):
        for seed, curve in enumerate(runs):
            moments, shares = zip(*[(0.0, 0.0), *curve, (end, _at(curve, end))], strict=True)
            label = name if seed == 0 else None
            plane.step(moments, shares, where="post", color=f"C{number}", alpha=0.8, label=label)
    plane.set_xlabel("seconds of the search")
    plane.set_ylabel("share of the hypervolume of all searches")
    plane.set_xlim(0, end)
    plane.grid(alpha=0.3)
    plane.legend(loc="lower right")
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=130)


if __name__ == "__main__":
    main()
