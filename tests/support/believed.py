"""Studies whose accuracies follow from the MACs and noise, and a believer of them."""

from __future__ import annotations

import math
import random

from engine import AXES, SMALL, TWO, space_of

from nas.objectives.requirements import Requirements
from nas.study.belief import Believer
from nas.study.belief.stored import believer_for
from nas.study.training_state import TrainingState
from nas.study.trial import Candidate, Record, State

SPACE = space_of(SMALL)
AXES2 = [AXES[name] for name in TWO]
IMAGES = 300


def truth(macs: float) -> float:
    return 0.3 + 0.12 * math.log10(macs / 1e3)


def records(count: int, noise: float = 0.02, seed: int = 0) -> list[Record]:
    """Return complete trials of random networks, whose accuracy follows from the MACs and noise."""
    generator, requirements, found = random.Random(seed), Requirements(), {}
    while len(found) < count:
        known = requirements.examine(SPACE.draw(generator))
        if known.network_id in found:
            continue
        number = len(found)
        candidate = Candidate(
            number, {}, {}, known.architecture.to_json(), known.architecture.id, known.network_id, "", known.costs, 0
        )
        accuracy = truth(known.costs["macs"]) + generator.gauss(0, noise)
        values = {"val_accuracy": accuracy, "macs": float(known.costs["macs"])}
        found[known.network_id] = Record(number, State.COMPLETE, candidate, (), TrainingState(), values, None)
    return list(found.values())


def believer() -> Believer:
    return believer_for(SPACE, AXES2, {"macs": "macs"}, IMAGES)
