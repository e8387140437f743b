"""What a report leaves out of a large study, and what it computes step by step."""

from __future__ import annotations

import random

import numpy as np
from engine import AXES, TWO, candidate

from nas.objectives.pareto import hypervolume, losses
from nas.reports.document import assess
from nas.reports.document.importance import MOST_TRIALS, importance
from nas.reports.html.details import DRAWN, detailed
from nas.study.belief import Believer
from nas.study.training_state import TrainingState
from nas.study.trial import Record, State

AXES2 = [AXES[name] for name in TWO]


def records(count: int) -> list[Record]:
    generator = random.Random(3)

    def values() -> dict[str, float]:
        return {"val_accuracy": generator.uniform(0.05, 1.0), "macs": 10 ** generator.uniform(3, 6.2)}

    made = [candidate(number) for number in range(count)]
    return [Record(n, State.COMPLETE, one, (), TrainingState(clock=n), values(), None) for n, one in enumerate(made)]


def test_progress_step_by_step_is_that_of_all_trials_until_then() -> None:
    made = records(60)
    points = losses(AXES2, [record.values for record in made if record.values])
    found = assess(made, Believer.of_measured(AXES2), "val_accuracy").progress
    counts = found["trials"]
    assert found["values"] == [round(hypervolume(points[:count]), 6) for count in counts]
    steps = [round(hypervolume(points[: count + 1]), 6) for count in range(60)]
    assert {1, 60} | {count + 1 for count in range(1, 60) if steps[count] > steps[count - 1]} <= set(counts)
    alone = assess(made, Believer.of_measured(AXES2[:1]), "val_accuracy").progress
    best = np.maximum.accumulate([(record.values or {})["val_accuracy"] for record in made])
    assert np.allclose(alone["values"], best[np.array(alone["trials"]) - 1], atol=1e-6)


def test_of_many_trials_the_front_and_some_others_are_drawn() -> None:
    made = records(DRAWN + 300)
    front = made[7:12]
    shown = [record.number for record in detailed(made, front)]
    assert shown[:5] == [7, 8, 9, 10, 11]
    assert len(set(shown)) == len(shown) == DRAWN + 5
    assert max(shown) == len(made) - 1
    few = records(20)
    assert sorted(record.number for record in detailed(few, few[3:5])) == list(range(20))


def test_importance_is_computed_of_a_bounded_number_of_trials() -> None:
    assert importance(records(MOST_TRIALS + 40), AXES2[0]).trials == MOST_TRIALS
