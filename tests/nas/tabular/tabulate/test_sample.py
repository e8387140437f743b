"""Samples of a large space: portions, resumption of a strategy's search, and the file's checks."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from strategies import strategy
from synthetic_tables import IMAGE, attributes

from nas.cli.app.compose import compose
from nas.jobs import Curve, EndReason, Epoch, Job, Outcome
from nas.objectives.requirements import Requirements
from nas.tabular.columns import SAMPLE, TableError
from nas.tabular.table import read_table, write_table
from nas.tabular.tabulate.plan import join_rows, training_tasks
from nas.tabular.tabulate.recorded import RecordedHandle
from nas.tabular.tabulate.sample import Member, drawn_members, nearest_to_targets, trained_again
from nas.tabular.tabulate.shards import Shards
from nas.tabular.tabulate.strategy_draws import SEED, StrategyPortion, draw
from nas.tabular.tabulate.task import write_rows
from search_space.architecture import Architecture
from search_space.space import Space, parse_space

EPOCHS, PORTIONS = 2, {"random": 30, "spread": 20}
HERE = {"device": "cpu", "environment": {"python": "3.11"}}


@pytest.fixture(scope="module")
def space() -> Space:
    return parse_space(compose("tabulate", ["space=quick"]).space, IMAGE, 10)


@pytest.fixture(scope="module")
def members(space: Space) -> list[Member]:
    return drawn_members(space, PORTIONS)


def log_macs(members: Sequence[Member], origin: str) -> list[float]:
    return sorted(math.log10(m.examined.costs["macs"]) for m in members if m.origin == origin)


def test_portions_have_their_sizes_and_no_network_twice(space: Space, members: list[Member]) -> None:
    assert {name: len(log_macs(members, name)) for name in PORTIONS} == PORTIONS
    assert len({member.network_id for member in members}) == 50
    assert drawn_members(space, PORTIONS) == members
    assert {m.network_id for m in members if m.origin == "random"} < {
        m.network_id for m in drawn_members(space, {"random": 40}) if m.origin == "random"
    }


def test_the_spread_portion_covers_the_macs_evenly_and_the_random_one_does_not(members: list[Member]) -> None:
    spread, drawn = log_macs(members, "spread"), log_macs(members, "random")
    width = spread[-1] - spread[0]
    assert max(np.diff(spread)) < 0.12 * width  # 20 networks: an even gap is 0.05
    assert spread[0] < drawn[0] - 0.2 * width
    assert max(np.diff([spread[0], *drawn])) > 0.2 * width


def test_targets_are_met_by_the_nearest_network_that_is_left(members: list[Member]) -> None:
    pool = [member.examined for member in members]
    found = nearest_to_targets([*pool, *pool], 0.0, 1.0, 3)  # below all: the cheapest ones, each once
    assert [each.network_id for each in found] == [
        each.network_id for each in sorted(pool, key=lambda e: e.costs["macs"])[:3]
    ]
    assert len(nearest_to_targets(pool, 3.0, 7.0, 99)) == len(pool)


@pytest.mark.slow
def test_the_networks_of_a_second_seed_are_spread_over_portions_and_cost(members: list[Member]) -> None:
    again = trained_again(members, 0.2)
    chosen = [member for member in members if member.network_id in again]
    assert [len(log_macs(chosen, name)) for name in ("random", "spread")] == [6, 4]
    place = [log_macs(members, "random").index(value) for value in log_macs(chosen, "random")]
    assert place == [2, 7, 12, 17, 22, 27]
    assert trained_again(members, 0.0) == set()
    assert len(trained_again(members, 1.0)) == 50


class KilledError(Exception):
    """Death of the process that draws."""


class MadeUpExecutor:
    """Executor that makes curves up from the network and writes their rows, as the runner of tables does."""

    slots = 2

    def __init__(self, *, dies_after: int | None = None) -> None:
        self.trained: list[str] = []
        self.dies_after = dies_after
        self._jobs: list[Job] = []
        self._measure = Requirements().measure

    def submit(self, job: Job, on_epoch: object) -> RecordedHandle:
        assert not self._jobs, "the search is sequential"
        self._jobs.append(job)
        return RecordedHandle(job)

    def wait(self, timeout: float) -> list[Outcome]:
        job = self._jobs.pop()
        self.trained.append(self._measure(Architecture.from_json(job.architecture))[0])
        curve = made_up_curve(job)
        write_rows(job.folder, [{**row.to_json(), "test_accuracy": 0.5, "cpu_seconds": 1.0} for row in curve])
        if self.dies_after == len(self.trained):
            raise KilledError
        return [Outcome(job, curve, None)]

    def close(self) -> None:
        """Forget nothing: no process runs."""


def made_up_curve(job: Job) -> Curve:
    generator = random.Random(job.seed)
    job.folder.mkdir(parents=True, exist_ok=True)
    return tuple(Epoch(e, 1.0 / e, 1.0, generator.random(), 0.5, 1.0 + generator.random()) for e in range(1, 3))


@contextmanager
def unstopped(_: object) -> Iterator[None]:
    yield


def shards(folder: Path) -> Shards:
    return Shards(folder / "shards", {"training": {"epochs": EPOCHS}}, HERE)


def portion(folder: Path, space: Space, count: int = 30, name: str = "tpe") -> StrategyPortion:
    return StrategyPortion(name, count, strategy(name), space, EPOCHS, 0, folder / "searches" / name)


def drawn(portion: StrategyPortion, folder: Path, executor: MadeUpExecutor) -> EndReason:
    return draw(portion, shards(folder), lambda: executor, unstopped)


def test_a_strategys_portion_is_that_of_a_search_of_its_own(tmp_path: Path, space: Space) -> None:
    mine, executor = portion(tmp_path, space), MadeUpExecutor()
    assert drawn(mine, tmp_path, executor) == EndReason.BUDGET
    members = mine.members()
    assert [member.network_id for member in members] == executor.trained
    assert {member.origin for member in members} == {"tpe"}
    assert shards(tmp_path).finished(EPOCHS) == {(name, SEED) for name in executor.trained}
    assert len(executor.trained) == 30
    assert list((mine.folder / "trials").iterdir()) == []
    seeds = {task.network_id: task.seed for task in training_tasks([(m.examined, 0) for m in members], 2, tmp_path)}
    assert all(task.seed == seeds[task.network_id] for task in mine.tasks()), "those of the table's first seed"


@pytest.mark.few(1)
@pytest.mark.parametrize("dies_after", [1, 12, 21])  # in the random start, in the search, and after a first shard
def test_a_killed_search_goes_on_to_the_same_networks_without_training_one_twice(
    tmp_path: Path, space: Space, dies_after: int
) -> None:
    whole = MadeUpExecutor()
    drawn(portion(tmp_path / "whole", space), tmp_path / "whole", whole)
    killed, resumed = MadeUpExecutor(dies_after=dies_after), MadeUpExecutor()
    with pytest.raises(KilledError):
        drawn(portion(tmp_path, space), tmp_path, killed)
    assert drawn(portion(tmp_path, space), tmp_path, resumed) == EndReason.BUDGET
    assert killed.trained + resumed.trained == whole.trained
    assert [m.network_id for m in portion(tmp_path, space).members()] == whole.trained
    third = MadeUpExecutor()
    assert drawn(portion(tmp_path, space), tmp_path, third) == EndReason.BUDGET
    assert third.trained == []


@pytest.mark.slow
def test_a_search_whose_study_is_lost_sees_the_curves_of_the_shards(tmp_path: Path, space: Space) -> None:
    first, again = MadeUpExecutor(), MadeUpExecutor()
    drawn(portion(tmp_path, space), tmp_path, first)
    (tmp_path / "searches").rename(tmp_path / "lost")
    longer = portion(tmp_path, space, count=33)
    drawn(longer, tmp_path, again)
    assert len(again.trained) == 3
    assert [member.network_id for member in longer.members()] == first.trained + again.trained


def sample_frame(members: Sequence[Member]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return rows and metadata of a sample; the first network has a second seed."""
    about = attributes(seeds=(0, 1), epochs=EPOCHS)
    space = {**compose("tabulate", ["space=quick"]).space, "input": list(IMAGE), "classes": 10}
    about |= {"format": 2, "space": space, SAMPLE: {"portions": PORTIONS, "again": 0.2}}
    pairs = {(member.network_id, 0) for member in members} | {(members[0].network_id, 1)}
    scores = dict.fromkeys(("train_loss", "val_loss", "val_accuracy", "val_balanced_accuracy"), 0.5)
    measured = {"test_accuracy": 0.5, "seconds": 1.0, "cpu_seconds": 1.0}
    rows = pd.DataFrame(
        [
            {"network_id": network, "seed": seed, "epoch": epoch, **scores, **measured}
            for network, seed in pairs
            for epoch in (1, 2)
        ]
    )
    frame = join_rows(members, rows, pairs).sort_values(["architecture", "seed", "epoch"])
    return frame.reset_index(drop=True), about


