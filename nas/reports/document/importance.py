"""Importance of choices: conditional PED-ANOVA, with a permutation test of what chance reaches."""

from __future__ import annotations

import random
import threading
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import create_trial
from scipy.stats import spearmanr

from nas.objectives.pareto import Axis
from nas.study.belief.gp import evenly
from nas.study.trial import Record

MOST_TRIALS = 500
"""Complete trials that are looked at, at most."""
MIN_TRIALS = 20
MIN_BEST = 8
QUANTILE = 0.1
SHUFFLES = 19
TREND = 0.2
METHOD = (
    "Conditional PED-ANOVA (Watanabe et al., IJCAI 2023; its extension to conditional choices) as Optuna computes it: "
    "a choice is important if its distribution among the best trials differs from that among all."
)


_FILTERS = threading.Lock()
"""Filters of warnings are of the process: a second thread would restore them while the first one needs them."""


@dataclass(frozen=True)
class Choice:
    """Importance of one choice.

    Attributes:
        path: path of the choice in the space.
        share: its importance divided by the sum over all choices, in [0, 1].
        chance: its highest importance over 19 shuffles of the values, divided by the same sum, so it may exceed 1; by
            chance alone, one choice in twenty exceeds it.
        active: number of trials in which the choice was active.
        effect: direction of its effect, in words.
    """

    path: str
    share: float
    chance: float
    active: int
    effect: str

    def to_json(self) -> dict[str, Any]:
        """Return the importance as a JSON object."""
        shares = {"share": round(self.share, 4), "chance": round(self.chance, 4)}
        beyond = {"above_chance": self.share > self.chance}
        return {"path": self.path, **shares, **beyond, "active": self.active, "effect": self.effect}


@dataclass(frozen=True)
class Importance:
    """Importance of all choices for one objective.

    Attributes:
        axis: the objective.
        trials: number of complete trials that it is computed from.
        best: number of them that count as the best.
        choices: all choices, those beyond chance first, then by descending share; empty if there are too few trials.
    """

    axis: Axis
    trials: int
    best: int
    choices: tuple[Choice, ...]


def importance(records: Sequence[Record], axis: Axis) -> Importance:
    """Return the importance of all choices for one objective.

    The best are a tenth of the trials, at least `MIN_BEST`: a distribution of fewer says nothing. Of many trials, at
    most `MOST_TRIALS` are looked at, evenly spaced in their order, since the shuffles take time in proportion.

    Args:
        records: the trials of a study; below `MIN_TRIALS` complete ones, no choice is returned.
        axis: the objective.
    """
    every = [record for record in records if record.values is not None]
    complete = [every[place] for place in evenly(len(every), MOST_TRIALS)]
    best = max(MIN_BEST, round(QUANTILE * len(complete)))
    if len(complete) < MIN_TRIALS:
        return Importance(axis, len(complete), min(best, len(complete)), ())
    values = [axis.loss(record.values[axis.name]) for record in complete if record.values]
    study = _study(complete)
    found, chance = _divergences(study, values, best), _chance(study, values, best)
    total = sum(found.values()) or 1.0
    counts = Counter(path for record in complete for path in record.candidate.params)
    choices = [
        Choice(path, value / total, chance[path] / total, counts[path], _effect(path, complete, values))
        for path, value in sorted(found.items(), key=lambda item: (item[1] <= chance[item[0]], -item[1], item[0]))
    ]
    return Importance(axis, len(complete), best, tuple(choices))


def _study(records: Sequence[Record]) -> optuna.Study:
    """Return an Optuna study with the choices of the records; its values are not used."""
    trials = [
        create_trial(params=dict(r.candidate.params), distributions=dict(r.candidate.distributions), value=0.0)
        for r in records
    ]
    study = optuna.create_study()
    study.add_trials(trials)
    return study


def _divergences(study: optuna.Study, values: Sequence[float], best: int) -> dict[str, float]:
    """Return the importance of every choice, at least 0, by path.

    Args:
        study: the choices.
        values: a loss for each trial, lower is better.
        best: number of trials that count as the best.
    """
    from optuna.importance import PedAnovaImportanceEvaluator  # noqa: PLC0415 - imports scikit-learn, a second or more

    evaluator = PedAnovaImportanceEvaluator(target_quantile=best / len(values))
    with _FILTERS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Some regimes for parameter .* have less than")  # shown as `active`
        warnings.filterwarnings("ignore", message=".* computes the importances of params to achieve low `target`")
        found = evaluator.evaluate(study, target=lambda trial: values[trial.number])
    return {path: float(value) for path, value in found.items()}


def _chance(study: optuna.Study, values: Sequence[float], best: int) -> dict[str, float]:
    """Return the highest importance of each choice over shuffles of the values.

    A choice beyond it passes a permutation test at the level 1 / (`SHUFFLES` + 1).
    """
    generator, shuffled = random.Random(0), list(values)
    highest: dict[str, float] = {}
    for _ in range(SHUFFLES):
        generator.shuffle(shuffled)
        for path, value in _divergences(study, shuffled, best).items():
            highest[path] = max(value, highest.get(path, 0.0))
    return highest


def _effect(path: str, records: Sequence[Record], values: Sequence[float]) -> str:
    """Return the effect of a choice in words: a rank correlation if it is ordinal, its best option if it is nominal."""
    active = [(r.candidate.params[path], v) for r, v in zip(records, values, strict=True) if path in r.candidate.params]
    options = [option for option, _ in active]
    if len(set(options)) < 2:
        return "never varied"
    domain = next(r.candidate.distributions[path] for r in records if path in r.candidate.distributions)
    if isinstance(domain, CategoricalDistribution):
        means = {str(option): np.mean([v for o, v in active if o == option]) for option in dict.fromkeys(options)}
        return f"best with {min(means, key=lambda option: float(means[option]))}"
    correlation = rank_correlation(options, [-v for _, v in active])
    trend = "no clear trend"
    if abs(correlation) >= TREND:
        trend = "more is better" if correlation > 0 else "less is better"
    return f"{trend}, ρ {correlation:+.2f}".replace("-", "−")


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Spearman's rank correlation in [-1, 1] of two sequences of one length, 0 if one is constant.

    >>> rank_correlation([1, 2, 3, 4], [10, 20, 40, 30])
    0.8
    """
    if len(set(first)) < 2 or len(set(second)) < 2:
        return 0.0
    return round(float(spearmanr(first, second).statistic), 12)
