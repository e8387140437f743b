"""Parameters of an Optuna trial for the choices of a space, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast, final

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import Trial

from search_space.architecture import Architecture
from search_space.choices import Value
from search_space.space import Space


@final
class TrialChooser:
    """Chooser that suggests every choice as a parameter of a trial, named by its path.

    Evenly spaced integers become an integer parameter with a step. Other ordered integers become their index, which
    keeps their order.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def integer(self, path: str, options: tuple[int, ...]) -> int:
        """Suggest one of `options`."""
        if _evenly_spaced(options):
            return self._trial.suggest_int(path, options[0], options[-1], step=options[1] - options[0])
        return options[self._trial.suggest_int(path, 0, len(options) - 1)]

    def option(self, path: str, options: tuple[Value, ...]) -> Value:
        """Suggest one of `options`."""
        return cast(Value, self._trial.suggest_categorical(path, options))


@final
class ParameterNotes:
    """Chooser that makes recorded choices, and notes the parameters of a trial that makes the same ones.

    Attributes:
        params: parameters by path.
        distributions: their distributions by path, as `TrialChooser` suggests them.
    """

    def __init__(self, chosen: Mapping[str, Value]) -> None:
        self._chosen = chosen
        self.params: dict[str, Value] = {}
        self.distributions: dict[str, BaseDistribution] = {}

    def integer(self, path: str, options: tuple[int, ...]) -> int:
        """Return the recorded one of `options`."""
        value = int(self._chosen[path])
        if _evenly_spaced(options):
            self.params[path] = value
            self.distributions[path] = IntDistribution(options[0], options[-1], step=options[1] - options[0])
        else:
            self.params[path] = options.index(value)
            self.distributions[path] = IntDistribution(0, len(options) - 1)
        return value

    def option(self, path: str, options: tuple[Value, ...]) -> Value:
        """Return the recorded one of `options`."""
        self.params[path] = self._chosen[path]
        self.distributions[path] = CategoricalDistribution(options)
        return self._chosen[path]


@final
class ParameterChooser:
    """Chooser that makes the choices of a trial with these parameters; a missing one raises a KeyError."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params

    def integer(self, path: str, options: tuple[int, ...]) -> int:
        """Return the one of `options` that the parameter stands for."""
        value = int(self._params[path])
        return value if _evenly_spaced(options) else options[value]

    def option(self, path: str, options: tuple[Value, ...]) -> Value:  # noqa: ARG002 - an option is its own parameter
        """Return the parameter itself."""
        return cast(Value, self._params[path])


@cache
def _evenly_spaced(options: tuple[int, ...]) -> bool:
    return options == tuple(range(options[0], options[-1] + 1, options[1] - options[0]))


@final
@dataclass(frozen=True)
class Draw:
    """Architecture of a trial, with the parameters that choose it.

    Attributes:
        architecture: the normalised architecture.
        params: values of the parameters, by path.
        distributions: distributions of the parameters, by path, in the order of the choices.
    """

    architecture: Architecture
    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]

    @classmethod
    def of(cls, space: Space, architecture: Architecture) -> Draw:
        """Return the draw of an architecture of a space."""
        notes = ParameterNotes(space.assignments(architecture))
        return cls(space.sample(notes), notes.params, notes.distributions)

    def suggest(self, trial: Trial) -> None:
        """Suggest the parameters to a trial, as `TrialChooser` would; they are fixed, or the sampler has them."""
        for path, distribution in self.distributions.items():
            if isinstance(distribution, IntDistribution):
                trial.suggest_int(path, distribution.low, distribution.high, step=distribution.step)
            elif isinstance(distribution, CategoricalDistribution):
                trial.suggest_categorical(path, distribution.choices)