def test_a_sample_reads_back_with_origins_and_the_seeds_that_each_network_has(
    tmp_path: Path, members: list[Member]
) -> None:
    frame, about = sample_frame(members)
    write_table(frame, about, tmp_path / "s.parquet")
    table = read_table(tmp_path / "s.parquet")
    assert table.is_sample
    assert table.seeds == (0, 1)
    origins = {entry.network_id: entry.origin for entry in table.entries.values()}
    assert origins == {member.network_id: member.origin for member in members}
    trained = {entry.network_id: tuple(entry.curves) for entry in table.entries.values()}
    assert trained == {m.network_id: (0, 1) if m is members[0] else (0,) for m in members}


def foreign(frame: pd.DataFrame) -> Mapping[str, object]:
    first = frame["architecture"].iloc[0]
    frame.loc[frame["architecture"] == first, "architecture"] = first.replace('"kernel":3', '"kernel":5', 1)
    return {}


def unknown_origin(frame: pd.DataFrame) -> Mapping[str, object]:
    frame.loc[frame["id"] == frame["id"].iloc[0], "origin"] = "nobody"
    return {}


def two_origins(frame: pd.DataFrame) -> Mapping[str, object]:
    frame.loc[0, "origin"] = "spread" if frame["origin"].iloc[0] == "random" else "random"
    return {}


