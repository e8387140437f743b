"""Optimizer of the acquisition function: suggests the network to train next, given the trials of a study.

The first suggestions are a space-filling start over the cost. Then the acquisition function is maximised over random
candidates and, in two rounds, over mutations and crossings of the front and of the best candidates.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import final

import numpy as np

from nas.objectives.requirements import Measure
from nas.samplers.known_cost.acquisition import (
    Acquisition,
    Problem,
    TrialHistory,
    fit_acquisition,
    log_costs,
)
from nas.samplers.known_cost.candidates import CandidateSource, Network, NetworkRegistry
from nas.samplers.known_cost.settings import Settings
from nas.samplers.prior import Prior
from nas.study.belief.gp import Floats
from nas.study.belief.surrogate import SurrogateFitter
from nas.study.trial import Prospects
from search_space.architecture import Architecture
from search_space.space import Space

FIRST_DRAWS = 512
"""Random networks that candidates begin with."""

DRAWS_A_TRIAL = 8
"""Further random networks for each trial, up to `Settings.pool`."""

NEAREST = 8
"""Networks nearest to the wanted cost, one of which the space-filling start takes."""

PARENTS = 10
"""Best candidates of the first round that are mutated and crossed in the second."""

CROSSED = 0.25
"""Probability that a child has two parents."""

CACHED_DENSITIES = 4096
MOST_FAVOUR = 500.0
"""Bound of the logarithm of a prior's factor, which keeps the factor finite."""


