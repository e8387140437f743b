"""Trials of other programs in a study: those that choose an architecture of its space are taken as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from optuna.trial import TrialState

from nas.objectives.costs import built_in_costs
from nas.objectives.pareto import Axis
from nas.objectives.requirements import Measure, exact_measure
from nas.study.belief.stored import cost_axes, is_of_space, stored_space
from nas.study.checked import DamageError
from nas.study.parameters import Draw, ParameterChooser
from nas.study.storage.trial_reading import Trial
from nas.study.stored_trial import values_of
from nas.study.training_state import TrainingState
from nas.study.trial import NO_ASK, Candidate, Record, State
from search_space.choices import Value
from search_space.lowering import summary
from search_space.space import Space

UNREADABLE = (KeyError, IndexError, TypeError, ValueError, OverflowError)
_DEFAULTS: Mapping[str, Callable[[], object]] = {
    "constraints": dict,
    "rejected": tuple,
    "skipped": dict,
    "sampler_attrs": dict,
}
FIXED = "fixed_params"
"""System attribute in which Optuna keeps the parameters of an enqueued trial."""


@final
class ForeignTrials:
    """Reads trials that no search made: results as imported ones, enqueued trials as wishes."""

    def __init__(self, space: Space, axes: Sequence[Axis], costs: Mapping[str, str]) -> None:
        """Read the trials of one study.

        Args:
            space: its space.
            axes: its objectives.
            costs: the cost that an objective is, by the objective's name, for those that are costs.
        """
        self._space = space
        self._axes = tuple(axes)
        self._costs = costs
        self._measure: Measure = exact_measure()

    @classmethod
    def of(
        cls, fingerprint: Mapping[str, Any], axes: Sequence[Axis], config: Mapping[str, Any] | None
    ) -> ForeignTrials | None:
        """Return the reader for a stored study, None if its space can't be read here.

        Args:
            fingerprint: its fingerprint.
            axes: its objectives.
            config: configuration of its latest search; None if it is not known.
        """
        if not is_of_space(fingerprint):
            return None
        try:
            return cls(stored_space(fingerprint), axes, cost_axes(axes, config))
        except ValueError:
            return None

    def record(self, trial: Trial, *, whole: bool) -> Record:
        """Return a complete trial as an imported one, with exact costs and without a curve.

        Args:
            trial: the trial.
            whole: whether the choices of its candidate are made too; else they are when they are asked for.

        Raises:
            DamageError: it is not complete, or gives no architecture of the space, or a value is out of range.
        """
        if trial.state != TrialState.COMPLETE:
            raise DamageError(f"is {trial.state.name.lower()} under no search")
        candidate = self.candidate(trial.params, whole=whole)
        values = dict(zip([axis.name for axis in self._axes], trial.values or (), strict=False))
        values |= {name: float(candidate.costs[cost]) for name, cost in self._costs.items()}
        return Record(trial.number, State.COMPLETE, candidate, (), TrainingState(), values_of(values, self._axes), None)

    def wish(self, trial: Trial) -> Candidate:
        """Return the architecture that an enqueued trial asks for.

        Raises:
            DamageError: it gives no architecture of the space.
        """
        return self.candidate(trial.system_attrs[FIXED], whole=True)

    def candidate(self, params: Mapping[str, Any], *, whole: bool) -> Candidate:
        """Return the architecture of some parameters as a candidate that no ask drew.

        Args:
            params: the parameters.
            whole: whether the choices, the JSON form and the summary are made too; else they are when they are asked
                for.

        Raises:
            DamageError: they give no architecture of the space.
        """
        unknown = set(self._costs.values()) - set(built_in_costs().names)
        if unknown:
            raise DamageError(f"has no {', '.join(sorted(unknown))}, a cost of its study's own")
        chooser = _NotingChooser(params)
        try:
            architecture = self._space.sample(chooser)
        except UNREADABLE as error:
            lacking = f"parameter {error} is missing" if isinstance(error, KeyError) else str(error)
            raise DamageError(f"has no architecture: {' '.join(lacking.split())[:200]}") from None
        if not chooser.offered:
            raise DamageError("has no architecture of the space")
        late: dict[str, Callable[[], Any]] = {
            "params": lambda: Draw.of(self._space, architecture).params,
            "distributions": lambda: Draw.of(self._space, architecture).distributions,
            "architecture": architecture.to_json,
            "id": lambda: architecture.id,
            "summary": lambda: summary(architecture),
        }
        network_id, costs = self._measure(architecture)
        return Candidate.deferred(
            {} if whole else late,
            **({name: make() for name, make in late.items()} if whole else {}),
            **{name: make() for name, make in _DEFAULTS.items()},
            ask=NO_ASK,
            network_id=network_id,
            costs=costs,
            seed=0,
            imported=True,
        )


@final
class _NotingChooser:
    """Chooser that makes the choices of some parameters.

    Attributes:
        offered: whether all of them were among their options.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._chooser = ParameterChooser(params)
        self.offered = True

    def integer(self, path: str, options: tuple[int, ...]) -> int:
        """Return the one of `options` that the parameter stands for."""
        value = self._chooser.integer(path, options)
        self.offered &= value in options
        return value

    def option(self, path: str, options: tuple[Value, ...]) -> Value:
        """Return the parameter itself."""
        value = self._chooser.option(path, options)
        self.offered &= value in options
        return value
