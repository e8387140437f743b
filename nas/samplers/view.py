"""View of a study for samplers: an Optuna study in memory, kept in step with the stored one.

An ask is fast here, however many trials are stored, and the view holds what the stored study should not: architectures
that exceeded a limit, so that the sampler learns the limits, and frozen or pruned trials as complete with their
predicted values. Values on a logarithmic axis are logarithms, since samplers weigh trials by hypervolume. An ask
is a function of the view, the seed and the ask's running number alone: a fresh sampler is made for each, so that a
resumed search asks what an unbroken one would have asked.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from nas.objectives.pareto import Axis
from nas.samplers.base import DrawingSampler
from nas.samplers.imputation import DEVIATION, SECONDS, ImputedStorage, completed
from nas.study.parameters import Draw, TrialChooser
from nas.study.trial import Candidate, Constraints, Expected, Prospects, Record, Rejected, State
from search_space.architecture import Architecture
from search_space.choices import SpaceError
from search_space.space import Space

WORST_SCALED = 1e3
_DIRECTIONS = {"maximize": StudyDirection.MAXIMIZE, "minimize": StudyDirection.MINIMIZE}
_STATES = {State.RUNNING: TrialState.RUNNING, State.PRUNED: TrialState.PRUNED, State.FAILED: TrialState.FAIL}
SamplerFactory = Callable[[int], BaseSampler]
"""Makes the sampler of one ask from its seed."""


@runtime_checkable
class ProspectSampler(Protocol):
    """Sampler with an acquisition function whose values can be compared with those of frozen trials."""

    def prospects(self, study: optuna.Study, left: Mapping[int, float]) -> Prospects | None:
        """Return the acquisition values of the next draw and of training frozen trials to their ends.

        Args:
            study: the study.
            left: seconds that the frozen trials still need, by their numbers in `study`.
        """
        ...


@dataclass(frozen=True)
class Ask:
    """One draw of the sampler.

    Attributes:
        number: running number of the ask, from 0.
        architecture: the normalised architecture.
        params: values of the parameters, by path.
        distributions: distributions of the parameters, by path.
        sampler_attrs: system attributes that the sampler set on the trial.
    """

    number: int
    architecture: Architecture
    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    sampler_attrs: Mapping[str, Any]


def ask_seed(seed: int, number: int) -> int:
    """Return the seed of the sampler for one ask, in [0, 2³²)."""
    return int.from_bytes(hashlib.sha256(f"ask:{seed}:{number}".encode()).digest()[:4], "big")


class View:
    """The in-memory study behind the asks."""

    def __init__(self, space: Space, axes: Sequence[Axis], sampler: SamplerFactory, *, seed: int, worst: bool) -> None:
        """Create an empty view.

        Args:
            space: the search space.
            axes: the objectives.
            sampler: makes the sampler of one ask from its seed.
            seed: seed of the whole search.
            worst: whether a rejected architecture appears as complete with the worst values, for samplers that learn
                from complete trials only, instead of as pruned.
        """
        self._space = space
        self._axes = tuple(axes)
        self._sampler = sampler
        self._seed = seed
        self._worst = worst
        self._asked: dict[int, Trial] = {}
        self._trials: dict[int, int] = {}
        self._storage = ImputedStorage()
        self.study = optuna.create_study(
            storage=self._storage, directions=[_DIRECTIONS[axis.direction] for axis in axes]
        )

    def ask(self, number: int) -> Ask:
        """Draw an architecture; `number` counts the asks of this study and seeds this one."""
        return self._ask(number, None)

    def ask_near(self, number: int, architecture: Architecture, steps: int) -> Ask:
        """Draw an architecture `steps` mutations away from `architecture` at ask `number`."""
        generator = random.Random(ask_seed(self._seed, number))
        try:
            for _ in range(steps):
                architecture = self._space.mutate(architecture, generator)
        except SpaceError:  # it has no neighbours: let the sampler draw it again
            return self.ask(number)
        draw = Draw.of(self._space, architecture)
        self.study.enqueue_trial(dict(draw.params))
        return self._ask(number, draw)

    def prospects(self, number: int, expected: Mapping[int, Expected], left: Mapping[int, float]) -> Prospects | None:
        """Return the acquisition values of ask `number` and of training frozen trials to their ends.

        Args:
            number: running number of the next ask.
            expected: predicted results of trials without one, by their stored numbers.
            left: seconds that the frozen trials still need, by their stored numbers.

        Returns:
            None if the sampler has no acquisition function, or not enough trials for it.
        """
        sampler = self._sampler(ask_seed(self._seed, number))
        if not isinstance(sampler, ProspectSampler):
            return None
        numbers = {self._trials[trial]: trial for trial in left}
        with self._imputed(expected):
            found = sampler.prospects(self.study, {here: left[trial] for here, trial in numbers.items()})
        return found and replace(found, frozen={numbers[here]: value for here, value in found.frozen.items()})

    def reject(self, ask: Ask, constraints: Constraints) -> Rejected:
        """Tell the sampler that an ask exceeded a limit; return what it was told."""
        trial = self._asked.pop(ask.number)
        self._constrain(trial, constraints)
        if self._worst:
            self.study.tell(trial.number, self._worst_values())
        else:
            self.study.tell(trial.number, state=TrialState.PRUNED)
        return Rejected(ask.number, ask.params, ask.distributions, constraints, ask.sampler_attrs)

    def forget(self, ask: Ask) -> None:
        """End an ask from which the sampler can learn nothing, such as one that drew a known network."""
        self.study.tell(self._asked.pop(ask.number).number, state=TrialState.FAIL)

    def impute(self, expected: Mapping[int, Expected]) -> None:
        """Show these unfinished trials, and no others, with their predicted results from now on.

        Args:
            expected: predicted results, by the trials' stored numbers.
        """
        self._storage.imputed = {}
        trials = self.study.get_trials(deepcopy=False)
        imputed = {}
        for number, outlook in expected.items():
            trial = trials[self._trials[number]]
            attributes = {DEVIATION: outlook.deviation, SECONDS: outlook.seconds}
            imputed[trial.number] = completed(trial, self._scaled(outlook.values), attributes)
        self._storage.imputed = imputed

    def follow(self, record: Record) -> None:
        """Take over a stored trial that was added or has ended, or a repeat of it that has ended.

        Args:
            record: the trial as it is now.
        """
        if record.state == State.RUNNING:
            self._add(record)
            return
        self._storage.imputed.pop(self._trials[record.number], None)
        match record.state:
            case State.COMPLETE if record.repeats:
                self._correct(record)
            case State.COMPLETE:
                self._complete(record)
            case state:
                self.study.tell(self._trials[record.number], state=_STATES[state])

    def restore(self, records: Sequence[Record], tail: Sequence[Rejected]) -> None:
        """Fill an empty view from a stored study, in the order of its asks.

        Args:
            records: the stored trials.
            tail: rejected asks after the last of them.
        """
        asked: list[tuple[int, Record | Rejected]] = [(rejected.ask, rejected) for rejected in tail]
        for record in records:
            asked += [(rejected.ask, rejected) for rejected in record.candidate.rejected]
            asked.append((record.candidate.ask, record))
        for _, item in sorted(asked, key=lambda pair: pair[0]):
            if isinstance(item, Rejected):
                self.study.add_trial(self._rejected_trial(item))
            else:
                self._restore_record(item)

    def _ask(self, number: int, enqueued: Draw | None) -> Ask:
        self.study.sampler = self._sampler(ask_seed(self._seed, number))
        trial = self.study.ask()
        architecture = self._architecture(trial, enqueued or self._drawn(trial))
        self._asked[number] = trial
        asked = self._frozen(trial.number)
        noted = {key: value for key, value in asked.system_attrs.items() if not key.startswith("constraints")}
        return Ask(number, architecture, asked.params, asked.distributions, noted)

    def _drawn(self, trial: Trial) -> Draw | None:
        """Return the sampler's draw of a whole architecture, None if it draws parameters one by one."""
        if not isinstance(self.study.sampler, DrawingSampler):
            return None
        _ = trial.relative_params  # Optuna draws no sooner than a parameter is asked for
        return self.study.sampler.drawn(trial.number)

    def _architecture(self, trial: Trial, draw: Draw | None) -> Architecture:
        """Choose the parameters of a trial; return the architecture that they make."""
        if draw is None:
            return self._space.sample(TrialChooser(trial))
        draw.suggest(trial)
        return draw.architecture

    def _add(self, record: Record) -> None:
        trial = self._asked.pop(record.candidate.ask)
        self._constrain(trial, record.candidate.constraints)
        self._trials[record.number] = trial.number

    def _complete(self, record: Record) -> None:
        trial = self._trials[record.number]
        if record.full_seconds:
            study = self._storage.get_study_id_from_name(self.study.study_name)
            identity = self._storage.get_trial_id_from_study_id_trial_number(study, trial)
            self._storage.set_trial_user_attr(identity, SECONDS, record.full_seconds)
        self.study.tell(trial, self._values(record))

    def _correct(self, record: Record) -> None:
        """Replace the values of a complete trial by the means over its trainings, if a repeat is among these."""
        if record.trainings > 1:
            trial = self._frozen(self._trials[record.number])
            self._storage.corrected[trial.number] = completed(trial, self._values(record), {})

    @contextmanager
    def _imputed(self, expected: Mapping[int, Expected]) -> Iterator[None]:
        before = self._storage.imputed
        self.impute(expected)
        try:
            yield
        finally:
            self._storage.imputed = before

    def _restore_record(self, record: Record) -> None:
        values = record.values
        self.study.add_trial(
            create_trial(
                state=TrialState.COMPLETE if values else _STATES[record.state],
                values=self._scaled(values) if values else None,
                user_attrs={SECONDS: record.full_seconds} if values and record.seconds else None,
                **_choices(record.candidate),
            )
        )
        self._trials[record.number] = len(self.study.get_trials(deepcopy=False)) - 1

    def _rejected_trial(self, rejected: Rejected) -> FrozenTrial:
        if self._worst:
            return create_trial(state=TrialState.COMPLETE, values=self._worst_values(), **_choices(rejected))
        return create_trial(state=TrialState.PRUNED, **_choices(rejected))

    def _values(self, record: Record) -> list[float]:
        assert record.values is not None, "a complete trial has values"
        return self._scaled(record.values)

    def _scaled(self, values: Mapping[str, float]) -> list[float]:
        return [axis.scaled(values[axis.name]) for axis in self._axes]

    def _worst_values(self) -> list[float]:
        return [WORST_SCALED if axis.direction == "minimize" else -WORST_SCALED for axis in self._axes]

    def _constrain(self, trial: Trial, constraints: Constraints) -> None:
        for name, excess in constraints.items():
            trial.set_constraint(name, excess)

    def _frozen(self, number: int) -> FrozenTrial:
        return self.study.get_trials(deepcopy=False)[number]


def _choices(item: Candidate | Rejected) -> dict[str, Any]:
    return {
        "params": dict(item.params),
        "distributions": dict(item.distributions),
        "system_attrs": dict(item.sampler_attrs),
        "constraints": dict(item.constraints) or None,
    }
