"""Equality of exports: the networks that are drawn, the rows, and a few networks in full."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import export_equality
import numpy as np
import pytest
import torch
from export_equality import FORMS, Found, Row, checked, expected_logits, row_of, subject_of
from exported_cases import Network, drawn, published
from odd_pictures import odd_pictures

from nas.exports.safetensors import FORMAT as WEIGHTS
from nas.exports.source import FORMAT as SOURCE
from search_space.blocks import families
from search_space.documents import graph_of, without_auxiliaries
from search_space.references import REFERENCES
from search_space.source import source


def families_in(document: Any) -> set[str]:
    """Return the block families that an architecture names."""
    blocks = [block for stage in document["stages"] for block in (*stage["blocks"], stage.get("grid")) if block]
    return {block.get("family", "inception") for block in blocks}


def test_fifty_architectures_have_every_family_and_every_reference_fits() -> None:
    networks = list(drawn(50, 0))
    assert networks == list(drawn(50, 0))
    assert set().union(*(families_in(network.document) for network in networks)) == set(families())
    assert [network.name for network in published(list(REFERENCES))] == list(REFERENCES)
    for network in networks:
        graph = graph_of(network.document)
        assert (graph.output.channels, graph.output.height) == (10, 1)
        assert without_auxiliaries(network.document) == network.document


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Any, Path, Found]:
    """Return a network with its files, and outputs as they must be."""
    torch.set_num_threads(1)
    (network,) = (network for network in drawn(8, 0) if network.name.endswith("tabulated_digits"))
    folder, subject = tmp_path_factory.mktemp("case"), subject_of(network)
    (folder / "preprocessing.json").write_text(json.dumps(subject.preprocessing))
    (folder / "odd").mkdir()
    odd_pictures(folder / "odd")
    WEIGHTS.write(subject, folder)
    SOURCE.write(subject, folder)
    logits, odd = expected_logits(subject, folder)
    classes = [{"classes": [{"name": f"class {label}"}]} for label in odd.argmax(1)]
    text = hashlib.sha256(source(subject.graph).encode()).hexdigest()
    return network, subject, folder, Found([logits] * 3, odd, ["usage: model.py", json.dumps(classes)], text)


def test_what_is_as_it_must_be_misses_nothing(case: tuple[Network, Any, Path, Found]) -> None:
    row = row_of(*case)
    assert row.missed == ()
    assert row.differences == dict.fromkeys(FORMS, (0.0, 0.0))
    assert len(set(case[3].logits[0].argmax(1))) > 1  # images of more than one class, or agreement would say nothing


def moved(logits: Any, by: float) -> Any:
    return logits + np.float32(by)


@pytest.mark.parametrize(
    ("spoil", "law"),
    [
        (lambda f: {"logits": [moved(f.logits[0], 1e-3), *f.logits[1:]]}, "onnx differs by"),
        (lambda f: {"logits": [f.logits[0], moved(f.logits[1], 1e-3), f.logits[2]]}, "torch_export differs by"),
        (lambda f: {"logits": [*f.logits[:2], moved(f.logits[2], 1e-6)]}, "model.py must give the same bits"),
        (lambda f: {"logits": [-f.logits[0], *f.logits[1:]]}, "every class must be the same"),
        (lambda f: {"odd": -f.odd}, "turned.png must be of class"),
        (lambda f: {"printed": ["", f.printed[1]]}, "model.py must print its help"),
        (lambda f: {"hash": "0"}, "model.py must be the same text"),
    ],
)
def test_what_is_not_is_missed(case: tuple[Network, Any, Path, Found], spoil: Any, law: str) -> None:
    network, subject, folder, found = case
    assert any(law in missed for missed in row_of(network, subject, folder, replace(found, **spoil(found))).missed)


def test_a_stored_row_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    networks, ran = list(drawn(3, 0)), []

    def run(chunk: list[Network]) -> list[Row]:
        ran.extend(network.name for network in chunk)
        keys = [(network.name, export_equality.key_of(network)) for network in chunk]
        return [Row(name, key, 1, (3, 16, 16), {"onnx": (0.0, 0.0)}, 1.0, ()) for name, key in keys]

    monkeypatch.setattr(export_equality, "run", run)
    first = list(checked(networks[:2], tmp_path / "rows.jsonl"))
    assert [row.name for row in checked(networks, tmp_path / "rows.jsonl")] == [network.name for network in networks]
    assert ran == [network.name for network in networks]
    assert [row.name for row in checked(networks[:2], tmp_path / "rows.jsonl")] == [row.name for row in first]


@pytest.mark.slow
def test_five_architectures_and_two_references_are_equal() -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra `export`")
    networks = [*list(drawn(14, 0))[9:], *published(["resnet20", "inception_next_atto"])]
    rows = list(checked(networks))
    assert {row.name: row.missed for row in rows} == {network.name: () for network in networks}
    assert all(row.differences["onnx"][0] > 0 for row in rows)  # another program computed them
