from __future__ import annotations

import dataclasses
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nas.config.training import Recipe
from nas.jobs import Epoch, Job
from nas.training.checkpoint import Checkpoint, Snapshot, TrainingState, load, save, training_identity
from nas.training.checkpoint_file import CheckpointError
from nas.training.checkpoint_folder import Place, latest
from nas.training.flat_tensors import ALIGNMENT

IDENTITY = {"architecture": "{}", "recipe": "{}", "seed": "1", "steps per epoch": "4"}


def state(epoch: int = 2) -> Checkpoint:
    return Checkpoint(
        identity=IDENTITY,
        state=TrainingState(
            network={"weight": torch.arange(600.0).reshape(2, 300), "count": torch.tensor(3)},
            optimizer={0: {"momentum_buffer": torch.ones(2, 3)}},
            average=None,
            precision={},
        ),
        curve=tuple(Epoch(k + 1, 0.5, 0.6, 0.7, 0.65, 1.5) for k in range(epoch)),
    )


def of(network: dict[str, Tensor]) -> Checkpoint:
    return Checkpoint(IDENTITY, TrainingState(network, {}, None, {}), state().curve)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    saved = state()
    path = save(saved, tmp_path / "new" / "folder", attempt=3)
    assert path == tmp_path / "new" / "folder" / "attempt3-epoch002.pt"
    loaded = load(path, IDENTITY)
    assert torch.equal(loaded.state.network["weight"], saved.state.network["weight"])
    assert torch.equal(loaded.state.optimizer[0]["momentum_buffer"], torch.ones(2, 3))
    assert loaded.curve == saved.curve
    assert (loaded.epoch, loaded.state.average, loaded.state.precision) == (2, None, {})


def kind(tensor: torch.Tensor) -> str:
    return f"{tensor.dtype}-{tuple(tensor.shape)}-{tensor.stride()}"


@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(4, 3, 3, 3).contiguous(memory_format=torch.channels_last),
        torch.randn(4, 5, 1, 1).contiguous(memory_format=torch.channels_last),
        torch.randn(3, 4).t(),
        torch.tensor(2.5, dtype=torch.float64),
        torch.empty(0, 3),
        torch.tensor([True, False, True]),
        torch.arange(7, dtype=torch.int16),
        torch.randn(5).bfloat16(),
    ],
    ids=kind,
)
def test_a_tensor_keeps_type_shape_and_memory_format(tmp_path: Path, tensor: Tensor) -> None:
    network = {"before": torch.ones(3, dtype=torch.int8), "it": tensor, "after": torch.ones(3)}
    found = load(save(of(network), tmp_path, attempt=1), IDENTITY).state.network
    assert found["it"].dtype == tensor.dtype
    assert found["it"].stride() == tensor.stride()
    assert found["it"].data_ptr() % ALIGNMENT == 0 or not tensor.numel()
    assert all(torch.equal(found[name], network[name]) for name in network)


@pytest.mark.parametrize("tensor", [torch.randn(6, 8)[:, ::2], torch.ones(1).expand(5), torch.randn(9)[3:]], ids=kind)
def test_a_part_of_a_larger_tensor_is_written_alone(tmp_path: Path, tensor: Tensor) -> None:
    found = load(save(of({"it": tensor}), tmp_path, attempt=1), IDENTITY).state.network["it"]
    assert torch.equal(found, tensor)
    assert found.is_contiguous()


def test_a_snapshot_is_of_its_moment_and_follows_other_shapes(tmp_path: Path) -> None:
    snapshot, weight = Snapshot(), torch.zeros(4)
    for value, tensor in ((1.0, weight), (2.0, weight), (3.0, torch.zeros(2, 2))):
        tensor.fill_(value)
        snapshot.take(of({"it": tensor}).state)
        tensor.fill_(-1)
        path = snapshot.save(IDENTITY, state(int(value)).curve, Place(tmp_path, 1))
        assert torch.equal(load(path, IDENTITY).state.network["it"], torch.full_like(tensor, value))


def test_equal_states_are_equal_files(tmp_path: Path) -> None:
    assert save(state(), tmp_path / "a", 1).read_bytes() == save(state(), tmp_path / "b", 1).read_bytes()


def test_a_checkpoint_of_format_1_is_read(tmp_path: Path) -> None:
    made = state()
    old = {"format": 1, "identity": IDENTITY, **vars(made.state), "curve": [row.to_json() for row in made.curve]}
    torch.save(old, tmp_path / "old.pt")
    found = load(tmp_path / "old.pt", IDENTITY)
    assert torch.equal(found.state.network["weight"], made.state.network["weight"])
    assert (found.curve, found.state.optimizer.keys()) == (made.curve, {0})


