"""File of a checkpoint: read without running code, within the memory that its size allows, and checked by type.

A checkpoint is an archive of stored, uncompressed members with checksums: a JSON document of plain values, and one
buffer with the numbers of all tensors. So what it unpacks to is no larger than the file, and a member that would unpack
to more is refused before it is read. In the document, a tensor is a list with its place in the index of tensors.

Format 1, which earlier versions wrote, has a pickle in place of the document, and a member a tensor. Of what a pickle
may name, only tensors and their numbers are allowed: others, such as `bytearray`, allocate what they are told.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import pickletools
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import IO, Any

import torch
from torch import Tensor

from nas.jobs import Curve, Epoch
from nas.training.flat_tensors import FlatTensors, tensors_in

DOCUMENT, VALUES = "checkpoint.json", "tensors"
"""Members of a checkpoint: the document and the buffer."""

CHUNK = 2**20
"""Bytes of the buffer that are read at once."""

LARGEST_DOCUMENT = 2**26
"""Bytes of the largest document or pickle; that of a network of a thousand layers has a million."""

STORAGES = ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
NAMES = frozenset(
    ("collections OrderedDict", "torch._utils _rebuild_tensor_v2", *(f"torch {kind}Storage" for kind in STORAGES))
)
"""Names that the pickle of a checkpoint may hold."""

DAMAGES = (
    *(OSError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, LookupError, ValueError, TypeError),
    *(AttributeError, AssertionError, OverflowError, MemoryError, RecursionError),
)
"""Errors of libraries on files that they did not write."""

_ROW = tuple(Epoch.__dataclass_fields__)
_SCORES = ("val_loss", "val_accuracy", "val_balanced_accuracy")


class CheckpointError(ValueError):
    """A checkpoint that can't be read, or that belongs to another training."""


def write_content(file: IO[bytes], document: Mapping[str, Any], flat: FlatTensors) -> None:
    """Write a checkpoint in which each tensor is a list with its place among the tensors of `flat`."""
    text = json.dumps({**document, "tensors": flat.index})
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo(DOCUMENT), text)
        archive.writestr(zipfile.ZipInfo(VALUES), flat.values())


def read_content(path: Path) -> dict[str, Any]:
    """Return the mapping in a checkpoint's file, onto the CPU.

    Raises:
        CheckpointError: the file is absent or damaged, unpacks to more than itself, or holds other objects.
    """
    try:
        content = _content(path)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise _others(path) from error
    except DAMAGES as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"a checkpoint must be a readable file, got {type(error).__name__}: {reason} ({path})"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"a checkpoint must be a mapping, got {type(content).__name__} in {path}")
    return content


