"""Checkpoints whose checksums are right and whose content is not: one line each, within the memory of their size."""

from __future__ import annotations

import json
import pickle
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from nas.jobs import Epoch
from nas.training.checkpoint import Checkpoint, load, save
from nas.training.checkpoint_file import CheckpointError
from nas.training.restore import restore_network
from search_space.architecture import Architecture, Stage, Stem
from search_space.graph import Shape
from search_space.lowering import lower
from search_space.network import build

ARCHITECTURE = Architecture(Shape(1, 8, 8), 3, Stem(4), (Stage(()),))
DOCUMENT = ARCHITECTURE.to_json()
IDENTITY = {"architecture": json.dumps(DOCUMENT, sort_keys=True)}
ROW = Epoch(1, 0.5, 0.6, 0.7, 0.65, 1.5).to_json()
SPARSE = torch.eye(3).to_sparse()


def content() -> dict[str, Any]:
    """Content of a good checkpoint, to be spoilt."""
    return {
        "format": 1,
        "identity": dict(IDENTITY),
        "network": dict(build(lower(ARCHITECTURE)).state_dict()),
        "optimizer": {0: {"step": torch.tensor(3.0)}},
        "average": None,
        "precision": {},
        "curve": [dict(ROW)],
    }


def test_the_good_one_is_read(tmp_path: Path) -> None:
    torch.save(content(), tmp_path / "good.pt")
    assert restore_network(tmp_path / "good.pt", DOCUMENT).curve == (Epoch(**ROW),)


SPOILT: dict[str, tuple[str, Any, str]] = {
    "a format that is true": ("format", True, "must have format 1"),
    "names that are numbers": ("network", {1: torch.ones(2)}, "names in network must be text, got int"),
    "a list of weights": ("network", [torch.ones(2)], "network must be tensors by name, got list"),
    "complex weights": (
        "network",
        {"a": torch.ones(2, dtype=torch.complex64)},
        "plain values and tensors alone",
    ),
    "sparse weights": ("network", {"a": SPARSE}, "plain values and tensors alone"),
    "weights that repeat one number": ("network", {"a": torch.ones(1).expand(10**9)}, "a dense tensor of real numbers"),
    "a text for a weight": ("network", {"a": "x"}, "must be a dense tensor of real numbers, got str"),
    "average of numbers": ("average", {"a": 1.0}, "average.a must be a dense tensor of real numbers, got float"),
    "optimizer by name": ("optimizer", {"a": {}}, "optimizer must be states by index"),
    "optimizer of lists": ("optimizer", {0: {"step": [1]}}, r"optimizer\.0\.step must be a tensor or a number"),
    "identity of numbers": ("identity", {"seed": 1}, "identity must be texts by name"),
    "precision of lists": ("precision", {"scale": [1]}, r"precision\.scale must be a plain value, got list"),
    "curve of accuracy 7": ("curve", [{**ROW, "val_accuracy": 7.0}], r"accuracies in \[0, 1\]"),
    "curve of texts": ("curve", [{**ROW, "seconds": "x"}], "must hold numbers"),
    "curve that jumps": ("curve", [{**ROW, "epoch": 5}], "must be in its place"),
    "curve of another version": ("curve", [{**ROW, "more": 1}], "epoch 1 of the curve must have"),
    "no curve": ("curve", None, "curve must be a list of epochs, got NoneType"),
    "a set": ("precision", {"a": {1}}, "plain values and tensors alone"),
    "a number of 10,000 digits": ("precision", {"a": [10**10_000]}, "plain values and tensors alone"),
    "a parameter": ("network", {"a": torch.nn.Parameter(torch.ones(2))}, "plain values and tensors alone"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_content_of_other_types_is_refused(name: str, tmp_path: Path) -> None:
    key, value, law = SPOILT[name]
    torch.save(content() | {key: value}, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match=law) as refused:
        load(tmp_path / "bad.pt", {})
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize("key", sorted(content()))
def test_a_missing_part_is_named(key: str, tmp_path: Path) -> None:
    spoilt = content()
    del spoilt[key]
    torch.save(spoilt, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match=key):
        load(tmp_path / "bad.pt", {})


def test_an_architecture_nested_100_000_deep_is_of_another_network(tmp_path: Path) -> None:
    torch.save(content() | {"identity": {"architecture": "[" * 100_000}}, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match="must be of the requested network"):
        restore_network(tmp_path / "bad.pt", DOCUMENT)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    spoilt = content()
    spoilt["network"] = {name: torch.ones(7, 7) for name in spoilt["network"]}
    torch.save(spoilt, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match="must fit its network") as refused:
        restore_network(tmp_path / "bad.pt", DOCUMENT)
    assert "\n" not in str(refused.value)


def packed(path: Path, members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, body in members.items():
            archive.writestr(f"archive/{name}", body)
    return path


def test_a_member_that_unpacks_to_more_than_its_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = packed(tmp_path / "bomb.pt", {"data.pkl": b"\x80\x02}.", "data/0": bytes(2**28)}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    with pytest.raises(CheckpointError, match="no compressed members and unpack to at most its"):
        load(path, {})
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


class _Allocates:
    def __init__(self, made: Any, *arguments: Any) -> None:
        self.made, self.arguments = made, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.made, self.arguments


@pytest.mark.parametrize("made", [bytearray, torch.Tensor, torch.UntypedStorage, set], ids=lambda made: made.__name__)
def test_a_pickle_that_allocates_what_it_says_is_refused(made: Any, tmp_path: Path) -> None:
    argument: Any = [1] if made is set else 2**33
    body = pickle.dumps({"format": 1, "a": _Allocates(made, argument)}, protocol=2)
    with pytest.raises(CheckpointError, match="plain values and tensors alone"):
        load(packed(tmp_path / "bad.pt", {"data.pkl": body, "byteorder": b"little"}), {})


def test_a_pickle_nested_100_000_deep_is_refused(tmp_path: Path) -> None:
    body = b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    with pytest.raises(CheckpointError, match="a checkpoint must be"):
        load(packed(tmp_path / "bad.pt", {"data.pkl": body, "byteorder": b"little"}), {})


def test_a_checkpoint_with_everything_goes_round(tmp_path: Path) -> None:
    network = OrderedDict(build(lower(ARCHITECTURE)).state_dict())
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in network.items()}
    state = {0: {"step": torch.tensor(4.0), "exp_avg": torch.ones(4, 1, 3, 3), "momentum_buffer": None}}
    made = Checkpoint(IDENTITY, dict(network), state, half, {"scale": 65536.0, "_growth_tracker": 0}, (Epoch(**ROW),))
    found = load(save(made, tmp_path, attempt=1), IDENTITY)
    assert found.average is not None
    assert {name: tensor.dtype for name, tensor in found.average.items()} == {n: t.dtype for n, t in half.items()}
    assert found.precision == made.precision
    assert torch.equal(found.optimizer[0]["exp_avg"], torch.ones(4, 1, 3, 3))
    assert found.optimizer[0]["momentum_buffer"] is None
