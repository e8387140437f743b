"""From asks to candidates: what is passed over, what is counted, when nothing new is expected, and what resumes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from engine import ONE, SAMPLERS, SMALL, TINY, begin, candidate, end, fingerprint, propose, space_of, view_of
from optuna.trial import TrialState

from nas.jobs import Failure
from nas.objectives.limits import Limits
from nas.objectives.requirements import Requirements
from nas.objectives.step_memory import StepMemory
from nas.samplers.view import View
from nas.search.proposer import REJECTED_TOLD, Proposer, training_seed
from nas.study.study import create_study, open_study
from nas.study.training_state import TrainingState
from nas.study.trial import Candidate, Record, State
from search_space.architecture import Architecture
from search_space.cost import training_bytes
from search_space.lowering import lower

LIMITS = Limits(max_macs=15_000)


def proposer_of(
    space: object = SMALL, sampler: str = "random", limits: Limits = LIMITS, seed: int = 0, idle: int = 300
) -> tuple[Proposer, View]:
    view = view_of(space_of(space), sampler, seed)  # type: ignore[arg-type]  # one of the mappings of `engine`
    return Proposer(view, Requirements(limits), seed=seed, max_idle_asks=idle), view


def started(proposer: Proposer, view: View, number: int) -> Candidate:
    """The next candidate, running as trial `number`."""
    made = propose(proposer)
    assert made is not None
    begin(view, number, made.ask, made.constraints)
    return made


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_candidates_are_new_within_the_limits_and_seeded_by_their_network(sampler: str) -> None:
    proposer, view = proposer_of(sampler=sampler, seed=4)
    made = [started(proposer, view, number) for number in range(25)]
    assert len({c.network_id for c in made}) == 25
    assert all(c.costs["macs"] <= 15_000 and c.constraints["max_macs"] <= 0 for c in made)
    assert [c.seed for c in made] == [training_seed(4, c.network_id) for c in made]
    asks = [c.ask for c in made]
    assert asks == sorted(asks)
    skipped = sum(sum(c.skipped.values()) for c in made)
    assert skipped == asks[-1] + 1 - 25 == sum(proposer.totals.values())
    assert sum(c.skipped.get("rejected", 0) for c in made) == proposer.totals["rejected"] > 0
    assert all(r.constraints["max_macs"] > 0 for c in made for r in c.rejected)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_networks_that_a_slot_could_not_train_are_rejected_by_their_own_name(sampler: str) -> None:
    memory = StepMemory(available=700_000, batch_size=16, optimizer_slots=1, ema=False)
    view = view_of(space_of(SMALL), sampler, 0)
    proposer = Proposer(view, Requirements(memory=memory), seed=0, max_idle_asks=300)
    made = [started(proposer, view, number) for number in range(10)]
    graphs = [lower(Architecture.from_json(candidate.architecture)) for candidate in made]
    assert all(training_bytes(graph, 16) <= memory.available for graph in graphs)
    assert all(candidate.constraints == {} for candidate in made)
    rejected = [r for candidate in made for r in candidate.rejected]
    assert len(rejected) == proposer.totals["rejected"] > 0
    assert all(set(r.constraints) == {"slot_memory_mib"} and min(r.constraints.values()) > 0 for r in rejected)


def test_training_seeds_follow_from_the_network_alone() -> None:
    assert training_seed(0, "a") == training_seed(0, "a")
    assert len({training_seed(seed, name) for seed in range(20) for name in "abcdefgh"}) == 160
    assert all(0 <= training_seed(seed, "a") < 2**31 for seed in range(100))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_tiny_space_is_proposed_whole_and_then_counts_as_exhausted(sampler: str) -> None:
    proposer, view = proposer_of(TINY, sampler, Limits())
    made = [started(proposer, view, number) for number in range(8)]
    assert len({c.network_id for c in made}) == 8
    assert propose(proposer) is None
    assert proposer.totals["duplicates"] >= 300
    assert proposer.tail()["asks"] == 8 + proposer.totals["duplicates"]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_space_of_one_network_has_one_candidate(sampler: str) -> None:
    proposer, view = proposer_of(ONE, sampler, Limits(), idle=20)
    started(proposer, view, 0)
    assert propose(proposer) is None
    assert dict(proposer.totals) == {"rejected": 0, "duplicates": 20}


def test_a_sampler_that_insists_on_one_network_is_led_to_its_neighbours() -> None:
    """TPE, one choice at a time, drew the same network 300 times in a row after 9 trials of this space."""
    proposer, view = proposer_of(SMALL, "tpe", seed=3)
    for number in range(30):
        started(proposer, view, number)
        end(view, number, {"val_accuracy": 0.5 + number / 100, "macs": 5e4})
    assert proposer.totals["duplicates"] < 150


def test_rejected_asks_end_too_and_few_of_them_are_told() -> None:
    proposer, view = proposer_of(limits=Limits(max_params=1), idle=12)
    assert propose(proposer) is None
    assert dict(proposer.totals) == {"rejected": 120, "duplicates": 0}
    states = [trial.state for trial in view.study.get_trials()]
    assert states == [TrialState.PRUNED] * REJECTED_TOLD + [TrialState.FAIL] * 70
    tail = proposer.tail()
    assert (tail["asks"], tail["skipped"], len(tail["rejected"])) == (120, {"rejected": 120}, REJECTED_TOLD)


def test_a_search_that_must_end_is_not_kept_waiting() -> None:
    proposer, _ = proposer_of(limits=Limits(max_params=1))
    asks = proposer.proposals()
    assert [next(asks) for _ in range(5)] == [None] * 5
    assert proposer.totals["rejected"] == 5


def told(candidate: Candidate, number: int) -> Record:
    values = {"val_accuracy": 0.3 + number * 0.37 % 0.6, "macs": float(candidate.costs["macs"])}
    return Record(number, State.COMPLETE, candidate, (), TrainingState(), values, None)


def unbroken(sampler: str, trials: int, end: Callable[[View, Record], Record]) -> tuple[list[Record], Proposer, View]:
    """Records of `trials` trials, each ended by `end` before the next one is asked for."""
    proposer, view = proposer_of(sampler=sampler, seed=9)
    records = [end(view, told(started(proposer, view, number), number)) for number in range(trials)]
    return records, proposer, view


def end_mixed(view: View, record: Record) -> Record:
    """Most trials complete; some fail, are pruned, or go on running."""
    if record.number % 7 == 3:
        view.follow(replace(record, state=State.FAILED, values=None))
        return replace(record, state="failed", values=None, failure=Failure("nan", "no number"))
    if record.number % 7 == 5:
        view.follow(replace(record, state=State.PRUNED, values=None))
        return replace(record, state="pruned", values=None)
    if record.number % 11 == 10:
        return replace(record, state="running", values=None)
    view.follow(record)
    return record


@pytest.mark.few(3)
@pytest.mark.parametrize("through", ["records", "database"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_restored_view_asks_what_the_unbroken_one_asks(sampler: str, through: str, tmp_path: Path) -> None:
    records, proposer, view = unbroken(sampler, 33, end_mixed)
    if through == "database":
        records = stored(records, tmp_path)
    fresh, restored = proposer_of(sampler=sampler, seed=9)
    fresh.restore(records, None)
    assert fresh.totals == proposer.totals
    for number in range(33, 39):
        expected, got = started(proposer, view, number), started(fresh, restored, number)
        assert got == expected
        end_mixed(view, told(expected, number))
        end_mixed(restored, told(got, number))


def stored(records: list[Record], folder: Path) -> list[Record]:
    """The records as a study gives them back."""
    study = create_study(folder, fingerprint())
    for record in records:
        study.add(record.candidate)
        if record.values is not None:
            study.tell(record.number, record.values)
        elif record.failure is not None:
            study.fail(record.number, record.failure)
        elif record.state == State.PRUNED:
            study.prune(record.number)
    return open_study(folder).records()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_it_goes_on_after_asks_that_led_to_nothing(sampler: str) -> None:
    """A search that is stopped in the middle of its asks leaves them as the tail."""
    tight = Limits(max_macs=5_000)
    proposer, view = proposer_of(sampler=sampler, seed=9, limits=tight)
    stopped, _ = proposer_of(sampler=sampler, seed=9, limits=tight)
    asks = stopped.proposals()
    assert [next(asks) for _ in range(2)] == [None] * 2
    fresh, restored = proposer_of(sampler=sampler, seed=9, limits=tight)
    fresh.restore([], stopped.tail())
    assert fresh.totals == stopped.totals
    for number in range(3):
        assert started(fresh, restored, number) == started(proposer, view, number)
    assert fresh.totals == proposer.totals


def test_a_stale_tail_is_passed_over() -> None:
    proposer, view = proposer_of()
    proposer.restore([told(candidate(5), 0)], {"asks": 4, "skipped": {"rejected": 4}, "rejected": []})
    assert started(proposer, view, 1).ask >= 6
    assert proposer.tail()["asks"] < 100


def test_known_networks_are_known_whatever_became_of_them() -> None:
    proposer, view = proposer_of(TINY, limits=Limits())
    made = [started(proposer, view, number) for number in range(4)]
    states = (State.COMPLETE, State.FAILED, State.PRUNED, State.RUNNING)
    records = [
        replace(told(c, number), state=state, values=told(c, number).values if state == State.COMPLETE else None)
        for number, (c, state) in enumerate(zip(made, states, strict=True))
    ]
    fresh, restored = proposer_of(TINY, limits=Limits())
    fresh.restore(records, None)
    others = {started(fresh, restored, number).network_id for number in range(4, 8)}
    assert len(others | {c.network_id for c in made}) == 8
    assert propose(fresh) is None


def test_the_first_asks_name_the_starts() -> None:
    space, view = space_of(SMALL), view_of(space_of(SMALL), "random", 0)
    starts = [space.draw(random.Random(seed)) for seed in (1, 2)]
    proposer = Proposer(view, Requirements(), seed=0, max_idle_asks=50, starts=starts)
    made = [started(proposer, view, number) for number in range(3)]
    assert [one.id for one in made[:2]] == [start.id for start in starts]
    assert [one.ask for one in made[:2]] == [0, 1]
    assert made[2].id not in {start.id for start in starts}
