"""Results as JSON, CSV and tables, and nothing else on standard output."""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path

import pytest
from engine import candidate

from nas.cli import main
from nas.cli.app.compose import compose
from nas.cli.describe import architecture_document, space_document
from nas.cli.front import front_rows
from nas.objectives.limits import Limits
from nas.study.training_state import TrainingState
from nas.study.trial import Record
from search_space.architecture import Architecture
from search_space.cost import cost
from search_space.graph import Shape
from search_space.identity import network_id
from search_space.lowering import lower
from search_space.space import parse_space

SPACE = parse_space(compose("search").space, Shape(1, 8, 8), 10)
NETWORKS = [SPACE.draw(random.Random(seed)) for seed in range(2)]
FRONT = {
    "study": "mine",
    "objectives": ["val_accuracy", "macs"],
    "front": [
        {
            "trial": 3,
            "id": "aa",
            "architecture": NETWORKS[0].to_json(),
            "summary": "3:8 [1:4, 5s:2→8]",
            "values": {"val_accuracy": 0.75, "macs": 2344.0},
            "costs": {"params": 94, "macs": 2344, "memory_mib": 0.0012},
        },
        {
            "trial": 17,
            "id": "bb",
            "architecture": NETWORKS[1].to_json(),
            "summary": "3:16 ↓max [red]3:32[/red]",
            "values": {"val_accuracy": 0.9375, "macs": 1234567.0},
            "costs": {"params": 16362, "macs": 1234567, "memory_mib": 0.03125},
        },
    ],
}
STATUS = {
    "study": "mine",
    "driven": False,
    "trials": {
        "complete": 12,
        "pruned": 0,
        "failed": 2,
        "running": 1,
        "frozen": 0,
        "rejected": 1204,
        "duplicates": 3,
    },
    "failures": {"died": 1, "nan": 1},
    "hypervolume": 0.61803,
    "front": 5,
    "seconds": 3725.4,
    "clock_seconds": 42.5,
    "budget": {"trials": 40, "minutes": None},
}


STORED_ENERGY = {"joules": 7.2e6, "counters": ["package-0", "dram"]}
ENERGY = {"kwh": 2.0, "kg_co2": 0.872, "grams_per_kwh": 436.0, "counters": "package-0, dram"}


class FakeReader:
    """A study with a front, a status and two trials."""

    def __init__(self):
        self.study = self
        self.records = ()
        self.folder = Path("nowhere")  # no network is retrained

    def close(self):
        pass

    def limit(self, limits):
        pass

    def attribute(self, key):
        return {"energy": STORED_ENERGY}[key]

    def front_document(self, members=None):
        return FRONT

    def status_document(self):
        return STATUS

    def record(self, number):
        return Record(
            number,
            "running",
            candidate(number, architecture=NETWORKS[number].to_json()),
            (),
            TrainingState(),
            None,
            None,
        )


