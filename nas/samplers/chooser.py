"""Between the choices of a space and the parameters of an Optuna trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast, final

from optuna.trial import Trial

from search_space.choices import Value


@final
class TrialChooser:
    """Every choice is a parameter of the trial, named by its path.

    Evenly spaced integers become an integer parameter with a step; other ordered integers a parameter that counts
    them from 0, so that their order is kept.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def integer(self, path: str, options: tuple[int, ...]) -> int:
        """One of `options`."""
        if _evenly_spaced(options):
            return self._trial.suggest_int(path, options[0], options[-1], step=options[1] - options[0])
        return options[self._trial.suggest_int(path, 0, len(options) - 1)]

    def option(self, path: str, options: tuple[Value, ...]) -> Value:
        """One of `options`."""
        return cast(Value, self._trial.suggest_categorical(path, options))


@final
class ParameterNotes:
    """Makes recorded choices, and notes the parameters of a trial that would make them too."""

    def __init__(self, chosen: Mapping[str, Value]) -> None:
        self._chosen = chosen
        self.params: dict[str, Value] = {}

    def integer(self, path: str, options: tuple[int, ...]) -> int:
        """The recorded one of `options`."""
        value = int(self._chosen[path])
        self.params[path] = value if _evenly_spaced(options) else options.index(value)
        return value

    def option(self, path: str, options: tuple[Value, ...]) -> Value:  # noqa: ARG002 - any of them is its own parameter
        """The recorded one of `options`."""
        self.params[path] = self._chosen[path]
        return self._chosen[path]


def _evenly_spaced(options: tuple[int, ...]) -> bool:
    return options == tuple(range(options[0], options[-1] + 1, options[1] - options[0]))
