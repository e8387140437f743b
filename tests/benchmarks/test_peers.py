"""Searches of other optimizers: protocol, charges, duplicates, fronts and cache, with toy optimizers of our own."""

from __future__ import annotations

import itertools
import math
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from harness.catalogue import PEERS, Peer
from harness.fronts import trace_of
from harness.networks import Networks, log_macs
from harness.process import PeerError, PeerProcess
from harness.raw import RawCache, SearchKey
from harness.search import BUDGET, DUPLICATES_IN_A_ROW, EXHAUSTED, search
from synthetic_tables import synthetic_table

from nas.cli.app.compose import compose
from nas.jobs import curve_seconds
from nas.objectives.limits import Limits
from nas.study.trial import State
from nas.tabular.simulation.scores import score
from nas.tabular.simulation.simulated_table import SimulatedTable
from nas.tabular.simulation.truth import truth_of
from nas.tabular.table import read_table

RANDOM = PEERS["random"]
TOY = """
import sys, time
sys.path.insert(0, {folder!r})
from protocol import Proposal, serve

class Toy:
    def __init__(self, problem):
        self.problem, self.asked, self.noted = problem, 0, []
        self.config = {{each.path: each.options[-1] for each in problem.parameters}}
    def tell(self, identity, config, result):
        pass
    def note(self, config, result):
        self.noted.append(config)
    def ask(self):
        self.asked += 1
{ask}

serve(Toy)
"""
SAME = "return Proposal('0', self.config, self.problem.epochs)"

MakeToy = Callable[[str], Peer]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> SimulatedTable:
    path = synthetic_table(tmp_path_factory.mktemp("tables") / "made_up.parquet")
    return SimulatedTable(read_table(path), charge="cpu_seconds")


@pytest.fixture
def toy(tmp_path: Path) -> MakeToy:
    def make(ask: str) -> Peer:
        program = tmp_path / "toy.py"
        body = textwrap.indent(textwrap.dedent(ask).strip(), " " * 8)
        program.write_text(TOY.format(folder=str(RANDOM.program.parent), ask=body))
        program.with_name("protocol.py").write_bytes(RANDOM.program.with_name("protocol.py").read_bytes())
        return Peer("toy", program)

    return make


def test_equal_seeds_train_equal_networks(simulated: SimulatedTable) -> None:
    first, again, other = (search(RANDOM, simulated, seed, 6) for seed in (3, 3, 4))
    untimed = [[replace(training, thought=0.0) for training in raw.trainings] for raw in (first, again, other)]
    assert untimed[0] == untimed[1] != untimed[2]
    assert (first.world, other.world) == (0, 1)


def test_trainings_begin_as_long_as_budget_is_left(simulated: SimulatedTable) -> None:
    raw = search(RANDOM, simulated, 0, 6)
    spent = list(itertools.accumulate(training.seconds for training in raw.trainings))
    assert raw.reason == BUDGET
    assert spent[-2] < 6 * simulated.full_training() <= spent[-1]
    for training in raw.trainings:
        curve = simulated.curve(simulated.table.entries[training.id], raw.world)
        assert (training.since, training.epochs, training.seconds) == (0, 3, curve_seconds(curve))


def test_no_network_is_charged_twice(simulated: SimulatedTable) -> None:
    raw = search(RANDOM, simulated, 0, 12)
    assert len({training.id for training in raw.trainings}) == len(raw.trainings)
    assert raw.duplicates > 0


def test_many_duplicates_in_a_row_end_in_a_random_network(simulated: SimulatedTable, toy: MakeToy) -> None:
    raw = search(toy(SAME), simulated, 0, 3)
    assert [training.asked for training in raw.trainings] == [True, False, False]
    assert raw.duplicates == 2 * DUPLICATES_IN_A_ROW


def test_optimizers_are_told_of_random_networks(simulated: SimulatedTable, toy: MakeToy) -> None:
    peer = toy(f"assert not self.noted, f'was told of {{self.noted[0]}}'\n{SAME}")
    with pytest.raises(PeerError, match=re.escape("AssertionError: was told of {'stem.width': ")):
        search(peer, simulated, 0, 3)


def test_search_ends_when_all_networks_are_trained(simulated: SimulatedTable, toy: MakeToy) -> None:
    raw = search(toy(SAME), simulated, 0, 1000)
    assert raw.reason == EXHAUSTED
    assert len(raw.trainings) == len(simulated.table.entries)


def test_going_on_costs_the_further_epochs(simulated: SimulatedTable, toy: MakeToy) -> None:
    peer = toy("return Proposal('0', self.config, min(self.asked, self.problem.epochs), self.asked - 1)")
    raw = search(peer, simulated, 0, 0.99)
    curve = simulated.curve(simulated.table.entries[raw.trainings[0].id], raw.world)
    assert [(each.since, each.epochs, each.seconds) for each in raw.trainings[:3]] == [
        (epoch, epoch + 1, curve[epoch].seconds) for epoch in range(3)
    ]
    trace = trace_of(replace(raw, trainings=raw.trainings[:3]), simulated, compose("rehearse", []).objective)
    assert [(trial.state, trial.epochs) for trial in trace.trials] == [(State.COMPLETE, 3)]
    assert [snapshot.front for snapshot in trace.snapshots] == [(raw.trainings[0].id,)]


