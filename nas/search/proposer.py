"""Proposer of networks: ask the sampler, and skip known networks and those that exceed a limit."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nas.jobs.hashes import derived_seed
from nas.objectives.costs import Measurable
from nas.objectives.requirements import Examined, Requirements
from nas.samplers.view import Ask, View
from nas.study.summary import skipped_totals
from nas.study.trial import NO_ASK, Candidate, Expected, Prospects, Record, Rejected
from search_space.architecture import Architecture

REJECTED_TOLD = 50
"""Rejected asks between two candidates that the sampler is told of and the study stores; more are only counted."""

REJECTED_PER_DUPLICATE = 10
"""Rejected asks that weigh as much as one duplicate against `max_idle_asks`."""

DUPLICATES_TRUSTED = 2
"""Duplicates since the last candidate before a neighbour of the network is asked for."""

DUPLICATES_A_STEP = 10
"""Further duplicates for which the neighbour is one mutation farther away."""

_WHY = {"duplicates": "known already", "rejected": "over a limit"}

log = logging.getLogger(__name__)


class Proposer:
    """Asks the sampler for new networks within the limits; counts the asks that it skips."""

    def __init__(
        self,
        view: View,
        requirements: Requirements,
        *,
        seed: int,
        max_idle_asks: int,
        starts: Sequence[Architecture] = (),
    ) -> None:
        """Start with an empty study.

        Args:
            view: in-memory study that the sampler sees.
            requirements: requirements that a network must meet.
            seed: seed of the search; with a network's identity it seeds that network's training.
            max_idle_asks: duplicates in a row after which the space counts as exhausted; of rejected asks, ten times as
                many.
            starts: architectures of the space for the first asks of a study, before the sampler draws.
        """
        self._starts = tuple(starts)
        self._view = view
        self._requirements = requirements
        self._seed = seed
        self._max_idle = max_idle_asks
        self._known: set[str] = set()
        self._asks = 0
        self._told: list[Rejected] = []
        self._skipped: Counter[str] = Counter()
        self._wishes: deque[tuple[int, Candidate]] = deque()
        self._granted: int | None = None
        self.totals: Counter[str] = Counter(rejected=0, duplicates=0)

    def restore(
        self,
        records: Sequence[Record],
        tail: Mapping[str, Any] | None,
        *,
        asks: int = 0,
        wishes: Mapping[int, Candidate] | None = None,
    ) -> None:
        """Go on after the stored trials of a study.

        Args:
            records: its trials.
            tail: result of `tail` at the end of its last search; ignored if trials have followed.
            asks: least running number of the next ask: trials that could not be read have earlier ones.
            wishes: networks that other programs have enqueued, by the numbers of their trials; they are proposed first.
        """
        records = [self._constrained(record) for record in records]
        last = max((record.candidate.ask for record in records), default=NO_ASK)
        self._asks = max(last + 1, asks)
        self._wishes = deque((wishes or {}).items())
        self._known = {record.candidate.network_id for record in records}
        self.totals = Counter(skipped_totals(records, tail))
        if tail and tail["asks"] > self._asks:
            self._asks = tail["asks"]
            self._told = [Rejected.from_json(document) for document in tail["rejected"]]
            self._skipped = Counter(tail["skipped"])
        self._view.restore(records, self._told)

    def _constrained(self, record: Record) -> Record:
        """Return a trial that was trained elsewhere with its excess over the limits, as trials of a search have it."""
        if not record.candidate.imported:
            return record
        examined = self._requirements.examine(Architecture.from_json(record.candidate.architecture))
        return replace(record, candidate=replace(record.candidate, constraints=examined.constraints))

    def tail(self) -> dict[str, Any]:
        """Return the asks since the last candidate as a JSON object, to be stored when the search ends."""
        told = [rejected.to_json() for rejected in self._told]
        return {"asks": self._asks, "skipped": dict(self._skipped), "rejected": told}

    def proposals(self) -> Iterator[Candidate | None]:
        """Yield new candidates, and None after an ask that led to none, so that the caller can stop in between.

        A hard search for a network within the limits may take minutes. The iterator ends after too many asks in a row
        that led to nothing: no new network is expected any more.
        """
        idle: Counter[str] = Counter()
        known: Architecture | None = None
        while idle["duplicates"] < self._max_idle and idle["rejected"] < self._max_idle * REJECTED_PER_DUPLICATE:
            ask = self._ask(known)
            examined = self._requirements.examine(ask.architecture)
            reason = self._skip(ask, examined)
            if self._granted is not None and reason is not None:
                log.warning("trial %d, which was enqueued, is left out: its network is %s", self._granted, _WHY[reason])
            if reason is None:
                yield self._candidate(ask, examined)
                idle.clear()
                known = None
                continue
            for counter in (idle, self._skipped, self.totals):
                counter[reason] += 1
            known = ask.architecture if reason == "duplicates" and known is None else None
            if known is None:
                yield None

    def prospects(self, expected: Mapping[int, Expected], left: Mapping[int, float]) -> Prospects | None:
        """Return the acquisition values of the next jobs, None if the sampler has none or the next network is given.

        Args:
            expected: predicted results of trials without one, by their numbers.
            left: seconds that frozen trials still need, by their numbers.
        """
        given = self._asks < len(self._starts) or self._wishes
        return None if given else self._view.prospects(self._asks, expected, left)

    def _ask(self, known: Architecture | None) -> Ask:
        """Ask the sampler or, after duplicates, ask for a neighbour of the network that it drew, `known`.

        A sampler that models one choice at a time ends up drawing the best value of each again and again: TPE drew one
        network 300 times in a row after 51 trials of the default search, in a space of 10²⁹. The more duplicates since
        the last candidate, the farther away the neighbour.
        """
        self._asks += 1
        self._granted = None
        if self._wishes:
            self._granted, wish = self._wishes.popleft()
            return self._view.ask_near(self._asks - 1, Architecture.from_json(wish.architecture), 0)
        if self._asks <= len(self._starts):
            return self._view.ask_near(self._asks - 1, self._starts[self._asks - 1], 0)
        beyond = self._skipped["duplicates"] - DUPLICATES_TRUSTED
        if known is None or beyond < 0:
            return self._view.ask(self._asks - 1)
        return self._view.ask_near(self._asks - 1, known, 1 + beyond // DUPLICATES_A_STEP)

    def _skip(self, ask: Ask, examined: Examined) -> str | None:
        """Return the reason to skip an ask, after telling the sampler; None for a candidate."""
        if examined.network_id in self._known:
            self._view.forget(ask)
            return "duplicates"
        if examined.feasible:
            return None
        if len(self._told) < REJECTED_TOLD:
            self._told.append(self._view.reject(ask, examined.constraints))
        else:  # more would teach the sampler little, and fill the study
            self._view.forget(ask)
        return "rejected"

    def _candidate(self, ask: Ask, examined: Examined) -> Candidate:
        candidate = Candidate(
            ask=ask.number,
            params=ask.params,
            distributions=ask.distributions,
            architecture=examined.architecture.to_json(),
            id=examined.architecture.id,
            network_id=examined.network_id,
            summary=examined.summary,
            costs=examined.costs,
            seed=training_seed(self._seed, examined.network_id),
            constraints=examined.constraints,
            rejected=tuple(self._told),
            skipped=dict(self._skipped),
            sampler_attrs=ask.sampler_attrs,
            extrapolated=self._requirements.costs.extrapolated(Measurable(examined.architecture)),
            trial=self._granted,
        )
        self._known.add(examined.network_id)
        self._told, self._skipped = [], Counter()
        return candidate


def repeat_seed(seed: int, repeat: int) -> int:
    """Return the seed of a network's `repeat`-th further training, in [0, 2³¹), from the seed of its own."""
    return derived_seed(f"repeat:{seed}:{repeat}", 31)


def training_seed(seed: int, network_id: str) -> int:
    """Return the seed of a network's training, in [0, 2³¹), independent of the order of the trials."""
    return derived_seed(f"train:{seed}:{network_id}", 31)
