"""Simulated search of a peer: trainings read from a benchmark, and charged as those of our own searches are."""

from __future__ import annotations

import random
from typing import final

from harness.catalogue import Peer
from harness.networks import Networks, log_macs
from harness.process import PeerProcess
from harness.raw import RawSearch, Training
from nas.jobs import Curve, curve_seconds
from nas.study.trial import Candidate
from nas.tabular.simulation.benchmark import Benchmark

DUPLICATES_IN_A_ROW = 10
"""Duplicates in a row after which the harness trains a random network instead."""

DRAWS = 2000
"""Draws of a network that is not trained in full, before the space counts as exhausted."""

BUDGET, EXHAUSTED = "budget", "exhausted"


def search(peer: Peer, simulated: Benchmark, seed: int, trainings: float) -> RawSearch:
    """Simulate one search and return its raw list.

    As in our own simulated searches, the world follows from the seed, and a training begins as long as budget is left.

    Args:
        peer: the peer.
        simulated: the benchmark.
        seed: seed of the peer.
        trainings: budget in full-training equivalents.

    Raises:
        PeerError: the peer's process ended.
    """
    networks = Networks(simulated.space, seed)
    with PeerProcess(peer, networks.log_macs) as process:
        process.request(
            do="start",
            seed=seed,
            epochs=simulated.epochs,
            trainings=trainings,
            parameters=networks.parameters(),
        )
        simulation = _Simulation(process, networks, simulated, seed)
        reason = simulation.run(trainings * simulated.full_training())
        return RawSearch(
            peer=peer.name,
            seed=seed,
            world=simulation.world,
            reason=reason,
            trainings=tuple(simulation.trainings),
            thought=process.thought,
            duplicates=simulation.duplicates,
        )


@final
class _Simulation:
    """Loop of one search."""

    def __init__(self, process: PeerProcess, networks: Networks, simulated: Benchmark, seed: int) -> None:
        self._process = process
        self._networks = networks
        self._generator = random.Random(f"random network instead of a duplicate:{seed}")
        self.world = simulated.world(seed)
        self._epochs = simulated.epochs
        self._curve_of = simulated.curve_lookup(self.world)
        self._trained: dict[str, int] = {}
        self.trainings: list[Training] = []
        self.duplicates = 0

    def run(self, seconds: float) -> str:
        """Train what the peer asks for until so many seconds are spent; return the reason of the end."""
        in_a_row = 0
        while sum(each.seconds for each in self.trainings) < seconds:
            if in_a_row == DUPLICATES_IN_A_ROW:
                in_a_row = 0
                drawn = self._unfinished()
                if drawn is None:
                    return EXHAUSTED
                self._train(None, self._networks.config(drawn), drawn, self._epochs)
                continue
            proposal = self._process.request(do="ask")
            candidate = self._networks.of_config(proposal["config"])
            known = self._trained.get(candidate.network_id, 0) >= proposal["epochs"]
            in_a_row = in_a_row + 1 if known else 0
            self.duplicates += known
            self._train(proposal["id"], proposal["config"], candidate, proposal["epochs"])
        return BUDGET

    def _unfinished(self) -> Candidate | None:
        for _ in range(DRAWS):
            drawn = self._networks.random(self._generator)
            if self._trained.get(drawn.network_id, 0) < self._epochs:
                return drawn
        return None

    def _curve(self, candidate: Candidate) -> Curve:
        return self._curve_of(candidate.architecture, 0)

    def _train(self, identity: str | None, config: dict[str, object], candidate: Candidate, epochs: int) -> None:
        """Train a network for the epochs that it lacks, and tell the peer its state after `epochs`."""
        curve, since = self._curve(candidate), self._trained.get(candidate.network_id, 0)
        seconds = curve_seconds(curve[since:epochs])
        if epochs > since:
            thought, asked = self._process.thought, identity is not None
            self.trainings.append(Training(candidate.id, config, since, epochs, seconds, thought, asked))
            self._trained[candidate.network_id] = epochs
        self._process.request(
            do="tell",
            id=identity,
            config=config,
            epochs=epochs,
            losses=[1.0 - curve[epochs - 1].val_accuracy, log_macs(candidate)],
            seconds=seconds,
            costs=dict(candidate.costs),
        )
