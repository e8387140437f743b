"""What the sampler sees: an Optuna study in memory, kept in step with the stored one.

Asking is fast here, however many trials are stored, and the view holds what the stored study should not:
architectures that broke a limit, so that the sampler learns where the limits are, and trials that wait half trained or
were given up, as complete with what they are expected to come to. Costs on a logarithmic axis are
told as logarithms, since samplers weigh trials by hypervolume. An ask is a function of the view, the seed and the
ask's running number alone: a fresh sampler is made for each, so a resumed search asks what an unbroken one would have
asked.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from nas.jobs.hashes import derived_seed
from nas.objectives.pareto import Axis
from nas.samplers.imputation import DEVIATION, SECONDS, ForeseeingStorage, foreseen
from nas.samplers.parameters import ParameterNotes, TrialChooser
from nas.study.trial import Candidate, Constraints, Expected, Prospects, Record, Rejected, State
from search_space.architecture import Architecture
from search_space.choices import SpaceError
from search_space.space import Space

WORST_SCALED = 1e3
_DIRECTIONS = {"maximize": StudyDirection.MAXIMIZE, "minimize": StudyDirection.MINIMIZE}
SamplerFactory = Callable[[int], BaseSampler]


@runtime_checkable
class Prophet(Protocol):
    """A sampler that can say what the next jobs promise."""

    def prospects(self, study: optuna.Study, left: Mapping[int, float]) -> Prospects | None:
        """What its next draw promises, and going on with trials of `study` that need so many seconds more."""
        ...


@dataclass(frozen=True)
class Ask:
    """One draw of the sampler.

    Attributes:
        number: running number of the ask, from 0.
        architecture: what was drawn, normalised.
        params: what was chosen, by path.
        distributions: what could be chosen, by path.
        sampler_attrs: what the sampler noted on its trial.
        trial: the view's own trial.
    """

    number: int
    architecture: Architecture
    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    sampler_attrs: Mapping[str, Any]
    trial: Trial


def ask_seed(seed: int, number: int) -> int:
    """Seed of the sampler for one ask, in [0, 2³²)."""
    return derived_seed(f"ask:{seed}:{number}", 32)


class View:
    """The in-memory study behind the asks."""

    def __init__(self, space: Space, axes: Sequence[Axis], sampler: SamplerFactory, *, seed: int, worst: bool) -> None:
        """An empty view.

        Args:
            space: what to draw from.
            axes: the objectives.
            sampler: makes the sampler of one ask from its seed.
            seed: seeds the whole search.
            worst: whether a rejected architecture is told as complete with the worst values, for samplers that learn
                from complete trials only, instead of as pruned.
        """
        self._space = space
        self._axes = tuple(axes)
        self._sampler = sampler
        self._seed = seed
        self._worst = worst
        self._trials: dict[int, int] = {}
        self._storage = ForeseeingStorage()
        self.study = optuna.create_study(
            storage=self._storage, directions=[_DIRECTIONS[axis.direction] for axis in axes]
        )

    def ask(self, number: int) -> Ask:
        """Draw an architecture; `number` counts the asks of this study and seeds this one."""
        self.study.sampler = self._sampler(ask_seed(self._seed, number))
        trial = self.study.ask()
        architecture = self._space.sample(TrialChooser(trial))
        asked = self._frozen(trial)
        noted = {key: value for key, value in asked.system_attrs.items() if not key.startswith("constraints")}
        return Ask(number, architecture, asked.params, asked.distributions, noted, trial)

    def ask_near(self, number: int, architecture: Architecture, steps: int) -> Ask:
        """Take an architecture `steps` mutations away from `architecture` as what the sampler draws at ask `number`."""
        generator = random.Random(ask_seed(self._seed, number))
        try:
            for _ in range(steps):
                architecture = self._space.mutate(architecture, generator)
        except SpaceError:  # it has no neighbours: let the sampler draw it again
            return self.ask(number)
        notes = ParameterNotes(self._space.assignments(architecture))
        self._space.sample(notes)
        self.study.enqueue_trial(notes.params)
        return self.ask(number)

    def prospects(self, number: int, left: Mapping[int, float]) -> Prospects | None:
        """What the sampler of ask `number` promises of it, and of going on with stored trials; None if it can't say.

        Args:
            number: running number of the next ask.
            left: seconds that the trials still need, by their stored numbers.
        """
        sampler = self._sampler(ask_seed(self._seed, number))
        if not isinstance(sampler, Prophet):
            return None
        numbers = {self._trials[trial]: trial for trial in left}
        found = sampler.prospects(self.study, {here: left[trial] for here, trial in numbers.items()})
        return found and replace(found, frozen={numbers[here]: value for here, value in found.frozen.items()})

    def accept(self, ask: Ask, number: int, constraints: Constraints) -> None:
        """The ask became the stored trial `number`, which now runs."""
        self._constrain(ask.trial, constraints)
        self._trials[number] = ask.trial.number

    def reject(self, ask: Ask, constraints: Constraints) -> Rejected:
        """The ask broke a limit: the sampler is told, and what it was told is returned."""
        self._constrain(ask.trial, constraints)
        if self._worst:
            self.study.tell(ask.trial.number, self._worst_values())
        else:
            self.study.tell(ask.trial.number, state=TrialState.PRUNED)
        return Rejected(ask.number, ask.params, ask.distributions, constraints, ask.sampler_attrs)

    def forget(self, ask: Ask) -> None:
        """The ask led to nothing that the sampler could learn from, such as a network that is known already."""
        self.study.tell(ask.trial.number, state=TrialState.FAIL)

    def expect(self, expected: Mapping[int, Expected]) -> None:
        """From now on the sampler sees these stored trials, none of them complete, with what is expected of them."""
        self._storage.foreseen = {}
        trials = self.study.get_trials(deepcopy=False)
        for number, outlook in expected.items():
            trial = trials[self._trials[number]]
            attributes = {DEVIATION: outlook.deviation, SECONDS: outlook.seconds}
            self._storage.foreseen[trial.number] = foreseen(trial, self._scaled(outlook.values), attributes)

    def tell(self, number: int, values: Mapping[str, float], seconds: float | None = None) -> None:
        """The stored trial `number` is complete; `seconds` is what a full training of it takes."""
        trial = self._trials[number]
        if seconds:
            study = self._storage.get_study_id_from_name(self.study.study_name)
            identity = self._storage.get_trial_id_from_study_id_trial_number(study, trial)
            self._storage.set_trial_user_attr(identity, SECONDS, seconds)
        self.study.tell(trial, self._scaled(values))

    def correct(self, number: int, values: Mapping[str, float]) -> None:
        """The complete trial `number` counts with these values from now on, the means over its trainings."""
        trial = self.study.get_trials(deepcopy=False)[self._trials[number]]
        self._storage.corrected[trial.number] = foreseen(trial, self._scaled(values), {})

    def prune(self, number: int) -> None:
        """The stored trial `number` was given up."""
        self.study.tell(self._trials[number], state=TrialState.PRUNED)

    def fail(self, number: int) -> None:
        """The stored trial `number` failed."""
        self.study.tell(self._trials[number], state=TrialState.FAIL)

    def restore(self, records: Sequence[Record], tail: Sequence[Rejected]) -> None:
        """Fill an empty view with what a stored study knows, in the order in which it was asked for.

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

    def _restore_record(self, record: Record) -> None:
        values = record.values
        states = {State.RUNNING: TrialState.RUNNING, State.PRUNED: TrialState.PRUNED, State.FAILED: TrialState.FAIL}
        self.study.add_trial(
            create_trial(
                state=TrialState.COMPLETE if values else states[record.state],
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

    def _scaled(self, values: Mapping[str, float]) -> list[float]:
        return [axis.scaled(values[axis.name]) for axis in self._axes]

    def _worst_values(self) -> list[float]:
        return [WORST_SCALED if axis.direction == "minimize" else -WORST_SCALED for axis in self._axes]

    def _constrain(self, trial: Trial, constraints: Constraints) -> None:
        for name, excess in constraints.items():
            trial.set_constraint(name, excess)

    def _frozen(self, trial: Trial) -> FrozenTrial:
        return self.study.get_trials(deepcopy=False)[trial.number]


def _choices(item: Candidate | Rejected) -> dict[str, Any]:
    return {
        "params": dict(item.params),
        "distributions": dict(item.distributions),
        "system_attrs": dict(item.sampler_attrs),
        "constraints": dict(item.constraints) or None,
    }
