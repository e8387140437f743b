"""Stored trial to value: everything is checked here, so that no reader meets a damaged trial.

A trial of ours has the attributes that `nas.study.study` lists. One with `ask` or `network_id` is ours; any other is of
another program.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from optuna.trial import TrialState

from nas.jobs import Failure, FailureKind
from nas.objectives.costs import built_in_costs
from nas.objectives.pareto import Axis
from nas.study.checked import (
    LARGEST_COUNT,
    UNREADABLE,
    DamageError,
    items,
    mapping,
    real,
    reason,
    shown,
    text,
    truth,
    whole,
)
from nas.study.storage.trial_reading import Trial
from nas.study.stored_curve import ACCURACIES, curve_of, totals_of
from nas.study.training_state import TrainingState
from nas.study.trial import Candidate, Descent, Record, Rejected, Repeat, State
from search_space.architecture import Architecture
from search_space.identity import canonical_json, digest

OURS = ("ask", "network_id")
_STATES = {
    TrialState.RUNNING: State.RUNNING,
    TrialState.COMPLETE: State.COMPLETE,
    TrialState.PRUNED: State.PRUNED,
    TrialState.FAIL: State.FAILED,
}


@dataclass(frozen=True)
class Laws:
    """Facts of a study that its trials must agree with.

    Attributes:
        axes: the objectives.
        identified: whether architectures are of a space that can be read, so that an `id` is that of its architecture.
        whole: whether parameters, rejected asks and rows of curves are made too; else they are when they are asked for,
            and parameters and asks are empty if they can't be read.
    """

    axes: Sequence[Axis]
    identified: bool
    whole: bool


def is_ours(trial: Trial) -> bool:
    """Return whether a search or an import made the trial."""
    return any(key in trial.user_attrs for key in OURS)


def record_of(trial: Trial, laws: Laws) -> Record:
    """Return a stored trial of ours, without repeats.

    Raises:
        DamageError: it holds what no search writes.
    """
    try:
        return _record(trial, laws)
    except DamageError:
        raise
    except UNREADABLE as error:
        raise DamageError(f"it must be readable, got {reason(error)}") from None


def _record(trial: Trial, laws: Laws) -> Record:
    attrs = trial.user_attrs
    if trial.state not in _STATES:
        raise DamageError(f"state must be that of a trial that was started, got {trial.state.name}")
    complete = trial.state == TrialState.COMPLETE
    candidate = _candidate(trial, laws)
    values = values_of(_named(trial.values, laws.axes), laws.axes) if complete else None
    if candidate.imported and not complete:
        raise DamageError("its import must be complete, it was interrupted: import its result again")
    if values and laws.identified:
        _check_exact(values, candidate.costs)
    found = attrs.get("curve", [])
    late = {} if laws.whole else {"curve": lambda: curve_of(attrs.get("curve", []))}
    return Record.deferred(
        late,
        **(totals_of(found) if late else {"curve": curve_of(found)}),
        number=trial.number,
        state=_STATES[trial.state],
        candidate=candidate,
        training=training_of(attrs.get("training", {})),
        values=values,
        failure=_failure(attrs["failure"]) if "failure" in attrs else None,
        repeats=(),
        own_values=None,
    )


def repeat_of(document: object, axes: Sequence[Axis]) -> Repeat:
    """Return a stored repeat.

    Raises:
        DamageError: it holds what no search writes.
    """
    found = mapping(document, "a repeat")
    values, failure = found.get("values"), found.get("failure")
    return Repeat(
        whole(found.get("seed"), "seed"),
        curve_of(found.get("curve")),
        training_of(found.get("training")),
        None if values is None else values_of(values, axes),
        None if failure is None else _failure(failure),
    )


def _candidate(trial: Trial, laws: Laws) -> Candidate:
    attrs = trial.user_attrs
    identity = text(attrs.get("id"), "id")
    late: dict[str, tuple[Callable[[], Any], object]] = {
        "params": (lambda: trial.params, {}),
        "distributions": (lambda: trial.distributions, {}),
        "rejected": (lambda: rejected_of(attrs.get("rejected")), ()),
    }
    return Candidate.deferred(
        {} if laws.whole else {name: partial(_or_empty, *pair) for name, pair in late.items()},
        **({name: read() for name, (read, _) in late.items()} if laws.whole else {}),
        ask=whole(attrs.get("ask"), "ask", 0, LARGEST_COUNT),
        architecture=_architecture(attrs.get("architecture"), identity, identified=laws.identified),
        id=identity,
        network_id=text(attrs.get("network_id"), "network_id"),
        summary=text(attrs.get("summary"), "summary"),
        costs=costs_of(attrs.get("costs")),
        seed=whole(attrs.get("seed"), "seed"),
        constraints=_constraints(trial),
        skipped=counts_of(attrs.get("skipped"), "skipped"),
        sampler_attrs={k: v for k, v in trial.system_attrs.items() if not k.startswith("constraints")},
        inherits=_descent(attrs["inherits"]) if "inherits" in attrs else None,
        extrapolated=tuple(text(name, "extrapolated") for name in items(attrs.get("extrapolated", []), "extrapolated")),
        imported=truth(attrs.get("imported", False), "imported"),
        trial=None,
    )


def _constraints(trial: Trial) -> Mapping[str, float]:
    """Return the excess over each limit, by the constraint's name."""
    try:
        found = mapping(trial.constraints or {}, "constraints")
    except (AttributeError, TypeError, KeyError, ValueError) as error:
        raise DamageError(f"constraints must be numbers by name, got {type(error).__name__}: {error}") from None
    for name, excess in found.items():
        real(excess, f"constraints.{name}")
    return found


