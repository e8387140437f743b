"""An Optuna trial as the one who makes the choices of a space."""

from __future__ import annotations

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
        step = options[1] - options[0]
        if options == tuple(range(options[0], options[-1] + 1, step)):
            return self._trial.suggest_int(path, options[0], options[-1], step=step)
        return options[self._trial.suggest_int(path, 0, len(options) - 1)]

    def option(self, path: str, options: tuple[Value, ...]) -> Value:
        """One of `options`."""
        return cast(Value, self._trial.suggest_categorical(path, options))
