"""Random search: every option with the same probability, every network trained in full."""

from __future__ import annotations

import itertools
import random

from protocol import Config, Problem, Proposal, Result, serve


class RandomSearch:
    """Optimizer that draws at random."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._generator = random.Random(problem.seed)
        self._numbers = itertools.count()

    def ask(self) -> Proposal:
        """Return a random network, to be trained in full."""
        config = self._problem.random_config(self._generator)
        return Proposal(str(next(self._numbers)), config, self._problem.epochs)

    def tell(self, identity: str, config: Config, result: Result) -> None:
        """Do nothing."""

    def note(self, config: Config, result: Result) -> None:
        """Do nothing."""


if __name__ == "__main__":
    serve(RandomSearch)