def test_a_new_checkpoint_removes_what_it_supersedes_and_no_more(tmp_path: Path) -> None:
    for name in (
        "attempt1-epoch009.pt", "attempt2-epoch001.pt", "attempt2-epoch003.pt", "attempt3-epoch001.pt",
        ".attempt1-epoch004.pt.part", ".attempt1-epoch005.pt.0a1b2c3d.part", ".attempt3-epoch002.pt.part", "log.txt",
        "attempt1-epoch001.pt.bak",
    ):  # fmt: skip
        (tmp_path / name).touch()
    save(state(2), tmp_path, attempt=2)
    assert names(tmp_path) == [
        ".attempt3-epoch002.pt.part", "attempt1-epoch001.pt.bak", "attempt2-epoch002.pt", "attempt2-epoch003.pt",
        "attempt3-epoch001.pt", "log.txt",
    ]  # fmt: skip


def test_a_write_that_breaks_off_leaves_the_old_checkpoint_and_no_new_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = save(state(1), tmp_path, attempt=1)

    def break_off(file: io.BufferedWriter, *_: object) -> None:
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr("nas.training.checkpoint.write_content", break_off)
    with pytest.raises(OSError, match="no space left"):
        save(state(2), tmp_path, attempt=1)
    assert latest(tmp_path) == (old, 1)
    assert load(old, IDENTITY).epoch == 1


def test_the_latest_is_the_highest_epoch_then_the_highest_attempt(tmp_path: Path) -> None:
    assert latest(tmp_path / "absent") is None
    assert latest(tmp_path) is None
    for name in (
        "attempt9-epoch002.pt", "attempt1-epoch010.pt", "attempt2-epoch010.pt", ".attempt3-epoch011.pt.part", "x.pt",
    ):  # fmt: skip
        (tmp_path / name).touch()
    assert latest(tmp_path) == (tmp_path / "attempt2-epoch010.pt", 10)
    (tmp_path / "attempt1-epoch1000.pt").touch()
    assert latest(tmp_path) == (tmp_path / "attempt1-epoch1000.pt", 1000)


class Hostile:
    """Object that creates a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.folder),)


def test_a_hostile_pickle_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    content = {"format": 1, "network": Hostile(trap)}
    torch.save(content, tmp_path / "zip.pt")
    torch.save(content, tmp_path / "legacy.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(content))
    for name in ("zip.pt", "legacy.pt", "plain.pt"):
        with pytest.raises(CheckpointError, match=name):
            load(tmp_path / name, IDENTITY)
    assert not trap.exists()
    with pytest.raises(CheckpointError, match="must hold plain values and tensors alone"):
        load(tmp_path / "zip.pt", IDENTITY)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(share=st.floats(0, 0.999))
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    whole = save(state(), tmp_path, attempt=1).read_bytes()
    cut = tmp_path / "cut.pt"
    cut.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match=r"cut\.pt"):
        load(cut, IDENTITY)


def test_a_flipped_bit_in_a_weight_is_refused(tmp_path: Path) -> None:
    path = save(state(), tmp_path, attempt=1)
    content = bytearray(path.read_bytes())
    content[content.index(torch.arange(600.0).numpy().tobytes()) + 1001] ^= 4
    path.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match=r"must be undamaged, got a wrong checksum of tensors"):
        load(path, IDENTITY)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(place=st.floats(0, 0.999), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_never_yields_another_state(tmp_path: Path, place: float, bit: int) -> None:
    path = save(state(), tmp_path, attempt=1)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(bytes(content))
    try:
        loaded = load(path, IDENTITY)
    except CheckpointError:
        return
    assert torch.equal(loaded.state.network["weight"], state().state.network["weight"])
    assert loaded.curve == state().curve


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"must be a readable file, got FileNotFoundError.*gone\.pt"):
        load(tmp_path / "gone.pt", IDENTITY)


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(CheckpointError, match="must be a readable file"):
        load(path, IDENTITY)


@pytest.mark.parametrize(
    ("content", "law"),
    [
        ([1, 2], "must be a mapping, got list"),
        ({"epoch": 1}, "must have format 1 or 2, got None"),
        ({"format": 3}, "must have format 1 or 2, got 3"),
        ({"format": 1, "identity": {}}, "must hold a complete training state, got KeyError"),
    ],
)
def test_another_content_is_refused(tmp_path: Path, content: object, law: str) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=law):
        load(tmp_path / "other.pt", IDENTITY)


@pytest.mark.parametrize(
    ("changes", "recipe", "steps", "differs"),
    [
        ({"seed": 6}, Recipe(), 4, "seed differs in .*: expected 6, got 5"),
        ({"architecture": {"stages": [2, 1]}}, Recipe(), 4, "architecture differs"),
        ({}, Recipe(epochs=99), 4, "recipe differs"),
        ({}, Recipe(), 5, "steps per epoch differs in .*: expected 5, got 4"),
    ],
)
def test_a_foreign_checkpoint_is_refused_with_what_differs(
    tmp_path: Path, make_job: Callable[..., Job], changes: dict[str, Any], recipe: Recipe, steps: int, differs: str
) -> None:
    ours = training_identity(make_job(), Recipe(), 4)
    path = save(dataclasses.replace(state(), identity=ours), tmp_path, attempt=1)
    assert load(path, training_identity(make_job(trial=8, attempt=3), Recipe(), 4)).epoch == 2
    with pytest.raises(CheckpointError, match=differs):
        load(path, training_identity(make_job(**changes), recipe, steps))