def test_fronts_hold_networks_that_were_trained_in_full(simulated: SimulatedTable) -> None:
    raw = search(RANDOM, simulated, 0, 8)
    short = replace(raw.trainings[0], epochs=2)
    trace = trace_of(replace(raw, trainings=(short, *raw.trainings[1:])), simulated, compose("rehearse", []).objective)
    assert trace.trials[0].state == State.RUNNING
    assert len(trace.snapshots) == len(raw.trainings) - 1
    trained = {training.id for training in raw.trainings[1:]}
    assert all(set(snapshot.front) <= trained for snapshot in trace.snapshots)


def test_thinking_is_charged(simulated: SimulatedTable, toy: MakeToy) -> None:
    burn = "end = time.process_time() + 0.05\nwhile time.process_time() < end:\n    pass\n"
    draw = "import random\nreturn Proposal('0', self.problem.random_config(random.Random(self.asked)), 3)"
    raw = search(toy(burn + draw), simulated, 0, 4)
    trace = trace_of(raw, simulated, compose("rehearse", []).objective)
    thought = [snapshot.driver_seconds for snapshot in trace.snapshots]
    assert all(seconds >= 0.05 * (index + 1) for index, seconds in enumerate(thought))
    assert raw.thought >= thought[-1]
    truth = truth_of(simulated, Limits())
    charged, free = (score(trace, truth, 10, charge_driver=each).curve[0][0] for each in (True, False))
    assert charged == pytest.approx(free + thought[0] / truth.full_training)


def test_exact_costs_are_answered_before_any_training(simulated: SimulatedTable, toy: MakeToy) -> None:
    dearest = "{**self.config, 'stem.stride': 1}"
    peer = toy(f"print(self.problem.costs_of([{dearest}]), file=sys.stderr)\nsys.exit('asked for a cost')")
    most = max(entry.costs["macs"] for entry in simulated.table.entries.values())
    said = re.escape(f"[{math.log10(most)}]\nasked for a cost")
    with pytest.raises(PeerError, match=f"toy ended with exit code 1:\n{said}"):
        search(peer, simulated, 0, 1)


def test_what_a_library_prints_is_no_reply(simulated: SimulatedTable, toy: MakeToy) -> None:
    peer = toy(f"print('a banner')\n{SAME}")
    assert search(peer, simulated, 0, 1).trainings


def test_configurations_and_networks_match(simulated: SimulatedTable) -> None:
    networks = Networks(simulated.table.space, 0)
    for entry in simulated.table.entries.values():
        candidate = networks.of(entry.architecture)
        assert networks.of_config(networks.config(candidate)) is candidate
        assert (candidate.id, candidate.network_id) == (entry.id, entry.network_id)


def test_searches_are_found_again_by_all_that_determines_them(simulated: SimulatedTable, tmp_path: Path) -> None:
    cache, raw = RawCache(tmp_path), search(RANDOM, simulated, 0, 2)
    key = SearchKey(RANDOM, simulated.hash, simulated.charge, 0, 2)
    cache.put(key, raw)
    assert cache.get(key) == raw
    changes = [
        {"peer": PEERS["optuna_tpe"]},
        {"benchmark": "other"},
        {"charge": "seconds"},
        {"seed": 1},
        {"trainings": 3},
    ]
    assert [cache.get(replace(key, **change)) for change in changes] == [None] * len(changes)


def each_peer() -> Iterator[object]:
    for peer in PEERS.values():
        absent = pytest.mark.skipif(not peer.installed, reason="make bench-peers makes its environment")
        yield pytest.param(peer, id=peer.name, marks=[absent, pytest.mark.slow] if peer.environment else [])


@pytest.mark.few(2)
@pytest.mark.parametrize("peer", list(each_peer()))
def test_peers_repeat_themselves(peer: Peer, simulated: SimulatedTable) -> None:
    networks = Networks(simulated.space, 0)
    asked: list[list[dict[str, object]]] = []
    for _ in range(2):
        with PeerProcess(peer, networks.log_macs) as process:
            process.request(do="start", seed=0, epochs=3, trainings=9, parameters=networks.parameters())
            asked.append([ask_and_tell(process, networks) for _ in range(12)])
    assert asked[0] == asked[1]
    assert len({str(reply["config"]) for reply in asked[0]}) > 3


def ask_and_tell(process: PeerProcess, networks: Networks) -> dict[str, object]:
    """Ask for a training, tell its result, and tell that of a network that nobody asked for."""
    reply = process.request(do="ask")
    candidate = networks.of_config(reply["config"])
    assert 0 <= reply["from"] < reply["epochs"] <= 3
    told = {"config": reply["config"], "epochs": reply["epochs"], "seconds": 1.0, "costs": dict(candidate.costs)}
    told["losses"] = [1 / (1 + reply["epochs"]), log_macs(candidate)]
    process.request(do="tell", id=reply["id"], **told)
    process.request(do="tell", id=None, **told | {"epochs": 3})
    return {name: value for name, value in reply.items() if name != "thought"}


def test_requirements_are_exact() -> None:
    for path in sorted((RANDOM.program.parent.parent / "requirements").glob("*.txt")):
        lines = path.read_text(encoding="utf-8").split()
        assert lines
        assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == [], path.name
    needed = {peer.environment for peer in PEERS.values() if peer.environment}
    assert {path.stem for path in (RANDOM.program.parent.parent / "requirements").glob("*.txt")} == needed