def _content(path: Path) -> object:
    with zipfile.ZipFile(path) as archive:
        _check_archive(path, archive)
        if DOCUMENT in archive.namelist():
            return _flat_content(archive)
        if not all(_named(archive.read(member)) <= NAMES for member in _documents(archive)):
            raise _others(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _flat_content(archive: zipfile.ZipFile) -> object:
    """Return the content of a checkpoint of format 2, with its tensors in place."""
    content = json.loads(archive.read(DOCUMENT))
    if not isinstance(content, dict):
        return content
    tensors = tensors_in(_values(archive), content["tensors"])
    for part in ("network", "average", "precision"):
        content[part] = _with_tensors(content[part], tensors)
    states = content["optimizer"]
    if isinstance(states, dict):
        content["optimizer"] = {_index(key): _with_tensors(state, tensors) for key, state in states.items()}
    return content


def _values(archive: zipfile.ZipFile) -> Tensor:
    """Return the buffer (bytes,) uint8 of a checkpoint of format 2."""
    values = torch.empty(archive.getinfo(VALUES).file_size, dtype=torch.uint8)
    view, end = memoryview(values.numpy()), 0  # type: ignore[arg-type]  # numpy states no buffer
    with archive.open(VALUES) as file:
        while chunk := file.read(CHUNK):
            view[end : end + len(chunk)] = chunk
            end += len(chunk)
    if end != len(values):
        raise ValueError(f"{VALUES} must have {len(values):,} bytes, got {end:,}")
    return values


def _with_tensors(part: object, tensors: list[Tensor]) -> object:
    """Return values by name with a tensor in place of each list of one number."""
    if not isinstance(part, dict):
        return part
    return {name: tensors[value[0]] if _is_place(value, tensors) else value for name, value in part.items()}


def _is_place(value: object, tensors: list[Tensor]) -> bool:
    """Return whether this is a list with the place of a tensor."""
    return isinstance(value, list) and len(value) == 1 and type(value[0]) is int and 0 <= value[0] < len(tensors)


def _index(key: str) -> int | str:
    return int(key) if key.isdecimal() else key


def tensors_listed(content: Mapping[str, Any]) -> tuple[dict[str, Any], list[Tensor]]:
    """Return a content with a list in place of each tensor, and the tensors; `write_content` writes them."""
    tensors: list[Tensor] = []

    def listed(value: Any) -> Any:
        if isinstance(value, Tensor):
            tensors.append(value)
            return [len(tensors) - 1]
        if isinstance(value, Mapping):
            return {str(key): listed(each) for key, each in value.items()}
        return value

    return {name: listed(value) for name, value in content.items()}, tensors


def _others(path: Path) -> CheckpointError:
    return CheckpointError(f"a checkpoint must hold plain values and tensors alone, got other objects in {path}")


def _check_archive(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse an archive that unpacks to more than its file, or is damaged.

    Raises:
        CheckpointError: as above.
    """
    size = os.stat(path).st_size
    members = archive.infolist()
    unpacked = sum(member.file_size for member in members)
    if unpacked > size or any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise CheckpointError(
            f"a checkpoint must hold no compressed members and unpack to at most its {size:,} bytes, "
            f"got {unpacked:,} in {path}"
        )
    for member in _documents(archive):
        if member.file_size > LARGEST_DOCUMENT:
            raise CheckpointError(
                f"{member.filename} of a checkpoint must have at most {LARGEST_DOCUMENT:,} bytes, "
                f"got {member.file_size:,} in {path}"
            )
    # torch ignores the archive's checksums when it reads; a flipped bit in a weight would go unnoticed.
    damaged = archive.testzip()
    if damaged is not None:
        raise CheckpointError(f"a checkpoint must be undamaged, got a wrong checksum of {damaged} in {path}")


def _documents(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the members whose content is made into objects: the document, or pickles."""
    return [member for member in archive.infolist() if member.filename.endswith((DOCUMENT, ".pkl"))]


def _named(pickled: bytes) -> set[str]:
    """Return the names that a pickle holds, `?` for one that it computes."""
    found = set()
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "GLOBAL":
            found.add(str(argument))
        elif opcode.name in ("STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"):
            found.add("?")
    return found


def tensors_of(content: object, name: str) -> dict[str, Tensor]:
    """Return a state dict: dense tensors of real numbers by name.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(content, dict):
        raise TypeError(f"{name} must be tensors by name, got {type(content).__name__}")
    for key, tensor in content.items():
        if not isinstance(key, str):
            raise TypeError(f"names in {name} must be text, got {type(key).__name__}")
        if not _is_plain(tensor):
            kind = f"{tensor.dtype}, {tensor.layout}" if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(f"{name}.{key[:60]} must be a dense tensor of real numbers, got {kind}")
    return dict(content)


def _is_plain(value: object) -> bool:
    """Return whether this is a dense tensor of real numbers, each of which is in the file."""
    if type(value) is not Tensor or value.layout != torch.strided or value.is_complex() or value.is_quantized:
        return False
    return value.device.type == "cpu" and value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def optimizer_of(content: object) -> dict[int, dict[str, Any]]:
    """Return the state of an optimizer: tensors and numbers by name, by index of the parameter.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(content, dict):
        raise TypeError(f"optimizer must be states by index, got {type(content).__name__}")
    for index, state in content.items():
        if type(index) is not int or not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
            raise TypeError(f"optimizer must be states by index, got {type(state).__name__} at {str(index)[:60]}")
        for name, value in state.items():
            if not _is_plain(value) and not isinstance(value, int | float | NoneType):
                raise TypeError(f"optimizer.{index}.{name[:60]} must be a tensor or a number")
    return dict(content)


def numbers_of(content: object, name: str) -> dict[str, Any]:
    """Return plain values by name: numbers, texts, tensors of real numbers.

    Raises:
        TypeError: they are others.
    """
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise TypeError(f"{name} must be values by name, got {type(content).__name__}")
    for key, value in content.items():
        if not isinstance(value, str | int | float | NoneType) and not _is_plain(value):
            raise TypeError(f"{name}.{key[:60]} must be a plain value, got {type(value).__name__}")
    return dict(content)


def texts_of(content: object, name: str) -> dict[str, str]:
    """Return texts by name.

    Raises:
        TypeError: they are others.
    """
    found = numbers_of(content, name)
    if not all(isinstance(value, str) for value in found.values()):
        raise TypeError(f"{name} must be texts by name")
    return found


def curve_of(content: object) -> Curve:
    """Return the learning curve of a checkpoint.

    Raises:
        TypeError: it is none.
        ValueError: a value is out of its range.
    """
    if not isinstance(content, list):
        raise TypeError(f"curve must be a list of epochs, got {type(content).__name__}")
    for place, row in enumerate(content, 1):
        if not isinstance(row, Mapping) or set(row) != set(_ROW):
            raise TypeError(f"epoch {place} of the curve must have {', '.join(_ROW)}")
        scores = [row[key] for key in _SCORES]
        numbers = [value for key, value in row.items() if key not in _SCORES or scores != [None] * len(scores)]
        if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers):
            raise TypeError(f"epoch {place} of the curve must hold numbers")
        val_loss, *shares = (0.0 if score is None else score for score in scores)
        if row["epoch"] != place or not all(0 <= share <= 1 for share in shares):
            raise ValueError(f"epoch {place} of the curve must be in its place, with accuracies in [0, 1]")
        if not 0 <= row["seconds"] < math.inf or row["train_loss"] < 0 or val_loss < 0:
            raise ValueError(f"epoch {place} of the curve must have losses and seconds of at least 0")
    return tuple(Epoch.from_json(row) for row in content)
