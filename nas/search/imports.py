"""Results of trainings made elsewhere: checked against a study, and stored as complete trials of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.jobs import Curve
from nas.objectives.costs import built_in_costs
from nas.objectives.pareto import Axis
from nas.objectives.requirements import exact_measure
from nas.study.belief.stored import cost_axes, is_of_space, stored_space
from nas.study.checked import DamageError, items, mapping, real, shown, whole
from nas.study.parameters import Draw
from nas.study.reading import Reading
from nas.study.stored_curve import curve_of
from nas.study.stored_trial import values_of
from nas.study.study import Study
from nas.study.training_state import TrainingState
from nas.study.trial import Candidate, Rejected
from search_space.architecture import Architecture
from search_space.lowering import normalise, summary
from search_space.references.architectures import ARCHITECTURES
from search_space.space import Space

LARGEST_FILE = 2**28
"""Bytes of the largest file that is read."""

KEYS = frozenset(("architecture", "curve", "values", "seed", "seconds"))
COLUMNS = ("train_loss", "val_loss", "val_accuracy", "val_balanced_accuracy", "seconds")


@dataclass(frozen=True)
class Result:
    """Checked result of one training.

    Attributes:
        place: its place in the files, as in `results.json, result 2`.
        architecture: the normalised architecture.
        network_id: identity of its network.
        costs: exact costs by name.
        values: objectives by name.
        curve: learning curve; empty if only values are known.
        seed: seed of the training.
        seconds: seconds of the training; None if they are not known.
    """

    place: str
    architecture: Architecture
    network_id: str
    costs: Mapping[str, float]
    values: Mapping[str, float]
    curve: Curve
    seed: int
    seconds: float | None


@dataclass(frozen=True)
class Imported:
    """Outcome of the import of a result.

    Attributes:
        place: its place in the files.
        trial: number of the trial that has its network.
        new: whether it was stored; else the study had the network already.
        summary: the architecture in one line.
        values: objectives by name.
    """

    place: str
    trial: int
    new: bool
    summary: str
    values: Mapping[str, float]


def read_results(files: Sequence[str]) -> Iterator[tuple[str, object]]:
    """Yield the documents in files with their places: one JSON document, a list of them, or one a line.

    Raises:
        ValueError: a file can't be read; the message names it.
    """
    for name in files:
        path = Path(name).expanduser()
        for index, document in enumerate(_documents(path), 1):
            yield f"{path}, result {index}", document


def _documents(path: Path) -> list[object]:
    if not path.is_file() or path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"{path} must be a file of results of at most {LARGEST_FILE} bytes, it is not")
    try:
        found = _parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise ValueError(f"{path} must hold results in JSON: {said}") from error
    if not found:
        raise ValueError(f"{path} must hold a result, it holds none")
    return found


def _parsed(text: str) -> list[object]:
    """Return the documents of a text: those of a list, a single one, or one a line."""
    try:
        whole_text = json.loads(text)
    except json.JSONDecodeError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2:
            raise
        return [json.loads(line) for line in lines]
    return whole_text if isinstance(whole_text, list) else [whole_text]


class Importer:
    """Checks results against one study, and stores them in it."""

    def __init__(self, study: Study) -> None:
        """Read what the results must fit.

        Args:
            study: the study, locked by this process.

        Raises:
            ValueError: its space or its objectives can't be read here.
        """
        config = study.attribute("config")
        if not is_of_space(study.fingerprint):
            raise ValueError(f"the space of {study.name} must be known to import results, it is not")
        self._study = study
        self._space: Space = stored_space(study.fingerprint)
        self._costs = cost_axes(study.axes, config)
        self._columns = _columns(study.axes, config)
        self._measure = exact_measure()
        self._epochs = study.fingerprint.get("training", {}).get("epochs")
        own = set(self._costs.values()) - set(built_in_costs().names)
        if own:
            raise ValueError(f"costs of {study.name} must be built in to import results, it has {', '.join(own)}")

    def check(self, place: str, document: object) -> Result:
        """Return a result whose values are in their ranges and whose architecture is of the space.

        Args:
            place: its place in the files.
            document: JSON document.

        Raises:
            ValueError: it is not; the message names its place.
        """
        try:
            return self._checked(place, mapping(document, "a result"))
        except DamageError as error:
            raise ValueError(f"{place}: {error}") from None

    def store(self, results: Sequence[Result]) -> list[Imported]:
        """Store the results whose networks the study has not, in their order.

        Raises:
            StorageError: the database can't be written to.
        """
        reading = self._study.read_trials()
        known = {record.candidate.network_id: record.number for record in reading.records}
        known |= {wish.network_id: number for number, wish in reading.wishes.items()}
        ask, rejected, skipped = self._next_ask(reading)
        told: list[Imported] = []
        for result in results:
            number = known.get(result.network_id)
            new = number is None
            if number is None:
                number = self._add(_candidate(self._space, result, ask, rejected, skipped), result)
                known[result.network_id] = number
                ask, rejected, skipped = ask + 1, (), {}
            told.append(Imported(result.place, number, new, summary(result.architecture), result.values))
        return told

    def _next_ask(self, reading: Reading) -> tuple[int, tuple[Rejected, ...], Mapping[str, int]]:
        """Return the running number of the next ask, and the asks since the last trial that led to none."""
        tail, ask = self._study.attribute("tail"), reading.last_ask + 1
        if not tail or tail["asks"] <= ask:
            return ask, (), {}
        return tail["asks"], tuple(map(Rejected.from_json, tail["rejected"])), tail["skipped"]

    def _add(self, candidate: Candidate, result: Result) -> int:
        number = self._study.add(candidate)
        state = TrainingState(attempt=0, epochs=len(result.curve), seconds=result.seconds)
        self._study.store_training(number, result.curve, state)
        self._study.tell(number, result.values)
        return number

    def _checked(self, place: str, document: Mapping[str, Any]) -> Result:
        unknown = sorted(set(document) - KEYS)
        if unknown:
            raise DamageError(f"a result may have {', '.join(sorted(KEYS))}, got also {', '.join(unknown)[:80]}")
        architecture = self._architecture(document.get("architecture"))
        network_id, costs = self._measure(architecture)
        curve = self._curve(document["curve"]) if document.get("curve") is not None else ()
        seconds = document.get("seconds")
        if seconds is not None:
            real(seconds, "seconds", 0)
        elif curve:
            seconds = math.fsum(row.seconds for row in curve)
        return Result(
            place,
            architecture,
            network_id,
            costs,
            self._values(document.get("values"), curve, costs),
            curve,
            whole(document.get("seed", 0), "seed"),
            seconds,
        )

    def _architecture(self, document: object) -> Architecture:
        try:
            found = normalise(self._parsed_architecture(document))
            contained = self._space.contains(found)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise DamageError(f"architecture must be one: {' '.join(str(error).split())[:200]}") from None
        if not contained:
            raise DamageError(
                f"architecture must be of the space {self._space.name} for images of {list(self._space.input)} and "
                f"{self._space.classes} classes, it is not: {summary(found)[:80]}"
            )
        return found

    def _parsed_architecture(self, document: object) -> Architecture:
        if not isinstance(document, str):
            return Architecture.from_json(mapping(document, "architecture"))
        if document not in ARCHITECTURES:
            raise DamageError(f"it must be a JSON object or one of {', '.join(ARCHITECTURES)}, got {shown(document)}")
        return ARCHITECTURES[document](self._space.input, self._space.classes)

    def _curve(self, document: object) -> Curve:
        """Return a learning curve given as rows, or as columns of equal length."""
        curve = curve_of(_rows(document) if isinstance(document, Mapping) else document)
        if self._epochs is not None and len(curve) != self._epochs:
            raise DamageError(f"a curve must have {self._epochs} epochs, as here, got {len(curve)}; give values")
        return curve

    def _values(self, document: object, curve: Curve, costs: Mapping[str, float]) -> Mapping[str, float]:
        """Return the objectives: exact costs, given values, and else those at the end of the curve."""
        given = dict(mapping({} if document is None else document, "values"))
        last = curve[-1].to_json() if curve else {}
        names = [axis.name for axis in self._study.axes if axis.name not in self._costs]
        unknown = sorted(set(given) - set(names) - set(costs))
        if unknown:
            raise DamageError(f"values must be of {', '.join(names)}, got also {', '.join(unknown)[:80]}")
        for name in given.keys() & costs.keys():
            if not math.isclose(real(given[name], name), costs[name], rel_tol=1e-9):
                raise DamageError(f"{name} must be the network's, {costs[name]:g}, got {given[name]:g}")
        found = {name: float(costs[cost]) for name, cost in self._costs.items()}
        for name in names:
            value = given.get(name, last.get(self._columns[name]))
            if value is None:
                raise DamageError(f"a result must have a curve, or values.{name}")
            found[name] = value
        return values_of(found, self._study.axes)


def _rows(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a curve given as columns.

    Raises:
        DamageError: a column is missing, or they have different lengths.
    """
    given = set(columns) - {"epoch"}
    if given != set(COLUMNS):
        raise DamageError(f"columns of a curve must be {', '.join(COLUMNS)}, got {', '.join(sorted(given))[:80]}")
    lists = [items(columns[name], f"curve.{name}") for name in COLUMNS]
    if len({len(one) for one in lists}) != 1:
        raise DamageError(f"columns of a curve must have one length, got {', '.join(str(len(one)) for one in lists)}")
    return [
        {"epoch": epoch, **dict(zip(COLUMNS, row, strict=True))}
        for epoch, row in enumerate(zip(*lists, strict=True), 1)
    ]


def _columns(axes: Sequence[Axis], config: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the column of the curve that each objective is, by the objective's name."""
    found = {axis.name: axis.name for axis in axes}
    for objective in (config or {}).get("objective", ()):
        if objective.get("source") == "curve" and isinstance(objective.get("key"), str):
            found[str(objective.get("name"))] = objective["key"]
    return found


def _candidate(
    space: Space, result: Result, ask: int, rejected: tuple[Rejected, ...], skipped: Mapping[str, int]
) -> Candidate:
    """Return a result as a candidate that stands at an ask."""
    draw = Draw.of(space, result.architecture)
    return Candidate(
        ask=ask,
        params=draw.params,
        distributions=draw.distributions,
        architecture=result.architecture.to_json(),
        id=result.architecture.id,
        network_id=result.network_id,
        summary=summary(result.architecture),
        costs=result.costs,
        seed=result.seed,
        rejected=rejected,
        skipped=skipped,
        imported=True,
    )
