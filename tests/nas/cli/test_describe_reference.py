"""`nas describe` of published networks and of rewrites, and searches that start from one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from nas.cli import main
from nas.search.starts import projected_starts
from search_space.cost import cost
from search_space.documents import graph_of
from search_space.graph import Shape
from search_space.identity import network_id
from search_space.space import parse_space


def described(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["describe", *words, "format=json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_googlenet_has_its_published_costs(capsys: pytest.CaptureFixture[str]) -> None:
    document = described(capsys, "reference=googlenet")
    assert (document["costs"]["params"], document["costs"]["macs"]) == (6_624_904, 1_498_376_192)
    blocks = {block["path"]: block for block in document["blocks"]}
    assert blocks["inception3a"]["macs"] == 121_626_624
    assert sum(block["params"] for block in document["blocks"]) == 6_624_904


def test_a_rewrite_shows_before_and_after(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "network.svg"
    document = described(capsys, "reference=googlenet_5x5", "rewrite=stack", f"svg={picture}")
    assert document["rewrite"]["before"]["macs"] == 1_582_671_872
    assert document["costs"]["macs"] - document["rewrite"]["before"]["macs"] == 57_050_112
    assert document["rewrite"]["receptive_field"]["before"] == document["rewrite"]["receptive_field"]["after"]
    assert len(document["rewrite"]["at"]) == 9
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_a_rewrite_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "reference=googlenet_5x5", "rewrite=stack"]) == 0
    text = capsys.readouterr().out
    assert "stack: outputs change" in text
    assert "1,582,671,872" in text
    assert "1,639,721,984" in text
    assert "note: stack raises MACs here, by 3.6%" in text
    assert "raises memory" not in text


@pytest.mark.parametrize(
    ("words", "law"),
    [
        (["reference=googlnet"], "reference must be one of googlenet"),
        (["reference=googlenet", "rewrite=twist"], "a rewrite must be one of"),
        (["rewrite=stack"], "name an architecture or a reference"),
        (["reference=googlenet", "architecture=a:1"], "got both"),
    ],
)
def test_mistakes(capsys: pytest.CaptureFixture[str], words: list[str], law: str) -> None:
    assert main(["describe", *words]) == 2
    error = capsys.readouterr().err
    assert law in error
    assert error.count("\n") == 1


def test_starts_are_of_the_space() -> None:
    block = {"branches": {"k1": {"width": [4, 8]}, "k3": {"width": [0, 8], "reduction": ["none", 0.5]}}}
    space = parse_space(
        {"name": "small", "stem": {"width": [4, 8]}, "stages": [{"depth": [1, 2], "block": block}]}, Shape(1, 8, 8), 10
    )
    starts = projected_starts(["googlenet", "inception_v3"], space)
    assert all(space.contains(start.architecture) for start in starts.values())
    with pytest.raises(ValueError, match=r"start may name googlenet, .*, got 'alexnet'"):
        projected_starts(["alexnet"], space)


PRUNED = {
    "pruned": {"reference": "resnet20", "input": [3, 16, 16], "classes": 4},
    "removed": {"stage0block0.body.conv1": [0, 5]},
}


def test_an_exported_network_that_is_no_architecture_is_described(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for document in (PRUNED["pruned"], PRUNED):
        (tmp_path / "architecture.json").write_text(json.dumps(document))
        expected = graph_of(document)
        for name in (tmp_path, tmp_path / "architecture.json"):
            assert main(["describe", f"architecture={name}", "format=json", f"svg={tmp_path / 'drawing.svg'}"]) == 0
            found = json.loads(capsys.readouterr().out)
            assert found["costs"]["params"] == cost(expected).params
            assert found["network_id"] == network_id(expected)
            assert found["classes"] == 4
        assert (tmp_path / "drawing.svg").read_text().startswith("<svg")


@pytest.mark.parametrize("removed", [{"nowhere": [0]}, 5, {"stem": ["a"]}])
def test_a_pruned_network_that_cannot_be_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, removed: object
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({**PRUNED, "removed": removed}))
    assert main(["describe", f"architecture={path}"]) == 2
    err = capsys.readouterr().err
    assert f"{path} must hold the JSON document of an architecture" in " ".join(err.split())
    assert "Traceback" not in err