def _or_empty(read: Callable[[], Any], empty: object) -> Any:
    """Return what is read late, `empty` if it can't be read."""
    try:
        return read()
    except UNREADABLE:
        return empty


def _architecture(document: object, identity: str, *, identified: bool) -> Mapping[str, Any]:
    """Return the JSON form of an architecture, whose identity tells that it is whole."""
    found = mapping(document, "architecture")
    if not identified:
        return found
    try:
        if digest(canonical_json(found)) == identity:
            return found
        Architecture.from_json(found)
    except (ValueError, TypeError, RecursionError) as error:
        raise DamageError(f"architecture must be one: {' '.join(str(error).split())}") from None
    raise DamageError(f"id must be that of the architecture, got {shown(identity)}")


def costs_of(document: object) -> Mapping[str, float]:
    """Return costs by name, each a finite number of at least 0.

    Raises:
        DamageError: they are not.
    """
    found = mapping(document, "costs")
    missing = [name for name in built_in_costs().names if name not in found]
    if missing:
        raise DamageError(f"costs must have {', '.join(built_in_costs().names)}, lack {', '.join(missing)}")
    for name, value in found.items():
        real(value, f"costs.{name}", 0)
    return found


def counts_of(document: object, name: str) -> Mapping[str, int]:
    """Return counts by name.

    Raises:
        DamageError: they are not.
    """
    found = mapping(document, name)
    for key, value in found.items():
        whole(value, f"{name}.{key}")
    return found


def rejected_of(document: object) -> tuple[Rejected, ...]:
    """Return rejected asks.

    Raises:
        DamageError: they are not.
    """
    return tuple(_rejected(mapping(one, "a rejected ask")) for one in items(document, "rejected"))


def _rejected(document: Mapping[str, Any]) -> Rejected:
    try:
        found = Rejected.from_json(document)
        for path, distribution in found.distributions.items():
            distribution.to_internal_repr(found.params[path])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamageError(f"a rejected ask must be readable, got {type(error).__name__}: {error}") from None
    whole(found.ask, "ask of a rejected ask", 0, LARGEST_COUNT)
    mapping(found.sampler_attrs, "sampler_attrs of a rejected ask")
    for name, excess in mapping(found.constraints, "constraints of a rejected ask").items():
        real(excess, f"constraints.{name} of a rejected ask")
    return found


def _descent(document: object) -> Descent:
    found = mapping(document, "inherits")
    least = {"trial": 0, "changes": 0, "skips": 1}
    if set(found) != set(least):
        raise DamageError(f"inherits must have {', '.join(least)}, got {shown(found)}")
    return Descent(**{name: whole(found[name], f"inherits.{name}", low) for name, low in least.items()})


_TRAINING: Mapping[str, Callable[[object, str], object]] = {
    "attempt": whole,
    "to_epoch": whole,
    "devices": lambda value, name: whole(value, name, 1),
    "frozen": truth,
    "epochs": whole,
    "seconds": lambda value, name: real(value, name, 0),
    "clock": lambda value, name: real(value, name, 0),
    "checkpoint": text,
    "retries": counts_of,
    "micro_batches": lambda value, name: whole(value, name, 1, 2**30),
    "disinherited": truth,
}


def training_of(document: object) -> TrainingState:
    """Return the state of a training; keys of other versions are kept.

    Raises:
        DamageError: a value is out of its range.
    """
    found = mapping(document, "training")
    for key, value in found.items():
        if key in _TRAINING:
            _TRAINING[key](value, f"training.{key}")
    return TrainingState.from_json(found)


def _failure(document: object) -> Failure:
    found = mapping(document, "failure")
    kind = found.get("kind")
    if kind not in list(FailureKind):
        raise DamageError(f"failure.kind must be one of {', '.join(FailureKind)}, got {shown(kind)}")
    message = found.get("message")
    if not isinstance(message, str):
        raise DamageError(f"failure.message must be a text, got {shown(message)}")
    return Failure(FailureKind(kind), message)


def _named(values: Sequence[float] | None, axes: Sequence[Axis]) -> dict[str, float]:
    names = [axis.name for axis in axes]
    if values is None or len(values) != len(names):
        raise DamageError(f"values must be those of {', '.join(names)}, got {shown(values)}")
    return dict(zip(names, values, strict=True))


def values_of(document: object, axes: Sequence[Axis]) -> Mapping[str, float]:
    """Return objectives by name: accuracies in [0, 1], those on a logarithmic axis positive, all finite.

    Raises:
        DamageError: one is not, or is missing.
    """
    found = mapping(document, "values")
    if set(found) != {axis.name for axis in axes}:
        raise DamageError(f"values must be those of {', '.join(axis.name for axis in axes)}, got {shown(found)}")
    for axis in axes:
        value = real(found[axis.name], axis.name, *(range_of(axis)))
        if axis.log and value <= 0:
            raise DamageError(f"{axis.name} must be positive, got {shown(value)}")
    return {axis.name: found[axis.name] for axis in axes}


def _check_exact(values: Mapping[str, float], costs: Mapping[str, float]) -> None:
    """Refuse an objective that is a cost and differs from it.

    Raises:
        DamageError: one does.
    """
    for name in values.keys() & costs.keys():
        if not math.isclose(values[name], costs[name], rel_tol=1e-9):
            raise DamageError(f"{name} must be the network's, {costs[name]:g}, got {values[name]:g}")


def range_of(axis: Axis) -> tuple[float, float]:
    """Return the least and the largest value of an objective."""
    if axis.name in ACCURACIES:
        return 0.0, 1.0
    if axis.error:
        return (-math.inf, 1.0) if axis.direction == "maximize" else (0.0, math.inf)
    return (0.0, math.inf) if axis.log else (-math.inf, math.inf)
