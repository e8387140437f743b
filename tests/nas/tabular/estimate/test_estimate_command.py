"""`nas estimate` as a user calls it, and the simulation under it."""

from __future__ import annotations

import json

import pytest

from nas.cli import main
from nas.cli.app.compose import compose
from nas.search.build import prepare
from nas.tabular.estimate.measured import local_workers, spread_networks
from nas.tabular.estimate.spending import Usual, simulate
from nas.tabular.estimate.worlds import WORLDS

SMALL = ["space=tabulated_digits", "training=quick", "tracking=none", "workers.slots=1"]


def usual(slots: int = 1, job: float = 0.5) -> Usual:
    return Usual(lambda _: (0.5, "network", 2.0), 24.0, job, slots)


def plan_of(*words: str):
    return prepare(compose("search", [*SMALL, "training.epochs=12", *words]))


def test_the_ranges_are_printed_as_json_and_nothing_is_written(tmp_path, capsys):
    words = [*SMALL, "budget.trials=5", "training.epochs=2", f"outputs={tmp_path}/none", "seconds=1", "format=json"]
    assert main(["estimate", *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trials"] == {"low": 5, "high": 5}
    for name in ("seconds", "trainings", "training_seconds", "process_memory_mib", "disk_mib"):
        assert 0 < found[name]["low"] <= found[name]["high"]
    assert found["measured"]["networks"] >= 3
    assert list(tmp_path.iterdir()) == []


def test_random_trials_in_full_take_their_epochs_and_starts():
    """Four trainings of 12 epochs of 2 s, each job half a second late, on one slot; the thinking is on top."""
    found = simulate(plan_of("sampler=random", "budget.trials=4"), WORLDS[0], usual(), 60.0)
    assert (found.trials, found.simulated, found.trainings) == (4, 4, pytest.approx(4.0))
    assert found.training_seconds == pytest.approx(96.0)
    assert 98.0 <= found.seconds < 100.0


def test_two_slots_take_half_the_time():
    found = simulate(plan_of("sampler=random", "budget.trials=4"), WORLDS[0], usual(slots=2, job=0.0), 60.0)
    assert 48.0 <= found.seconds < 50.0


def test_minutes_end_a_search_after_the_epoch_that_runs():
    plan = plan_of("sampler=random", "budget.trials=null", "budget.minutes=1")
    found = simulate(plan, WORLDS[0], usual(job=0.0), 60.0)
    assert found.trials == 2
    assert 60.0 <= found.seconds <= 62.5


def test_a_simulation_that_takes_too_long_is_extrapolated():
    found = simulate(plan_of("sampler=random", "budget.trials=40"), WORLDS[0], usual(job=0.0), 1e-3)
    assert found.simulated < 40 == found.trials
    assert found.seconds == pytest.approx(40 * 24.0, rel=0.05)


@pytest.mark.parametrize("fidelity", ["first_epoch", "freeze_thaw", "hyperband", "moasha", "inherit"])
def test_every_fidelity_is_simulated_and_none_takes_longer_than_full_training(fidelity):
    words = ["sampler=random", "budget.trials=24", f"fidelity={fidelity}"]
    found = simulate(plan_of(*words), WORLDS[1], usual(), 60.0)
    assert found.trials == 24
    assert found.training_seconds <= 24 * 24.0


def test_networks_to_time_are_spread_over_costs_and_within_limits():
    plan = plan_of("limits.max_macs=20000")
    networks = spread_networks(plan, 0)
    macs = [network.costs["macs"] for network in networks]
    assert macs[1] == min(macs) < macs[0] < macs[2] == max(macs) <= 20_000
    assert len({network.network_id for network in networks}) == len(networks)


def test_a_cluster_of_unknown_size_is_refused_in_one_line(capsys):
    assert main(["estimate", "workers=ray"]) == 2
    assert "workers.slots must be a number for an estimate with workers=ray" in capsys.readouterr().err


def test_other_machines_are_timed_by_this_one():
    assert local_workers(compose("search", ["workers=ray", "workers.slots=8"]).workers).name == "local"