@final
class Optimizer:
    """Optimizer of the acquisition function.

    What it has measured and fitted is kept from one suggestion to the next, which saves time and changes no result.
    """

    def __init__(
        self,
        space: Space,
        measure: Measure,
        problem: Problem,
        settings: Settings,
        fits: Callable[[Architecture], bool] = lambda architecture: True,  # noqa: ARG005 - no limit on memory
        prior: Prior | None = None,
    ) -> None:
        """Make an optimizer that has measured nothing yet.

        Args:
            space: space to search.
            measure: returns a network's identity and costs.
            problem: objectives and limits.
            settings: settings of the sampler.
            fits: returns whether a training step of a network fits into the memory of a slot.
            prior: prior over the choices; None for a uniform one.
        """
        self.networks = NetworkRegistry(space, measure)
        self.problem = problem
        self._settings = settings
        self._source = CandidateSource(self.networks, problem.is_feasible)
        self._check_fit = fits
        self._prior = prior
        self._log_density = lru_cache(CACHED_DENSITIES)(prior.log_density) if prior else None
        self._fits: dict[str, bool] = {}
        self._fitter = SurrogateFitter(self.networks.features.layout)
        self._acquisition: tuple[object, Acquisition] | None = None
        self._maximum: tuple[object, Network, float] | None = None

    def suggest(self, history: TrialHistory, generator: random.Random) -> Network:
        """Return the network to train next: a new one within the limits, if one is found."""
        candidates = self._random_candidates(history)
        fresh = [network for network in candidates if network.network_id not in history.drawn]
        if not fresh:
            return self._neighbour_or_random(history, generator)
        if self._is_starting(history):
            preferred = self._prior_draws(history, generator) or fresh
            return self._space_filling(candidates, preferred, history, generator)
        return self._maximise(fresh, history, generator)[0]

    def prospects(self, history: TrialHistory, left: Mapping[int, float], generator: random.Random) -> Prospects | None:
        """Return the acquisition values of the next suggestion and of continuing frozen trials.

        Args:
            history: the trials.
            left: seconds that frozen trials still need, by their numbers.
            generator: in the state in which `suggest` will get it; the suggestion is then computed once.

        Returns:
            None during the space-filling start, and if no new network is left.
        """
        fresh = [n for n in self._random_candidates(history) if n.network_id not in history.drawn]
        if self._is_starting(history) or not fresh:
            return None
        _, new = self._maximise(fresh, history, generator)
        waiting = [(number, n) for number, n in zip(history.numbers, history.networks, strict=True) if number in left]
        if not waiting:
            return Prospects(new, {})
        seconds = np.array([left[number] for number, _ in waiting])
        networks = [network for _, network in waiting]
        values = self._fitted_acquisition(history).evaluate_frozen(networks, seconds) * self._favour(networks, history)
        return Prospects(new, {number: float(value) for (number, _), value in zip(waiting, values, strict=True)})

    def _is_starting(self, history: TrialHistory) -> bool:
        return len(history.drawn) < self._settings.start or not history.networks

    def _random_candidates(self, history: TrialHistory) -> Sequence[Network]:
        draws = min(self._settings.pool, FIRST_DRAWS + DRAWS_A_TRIAL * len(history.drawn))
        return self._source.random_candidates(draws)

    def _neighbour_or_random(self, history: TrialHistory, generator: random.Random) -> Network:
        """Return a new mutation of a known network or, if none is found, any network of the space."""
        known = [*history.networks, *history.running]
        for _ in range(self._settings.changes if known else 0):
            child = self._source.mutate(generator.choice(known), generator)
            if child is not None and child.network_id not in history.drawn:
                return child
        return self.networks.network(self.networks.space.draw(generator))

    def _space_filling(
        self,
        candidates: Sequence[Network],
        fresh: Sequence[Network],
        history: TrialHistory,
        generator: random.Random,
    ) -> Network:
        """Return one of the `NEAREST` new networks to the next point of a low-discrepancy sequence over the cost.

        The sequence begins in the middle, where the networks are that take no long time and tell something.
        """
        levels, fresh_levels = self._cost_levels(candidates), self._cost_levels(fresh)
        target = levels.min() + radical_inverse(len(history.drawn) + 1) * (levels.max() - levels.min())
        order = [int(index) for index in np.argsort(np.abs(fresh_levels - target), kind="stable")[:NEAREST]]
        generator.shuffle(order)
        return self._first_that_fits(fresh[index] for index in order)

    def _cost_levels(self, networks: Sequence[Network]) -> Floats:
        """Return the cost of networks as one number (n,): the mean of the known losses, or of all log costs."""
        if self.problem.costs:
            return self.problem.cost_losses(networks).mean(axis=1)  # type: ignore[no-any-return]
        return log_costs(networks).mean(axis=1)  # type: ignore[no-any-return]

    def _maximise(
        self, fresh: Sequence[Network], history: TrialHistory, generator: random.Random
    ) -> tuple[Network, float]:
        """Return the candidate with the highest acquisition value, and the value."""
        key = (history.key, generator.getstate())
        if self._maximum is None or self._maximum[0] != key:
            acquisition = self._fitted_acquisition(history)
            first = [*fresh, *self._children(acquisition.front(), history, generator)]
            first += self._prior_draws(history, generator)
            best = np.argsort(-acquisition.evaluate(first) * self._favour(first, history), kind="stable")[:PARENTS]
            parents = [first[index] for index in best]
            second = [*parents, *self._children(parents, history, generator)]
            values = acquisition.evaluate(second) * self._favour(second, history)
            chosen = self._first_that_fits(second[index] for index in np.argsort(-values, kind="stable"))
            self._maximum = (key, chosen, float(values[second.index(chosen)]))
        return self._maximum[1:]

    def _fitted_acquisition(self, history: TrialHistory) -> Acquisition:
        """Return the acquisition function after these trials; the last one is cached."""
        if self._acquisition is None or self._acquisition[0] != history.key:
            fitted = fit_acquisition(self.problem, self._fitter, history, self._settings.seconds_power)
            self._acquisition = (history.key, fitted)
        return self._acquisition[1]

    def _favour(self, networks: Sequence[Network], history: TrialHistory) -> Floats:
        """Return the factors (n,) of acquisition values: prior densities to the power that counts now, 1 without one.

        Hvarfner et al. 2022, equation 6.
        """
        if self._prior is None or self._log_density is None:
            return np.ones(len(networks))
        logs = np.array([self._log_density(network.architecture) for network in networks])
        return np.exp(np.clip(self._prior.exponent(len(history.networks)) * logs, -MOST_FAVOUR, MOST_FAVOUR))

    def _prior_draws(self, history: TrialHistory, generator: random.Random) -> list[Network]:
        """Return new networks within the limits that are drawn from the prior, none without one."""
        if self._prior is None:
            return []
        found: dict[str, Network] = {}
        for _ in range(self._settings.changes // 2):
            network = self.networks.network(self._prior.draw(generator, len(history.networks)))
            if network.network_id not in history.drawn and self.problem.is_feasible(network.costs):
                found.setdefault(network.network_id, network)
        return list(found.values())

    def _first_that_fits(self, ranked: Iterable[Network]) -> Network:
        """Return the first network that fits into a slot; if none does, the last one, which the driver rejects."""
        for network in ranked:
            if network.network_id not in self._fits:
                self._fits[network.network_id] = self._check_fit(network.architecture)
            if self._fits[network.network_id]:
                break
        return network

    def _children(self, parents: Sequence[Network], history: TrialHistory, generator: random.Random) -> list[Network]:
        """Return new networks that are mutations of the parents, or mutated crossings of two of them."""
        found: dict[str, Network] = {}
        for _ in range(self._settings.changes // 2 if parents else 0):
            parent = generator.choice(parents)
            if len(parents) > 1 and generator.random() < CROSSED:
                parent = self._source.cross(parent, generator.choice(parents), generator) or parent
            child = self._source.mutate(parent, generator)
            if child is not None and child.network_id not in history.drawn:
                found.setdefault(child.network_id, child)
        return list(found.values())


def radical_inverse(number: int) -> float:
    """Return a term of van der Corput's low-discrepancy sequence to base 2, in (0, 1).

    >>> [radical_inverse(number) for number in range(1, 6)]
    [0.5, 0.25, 0.75, 0.125, 0.625]
    """
    return float(int(f"{number:b}"[::-1], 2) / 2 ** number.bit_length())