@pytest.fixture
def study(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    opened = []

    def open_for_reading(folder, kind):
        assert kind == "sqlite"
        opened.append(folder)
        return FakeReader()

    for reader in ("nas.cli.common.studies", "nas.study.architectures"):
        monkeypatch.setattr(f"{reader}.open_for_reading", open_for_reading)
    monkeypatch.setattr("nas.cli.status.overview", lambda *_, **__: {})  # of tests/nas/study/test_overview.py
    yield [f"outputs={tmp_path}", "study=mine"]
    assert set(opened) == {tmp_path / "mine"}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def printed(capsys, *words):
    assert main(words) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def table_of(text):
    return list(csv.reader(io.StringIO(text)))


@pytest.mark.parametrize(("command", "document"), [("front", FRONT), ("status", STATUS | {"energy": ENERGY})])
def test_json_is_the_document_and_nothing_else(command, document, study, capsys):
    assert json.loads(printed(capsys, command, *study, "format=json")) == document


def test_front_as_csv(study, capsys):
    header, *rows = table_of(printed(capsys, "front", *study, "format=csv"))
    assert header == ["trial", "id", "val_accuracy", "macs", "params", "memory_mib", "summary"]
    assert rows == [
        ["3", "aa", "0.75", "2344.0", "94", "0.0012", "3:8 [1:4, 5s:2→8]"],
        ["17", "bb", "0.9375", "1234567.0", "16362", "0.03125", "3:16 ↓max [red]3:32[/red]"],
    ]


def test_a_front_that_was_trained_again_says_how_often():
    first, second = FRONT["front"]
    header, *rows = front_rows({**FRONT, "front": [first, {**second, "trainings": 3}]})
    assert header[-2:] == ["trainings", "summary"]
    assert [row[-2] for row in rows] == [1, 3]


def test_front_as_a_table(study, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    title, header, first, second, *legend = printed(capsys, "front", *study).rstrip().splitlines()
    assert title.strip() == "Front of mine"
    assert header.split() == ["trial", "val", "accuracy", "MACs", "params", "memory", "(MiB)", "network"]
    assert first.rstrip().split(maxsplit=5) == ["3", "0.7500", "2,344", "94", "0.0012", "3:8 [1:4, 5s:2→8]"]
    assert second.rstrip().endswith("3:16 ↓max [red]3:32[/red]")
    assert legend[0].startswith("Network: the stem (kernel:channels/stride), then a bracket")


def test_status_as_csv(study, capsys):
    header, row = table_of(printed(capsys, "status", *study, "format=csv"))
    facts = dict(zip(header, row, strict=True))
    assert facts["trials.rejected"] == "1204"
    assert facts["failures.nan"] == "1"
    assert facts["budget.minutes"] == ""
    assert facts["hypervolume"] == "0.61803"


def test_status_as_a_table(study, capsys):
    output = printed(capsys, "status", *study).splitlines()
    lines = [line.split(maxsplit=1) for line in output]
    titles = [line.split(maxsplit=2) for line in output]
    assert ["rejected", "1,204"] in [[word.strip() for word in line] for line in lines]
    assert ["training", "time", "1 h 2 min"] in [[word.strip() for word in line[:3]] for line in titles]


def test_status_tells_energy_by_another_factor_and_that_there_is_none(study, capsys, monkeypatch):
    facts = json.loads(printed(capsys, "status", *study, "grams_per_kwh=50", "format=json"))
    assert facts["energy"]["kg_co2"] == pytest.approx(0.1)
    monkeypatch.setattr(FakeReader, "attribute", lambda self, key: {"joules": None, "counters": []})
    assert "not available here" in printed(capsys, "status", *study)


def test_the_front_of_nothing_says_so(capsys, study, monkeypatch):
    monkeypatch.setattr(FakeReader, "front_document", lambda self, members: {**FRONT, "front": []})
    assert printed(capsys, "front", *study) == "mine has no front yet: no trial is complete\n"
    assert main(["front", *study, "format=csv"]) == 0
    assert capsys.readouterr().out == "trial,id,val_accuracy,macs,params,memory_mib,summary\n"


def test_an_architecture_has_its_exact_costs_and_blocks():
    document = architecture_document(NETWORKS[0])
    graph = lower(NETWORKS[0])
    exact = cost(graph)
    assert (document["id"], document["network_id"]) == (NETWORKS[0].id, network_id(graph))
    assert document["costs"] == {"params": exact.params, "macs": exact.macs, "memory_mib": exact.memory_mib}
    assert sum(block["params"] for block in document["blocks"]) == exact.params
    assert sum(block["macs"] for block in document["blocks"]) == exact.macs
    assert document["blocks"][0]["path"] == "stem"
    assert document["blocks"][-1]["output_shape"] == [10, 1, 1]


def test_an_architecture_of_a_file(tmp_path, capsys):
    file = tmp_path / "net:1 [a].json"
    file.write_text(json.dumps(NETWORKS[0].to_json()), encoding="utf-8")
    expected = architecture_document(NETWORKS[0])
    assert json.loads(printed(capsys, "describe", f"architecture={file}", "format=json")) == expected
    header, *rows = table_of(printed(capsys, "describe", f"architecture={file}", "format=csv"))
    assert header == ["path", "params", "macs", "output_shape"]
    assert [row[0] for row in rows] == [block["path"] for block in expected["blocks"]]
    assert rows[-1][3] == "10x1x1"
    table = printed(capsys, "describe", f"architecture={file}")
    assert expected["summary"] in table
    assert f"{expected['costs']['macs']:,}" in table


def test_the_architecture_of_a_trial(study, capsys):
    outputs = study[0]
    document = json.loads(printed(capsys, "describe", outputs, "architecture=mine:1", "format=json"))
    assert document == architecture_document(NETWORKS[1])


@pytest.mark.parametrize(
    ("text", "law"),
    [
        ("{", "must hold the JSON document of an architecture: Expecting property name"),
        ("[]", "must hold the JSON document of an architecture"),
        ('{"stem": 3}', "must hold the JSON document of an architecture: architecture must have"),
    ],
)
def test_a_file_of_something_else_is_refused(text, law, tmp_path, capsys):
    file = tmp_path / "net.json"
    file.write_text(text, encoding="utf-8")
    assert main(["describe", f"architecture={file}"]) == 2
    error = capsys.readouterr().err
    assert law in error
    assert error.count("\n") == 1


def test_a_space_is_described_by_its_own_draws():
    generator = random.Random(5)
    drawn = [cost(lower(SPACE.draw(generator))) for _ in range(31)]
    macs = sorted(exact.macs for exact in drawn)
    document = space_document(SPACE, Limits(max_macs=macs[10]), samples=31, seed=5)
    assert document["size"] == SPACE.size
    assert document["share_within_limits"] == sum(value <= macs[10] for value in macs) / 31
    assert document["costs"]["macs"]["median"] == macs[15]
    assert document["costs"]["macs"]["max"] == macs[-1]
    assert document["costs"]["macs"]["min"] < macs[0]


def test_the_least_cost_of_a_space_is_that_of_an_architecture_of_it():
    def params(architecture: Architecture) -> float:
        return cost(lower(architecture)).params

    document = space_document(SPACE, Limits(), samples=3, seed=0)
    assert document["costs"]["params"]["min"] == params(SPACE.minimise(params))


def test_a_space_in_every_format(cache, capsys):
    words = ["describe", f"data.cache={cache}", "samples=3", "limits.max_params=1e9"]
    document = json.loads(printed(capsys, *words, "format=json"))
    assert set(document) == {"name", "size", "input", "classes", "costs", "memory", "share_within_limits", "samples"}
    assert (document["share_within_limits"], document["samples"]) == (1.0, 3)
    header, *rows = table_of(printed(capsys, *words, "format=csv"))
    assert header == ["cost", "min", "median", "max"]
    assert rows[0] == ["params", *(str(document["costs"]["params"][name]) for name in header[1:])]
    assert "100.0% of 3 random ones are within the limits" in printed(capsys, *words)


def test_a_sweep_prints_one_result_a_value_and_leaves_nothing_behind(cache, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = printed(capsys, "describe", "-m", "samples=1,2", f"data.cache={cache}", "format=csv")
    assert text.count("cost,min,median,max\n") == 2
    assert list(tmp_path.iterdir()) == []