def without_an_epoch(frame: pd.DataFrame) -> Mapping[str, object]:
    frame.loc[0, "epoch"] = 3
    return {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (foreign, "must be of an architecture of the space quick"),
        (unknown_origin, "must be of one portion, of random, spread, .* is of nobody"),
        (two_origins, "must be of one portion, of random, spread, .* is of random, spread"),
        (
            without_an_epoch,
            "at most the 2 epochs of the metadata, got the row of architecture .*, seed 0, epoch 3",
        ),
        (lambda frame: {"format": 1}, "a sample must be of format 2, got format 1"),
        (lambda frame: {"seeds": [0]}, r"a seed of \[0\], that of the row of .* seed 1, epoch 1 has not"),
    ],
)
def test_a_wrong_sample_is_refused_with_the_row_named(
    tmp_path: Path, members: list[Member], change: Any, message: str
) -> None:
    frame, about = sample_frame(members)
    about |= change(frame)
    with pytest.raises(TableError, match=message):
        write_table(frame, about, tmp_path / "s.parquet")
    assert not (tmp_path / "s.parquet").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sample=0"], "sample must be positive, got 0"),
        (["sample=9", "spread=1.5"], r"spread must lie in \[0, 1\], got 1.5"),
        (["sample=9", "again=-1"], r"again must lie in \[0, 1\], got -1.0"),
        (["sample=9", "strategy=0.3"], "a strategy share for each of 3 strategies must be at most 1 in all, got 1.18"),
        (["sample=9", "strategies=[tpe,tpe]"], "strategies must be different, and neither random nor spread"),
        (["sample=9", "strategies=[random]"], "strategies must be different, and neither random nor spread"),
    ],
)
def test_portions_that_make_no_sample_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compose("tabulate", words)
