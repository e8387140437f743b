"""Processor seconds of an ask, by sampler and number of trials.

Run: python benchmarks/ask_seconds.py

Each number is the median of five asks of the view in the default space on 32×32 images, after synthetic complete
trials. Times are processor seconds, which other programs on the machine do not change. Peers in the same run are
Optuna's samplers.
"""

from __future__ import annotations

import math
import os
import platform
import random
import time
from statistics import median

import optuna

from nas.cli.app.compose import compose
from nas.objectives.axes import axes_of
from nas.objectives.requirements import Requirements
from nas.samplers.factory import Domain, sampler_factory
from nas.samplers.view import View
from nas.search.proposer import training_seed
from nas.study.parameters import ParameterNotes
from nas.study.training_state import TrainingState
from nas.study.trial import Candidate, Record
from search_space.graph import Shape
from search_space.space import Space, parse_space

SAMPLERS = ("known_cost", "tpe", "tpe_multivariate")
TRIALS = (20, 100, 1000)
REPEATS = 5


def records_of(space: Space, count: int) -> list[Record]:
    """Return complete trials of random networks, with accuracies that grow with the logarithm of the MACs."""
    generator, records = random.Random(0), []
    for number in range(count):
        architecture = space.draw(generator)
        known, notes = Requirements().examine(architecture), ParameterNotes(space.assignments(architecture))
        space.sample(notes)
        candidate = Candidate(
            number, notes.params, notes.distributions, architecture.to_json(), architecture.id, known.network_id,
            known.summary, known.costs, training_seed(0, known.network_id),
        )  # fmt: skip
        accuracy = min(0.95, 0.1 * math.log10(known.costs["macs"]) + generator.gauss(0, 0.02))
        values = {"val_accuracy": accuracy, "macs": known.costs["macs"]}
        records.append(Record(number, "complete", candidate, (), TrainingState(), values, None))
    return records


def ask_seconds(view: View, number: int) -> float:
    began = time.process_time()
    ask = view.ask(number)
    spent = time.process_time() - began
    view.forget(ask)
    return spent


def main() -> None:
    config = compose("search", [])
    space = parse_space(config.space, Shape(3, 32, 32), 10)
    axes = axes_of(config.objective, space)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, optuna {optuna.__version__}")
    print(f"{'sampler':18s}" + "".join(f"{f'{count} trials':>14s}" for count in TRIALS) + "   first ask")
    for name in SAMPLERS:
        spec = compose("search", [f"sampler={name}"]).sampler
        cells, first = [], 0.0
        for count in TRIALS:
            view = View(space, axes, sampler_factory(spec, Domain(space, axes)), seed=0, worst=False)
            view.restore(records_of(space, count), [])
            first = max(first, ask_seconds(view, count))
            cells.append(median(ask_seconds(view, count + 1 + repeat) for repeat in range(REPEATS)))
        print(f"{name:18s}" + "".join(f"{1e3 * cell:11.0f} ms" for cell in cells) + f"{1e3 * first:9.0f} ms")


if __name__ == "__main__":
    main()
