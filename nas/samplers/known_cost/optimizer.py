"""Which network promises most, from the trials seen so far: candidates, surrogate and acquisition put together."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from nas.config.specs import check_positive
from nas.samplers.known_cost.acquisition import Goal, Promise, Scale, Seen, Weighing, log_costs, promise
from nas.samplers.known_cost.candidates import Measure, Network, Networks, Source
from nas.samplers.known_cost.gp import Floats
from nas.study.trial import Prospects
from search_space.architecture import Architecture
from search_space.space import Space

FIRST_DRAWS = 500
DRAWS_A_TRIAL = 50
NEAREST = 16
PARENTS = 10
CROSSED = 0.25


@dataclass(frozen=True)
class Tuning:
    """Settings of the known-cost sampler.

    Attributes:
        start: draws that are spread over the cost before the surrogate decides, at least 1.
        seconds_power: power of the predicted seconds that an improvement is divided by, at least 0.
        pool: random candidates, at least 1.
        changes: candidates that are changes of the best ones, at least 0.
        smooth: whether networks that are known count with what the surrogate thinks of them, instead of with what was
            measured.
        focus: only a network that is better than the worst of this share of random ones, the best of them, counts; in
            (0, 1], 1 for all of them.

    Raises:
        ValueError: a value out of range.
    """

    start: int = 8
    seconds_power: float = 0.5
    pool: int = 2000
    changes: int = 200
    smooth: bool = True
    focus: float = 0.5

    def __post_init__(self) -> None:
        check_positive("start", self.start)
        check_positive("pool", self.pool)
        if self.seconds_power < 0:
            raise ValueError(f"seconds_power must be at least 0, got {self.seconds_power}")
        if not 0 < self.focus <= 1:
            raise ValueError(f"focus must lie in (0, 1], got {self.focus}")
        if self.changes < 0:
            raise ValueError(f"changes must be at least 0, got {self.changes}")


@final
class Adviser:
    """Says which network to train next; what it knows of networks is kept from one advice to the next."""

    def __init__(
        self, space: Space, measure: Measure, goal: Goal, tuning: Tuning, fits: Callable[[Architecture], bool]
    ) -> None:
        """Know nothing of the space yet.

        Args:
            space: what to choose from.
            measure: tells a network's identity and costs.
            goal: what is looked for.
            tuning: settings.
            fits: whether a network can be trained at all.
        """
        self.networks = Networks(space, measure)
        self.goal = goal
        self._tuning = tuning
        self._source = Source(self.networks, goal.within)
        self._fit = fits
        self._fits: dict[str, bool] = {}
        self._expected: tuple[object, Promise] | None = None
        self._advice: tuple[object, Network, float] | None = None

    def advise(self, seen: Seen, generator: random.Random) -> Network:
        """The network to train next: a new one within the limits, where one is found."""
        stream = self._stream(seen)
        fresh = [network for network in stream if network.network_id not in seen.drawn]
        if not fresh:
            return self._anything(seen, generator)
        if self._begins(seen):
            return self._spread(stream, fresh, seen, generator)
        return self._most_promising(fresh, seen, generator)[0]

    def prospects(self, seen: Seen, left: Mapping[int, float], generator: random.Random) -> Prospects | None:
        """What the next advice promises, and going on with trials that wait half trained.

        Args:
            seen: the trials.
            left: seconds that some of them still need, by their numbers.
            generator: as for the advice, which then is given without being thought over again.

        Returns:
            None while draws are only spread, and where nothing new is left.
        """
        fresh = [network for network in self._stream(seen) if network.network_id not in seen.drawn]
        if self._begins(seen) or not fresh:
            return None
        _, new = self._most_promising(fresh, seen, generator)
        places = {place: left[number] for place, number in enumerate(seen.numbers) if number in left}
        frozen = self._promise(seen).of_unfinished(places)
        return Prospects(new, {seen.numbers[place]: value for place, value in frozen.items()})

    def _begins(self, seen: Seen) -> bool:
        return len(seen.drawn) < self._tuning.start or not seen.networks

    def _stream(self, seen: Seen) -> Sequence[Network]:
        draws = min(self._tuning.pool, FIRST_DRAWS + DRAWS_A_TRIAL * len(seen.drawn))
        return self._source.stream(draws)

    def _anything(self, seen: Seen, generator: random.Random) -> Network:
        """A change of a known network or, failing that, any network at all."""
        known = [*seen.networks, *seen.running]
        for _ in range(self._tuning.changes if known else 0):
            changed = self._source.changed(generator.choice(known), generator)
            if changed is not None and changed.network_id not in seen.drawn:
                return changed
        return self.networks.of(self.networks.space.draw(generator))

    def _spread(
        self, stream: Sequence[Network], fresh: Sequence[Network], seen: Seen, generator: random.Random
    ) -> Network:
        """Of those nearest to the next place on the scale of cost, the one that differs most from all before."""
        every, free = self._expense(stream), self._expense(fresh)
        place = every.min() + radical_inverse(len(seen.drawn) + 1) * (every.max() - every.min())
        order = [int(index) for index in np.argsort(np.abs(free - place), kind="stable")[:NEAREST]]
        generator.shuffle(order)
        known = [network.row for network in (*seen.networks, *seen.running)]
        if known:
            costs = len(fresh[0].costs)
            rows = np.array([fresh[index].row for index in order])[:, None, :-costs]
            apart = ((rows - np.array(known)[None, :, :-costs]) ** 2).sum(axis=2).min(axis=1)
            order = [order[index] for index in np.argsort(-apart, kind="stable")]
        return self._fitting(fresh[index] for index in order)

    def _expense(self, networks: Sequence[Network]) -> Floats:
        """How dear networks are (n,): the mean of their known losses, or of the logarithms of all costs."""
        if self.goal.known:
            return self.goal.losses(networks).mean(axis=1)  # type: ignore[no-any-return]
        return log_costs(networks).mean(axis=1)  # type: ignore[no-any-return]

    def _most_promising(self, fresh: Sequence[Network], seen: Seen, generator: random.Random) -> tuple[Network, float]:
        """The network that promises most, and what."""
        key = (seen.key, generator.getstate())
        if self._advice is None or self._advice[0] != key:
            expected = self._promise(seen)
            first = [*fresh, *self._changes(expected.front(), seen, generator)]
            best = np.argsort(-expected.of(first), kind="stable")[:PARENTS]
            ahead = [first[index] for index in best]
            second = [*ahead, *self._changes(ahead, seen, generator)]
            scores = expected.of(second)
            chosen = self._fitting(second[index] for index in np.argsort(-scores, kind="stable"))
            self._advice = (key, chosen, float(scores[second.index(chosen)]))
        return self._advice[1:]

    def _promise(self, seen: Seen) -> Promise:
        """What is expected after these trials, kept until others are asked about."""
        if self._expected is None or self._expected[0] != seen.key:
            tuning = self._tuning
            weighing = Weighing(tuning.seconds_power, tuning.smooth, tuning.focus)
            layout = self.networks.layout(len(seen.networks[0].costs))
            usual = self._source.stream(FIRST_DRAWS)
            self._expected = (seen.key, promise(self.goal, layout, self._scale, seen, weighing, usual))
        return self._expected[1]

    def _fitting(self, ranked: Iterable[Network]) -> Network:
        """The first of some networks that fits into a slot; the last one where none does, for the gate to refuse."""
        for network in ranked:
            if network.network_id not in self._fits:
                self._fits[network.network_id] = self._fit(network.architecture)
            if self._fits[network.network_id]:
                break
        return network

    @cached_property
    def _scale(self) -> Scale:
        """The scale of the first random networks, whenever it is asked for."""
        return Scale.of(self._source.first(FIRST_DRAWS))

    def _changes(self, parents: Sequence[Network], seen: Seen, generator: random.Random) -> list[Network]:
        """New networks that differ little from the parents."""
        found: dict[str, Network] = {}
        for _ in range(self._tuning.changes // 2 if parents else 0):
            parent = generator.choice(parents)
            if len(parents) > 1 and generator.random() < CROSSED:
                parent = self._source.crossed(parent, generator.choice(parents), generator) or parent
            child = self._source.changed(parent, generator)
            if child is not None and child.network_id not in seen.drawn:
                found.setdefault(child.network_id, child)
        return list(found.values())


def radical_inverse(number: int) -> float:
    """Van der Corput's sequence to base 2: the places of (0, 1) that leave the smallest gaps, one after the other.

    >>> [radical_inverse(number) for number in range(1, 6)]
    [0.5, 0.25, 0.75, 0.125, 0.625]
    """
    return float(int(f"{number:b}"[::-1], 2) / 2 ** number.bit_length())
