"""Starts of a search: a person's own architectures, from a file and from a study."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine import SMALL, candidate, fingerprint, space_of
from strategies import strategy
from synthetic_tables import synthetic_table

from nas.cli import main
from nas.cli.app.compose import compose
from nas.search.build import prepare
from nas.search.starts import projected_starts
from nas.study.architectures import Studies
from nas.study.study import create_study
from nas.tabular.simulation.cache import cache_key
from nas.tabular.simulation.simulated_table import SimulatedTable
from nas.tabular.table import read_table
from search_space.architecture import Architecture
from search_space.graph import Shape
from search_space.projection import project

SPACE = space_of(SMALL)


def drawn(seed: int) -> Architecture:
    return SPACE.draw(random.Random(seed))


def written(path: Path, architecture: Architecture) -> str:
    path.write_text(json.dumps(architecture.to_json()))
    return str(path)


@pytest.fixture
def studies(tmp_path: Path) -> Studies:
    """Studies, of which `mine` has two trials."""
    (tmp_path / "mine").mkdir()
    study = create_study(tmp_path / "mine", fingerprint())
    for number in range(2):
        study.add(candidate(number, architecture=drawn(number).to_json()))
    study.close()
    return Studies(str(tmp_path))


@pytest.mark.parametrize("seed", range(8))
def test_an_architecture_of_the_space_is_taken_as_it_is(tmp_path: Path, seed: int) -> None:
    name = written(tmp_path / "mine.json", drawn(seed))
    (start,) = projected_starts([name], SPACE).values()
    assert (start.architecture, start.distance, start.multiplier) == (drawn(seed), 0.0, 1.0)


def test_one_for_other_images_is_the_same_for_ours(tmp_path: Path) -> None:
    other = replace(drawn(1), input=Shape(3, 32, 32), classes=100)
    (start,) = projected_starts([written(tmp_path / "mine.json", other)], SPACE).values()
    assert (start.architecture, start.distance) == (drawn(1), 0.0)


def test_one_of_another_space_is_projected_onto_ours(tmp_path: Path) -> None:
    wider = replace(drawn(2), stem=replace(drawn(2).stem, width=48))
    (start,) = projected_starts([written(tmp_path / "mine.json", wider)], SPACE).values()
    assert start == project(SPACE, wider)
    assert SPACE.contains(start.architecture)
    assert start.distance > 0


def test_a_trial_of_a_study_is_named_by_its_number(studies: Studies) -> None:
    starts = projected_starts(["mine:1", "googlenet", "mine:0"], SPACE, studies)
    assert list(starts) == ["mine:1", "googlenet", "mine:0"]
    assert starts["mine:1"].architecture == drawn(1)
    assert starts["mine:0"].architecture == drawn(0)


@pytest.mark.parametrize(
    ("name", "law"),
    [
        (
            "alexnet",
            r"start may name googlenet, .*, a JSON file, a folder of nas export or a trial .*, got 'alexnet'",
        ),
        ("mine:7", "a trial must be one of the 2 in mine, got 7"),
        ("yours:0", r"no study 'yours' at .*; in .* there are mine"),
    ],
)
def test_mistakes_are_told_in_one_line(studies: Studies, name: str, law: str) -> None:
    with pytest.raises(ValueError, match=law) as told:
        projected_starts([name], SPACE, studies)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("text", ["{}", "no json", "[1]"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"mine.json must hold the JSON document of an architecture: "):
        projected_starts([str(path)], SPACE)


def test_a_search_begins_with_them(studies: Studies, tmp_path: Path) -> None:
    name = written(tmp_path / "mine.json", drawn(3))
    words = [f"outputs={tmp_path}", f"start=[{name},'mine:0']", "tracking=none"]
    config: Any = compose("search", words)
    plan = prepare(config)
    starts: Sequence[Architecture] = [start.architecture for start in plan.built.starts.values()]
    proposals = plan.built.proposer.proposals()
    asked = [next(proposals) for _ in starts]
    assert len(starts) == 2
    assert [found.id for found in asked if found] == [start.id for start in starts]


def test_a_command_tells_a_mistake_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", f"outputs={tmp_path}", "start=['nowhere:3']", "tracking=none"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("nas search: no study 'nowhere' at ")
    assert error.count("\n") == 1


def test_a_rehearsal_is_another_one_once_the_file_says_something_else(tmp_path: Path) -> None:
    simulated = SimulatedTable(read_table(synthetic_table(tmp_path / "table.parquet")))
    one, other, *_ = simulated.table.space.architectures()
    name = written(tmp_path / "mine.json", one)
    keys = [cache_key(strategy(start=[name]), simulated)]
    written(tmp_path / "mine.json", other)
    keys.append(cache_key(strategy(start=[name]), simulated))
    assert keys[0]["start"] == [one.id]
    assert keys[1]["start"] == [other.id]
