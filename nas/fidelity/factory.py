"""Factory of fidelity policies, by the name of a module of this package or a dotted path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from nas.config.fidelity import FidelitySpec
from nas.fidelity.policy import Inheriting, Policy
from nas.fidelity.repeats import Repeating
from nas.jobs import Curve
from nas.objectives.costs import built_in_costs
from nas.objectives.pareto import Axis
from nas.study.belief import Believer
from search_space.plugins import PluginKind

POLICY = PluginKind("fidelity.name", "nas.fidelity", "make")


@dataclass(frozen=True)
class Horizon:
    """Full training and objectives that a policy is made for.

    Attributes:
        epochs: epochs of a full training, at least 1.
        axes: the objectives.
        values: returns the objectives, by name, at the end of a learning curve, given the network's costs.
        costs: the cost that an objective is, by the objective's name, for those that are costs.
        believer: believer of the study; None believes measured values.
        validate_every: epochs from one validation to the next, at least 1; the last epoch of a job has one in any case.
    """

    epochs: int
    axes: Sequence[Axis]
    values: Callable[[Curve, Mapping[str, float]], Mapping[str, float]]
    costs: Mapping[str, str] = field(default_factory=lambda: {name: name for name in built_in_costs().names})
    believer: Believer | None = None
    validate_every: int = 1

    def check_rungs(self, rungs: Sequence[int]) -> None:
        """Check that every trial which passes a rung is validated there.

        Raises:
            ValueError: it is not.
        """
        for rung in rungs:
            if rung % self.validate_every and rung != self.epochs:
                raise ValueError(
                    "epochs at which fidelity compares trials must be multiples of training.validate_every="
                    f"{self.validate_every}, got epoch {rung} of {self.epochs}"
                )


def policy_of(spec: FidelitySpec, horizon: Horizon) -> Policy:
    """Return the policy that a configuration names, wrapped in `Repeating` if it asks for repeats.

    Raises:
        ValueError: there is no such policy, it has no such option, or a value is out of range.
    """
    policy = cast(Policy, POLICY.make(spec.name, horizon, spec.options))
    if spec.repeats and isinstance(policy, Inheriting):
        raise ValueError(
            "repeats are averaged over trainings of one kind, and networks that inherit weights have two: "
            f"fidelity.repeats must be 0 with fidelity={spec.name}, got {spec.repeats}"
        )
    believer = horizon.believer or Believer.of_measured(horizon.axes)
    return Repeating(policy, believer, spec.repeats) if spec.repeats else policy
