"""Seed and strategy that the trials of a study are made with: the seed stays, the strategy may change.

A strategy may be changed on purpose, so that a study goes on with another sampler or fidelity. What earlier trials were
made with is kept in the study; and where nothing would be left to do, the change is refused, so that no sweep over
samplers ends with the same trials under each name.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nas.config.commands import SearchConfig
from nas.study.differences import differences
from nas.study.study import Study, StudyMismatchError
from nas.study.trial import State

STRATEGY = ("sampler", "prior", "fidelity", "start")
"""Settings that may change from run to run, and are kept with the number of the first trial they were used for."""

HISTORY = "made_with"
"""Study attribute of those settings: a list in order of the trials."""

USUAL = {"sampler": "known_cost", "fidelity": "full"}
"""Names of the strategies that a default name of a study leaves out."""

MOST_SHOWN = 4

log = logging.getLogger(__name__)


def default_name(config: SearchConfig, space: str, stored: Mapping[str, Any]) -> str:
    """Return the name of a study that is given none: data and space, then seed and strategies that are not the usual.

    Args:
        config: configuration of the search.
        space: name of its space.
        stored: settings of the study that has the name of data and space alone, empty if there is none; a study of
            before names had more is resumed with its own settings.
    """
    plain = f"{config.data.slug}-{space}"
    parts = [f"seed{config.seed}"] if config.seed else []
    parts += [Path(name).name for key, usual in USUAL.items() if (name := getattr(config, key).name) != usual]
    if not parts or (stored.get("seed") == config.seed and _names(stored) == _names(asdict(config))):
        return plain
    return "-".join([plain, *parts])


def _names(settings: Mapping[str, Any]) -> list[Any]:
    return [found.get("name") if isinstance(found := settings.get(key), Mapping) else None for key in USUAL]


def check_made_with(study: Study, config: SearchConfig) -> None:
    """Refuse another seed than the study's, and another strategy where the budget is used up; keep a changed strategy.

    Raises:
        StudyMismatchError: such a seed or strategy; the message says what differs.
    """
    stored = study.attribute("config")
    earlier = stored if isinstance(stored, Mapping) else {}
    seed = earlier.get("seed")
    if isinstance(seed, int) and seed != config.seed:
        raise StudyMismatchError(
            f"study {study.name} was made with seed={seed}, got seed={config.seed}; a search with another seed is "
            f"another study, e.g. study={study.name}-seed{config.seed}"
        )
    now = _strategy(json.loads(json.dumps(asdict(config))))
    before = _strategy(earlier)
    found = differences(*_common(before, now))
    if found:
        _check_budget(study, config, found)
        log.info("%s goes on with another strategy: %s", study.name, _shown(found))
    _keep(study, before if earlier else now, now)


def _strategy(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: settings[name] for name in STRATEGY if name in settings}


def _common(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return both without what only one has: an option that an older version had, or did not have yet."""
    old, new = {}, {}
    for key in set(before) & set(now):
        old[key], new[key] = before[key], now[key]
        if isinstance(old[key], Mapping) and isinstance(new[key], Mapping):
            old[key], new[key] = _common(old[key], new[key])
    return old, new


def _shown(found: list[str]) -> str:
    return "; ".join(found[:MOST_SHOWN]) + (f"; and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else "")


def _check_budget(study: Study, config: SearchConfig, found: list[str]) -> None:
    """Raise if a changed strategy would ask for nothing, since the trials of the budget are there."""
    if config.budget.trials is None:
        return
    own = (record for record in study.records() if not record.candidate.imported)
    ended = sum(record.state in {State.COMPLETE, State.PRUNED} for record in own)
    if ended >= config.budget.trials:
        raise StudyMismatchError(
            f"study {study.name} has its {config.budget.trials} trials, made with another strategy: {_shown(found)}. "
            "Name another study, or raise budget.trials to go on with this strategy"
        )


def _keep(study: Study, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    stored = study.attribute(HISTORY)
    readable = isinstance(stored, list) and stored and all(isinstance(entry, Mapping) for entry in stored)
    history = list(stored) if readable else [{"first_trial": 0, **before}]
    last = {key: value for key, value in history[-1].items() if key != "first_trial"}
    if last != now:
        history.append({"first_trial": len(study.records()), **now})
    if history != stored:
        study.set_attribute(HISTORY, history)
