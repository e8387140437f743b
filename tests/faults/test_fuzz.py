"""Fuzzed documents at every door: each is refused by an error that a command prints in one line, or is in range.

NAS_FUZZ_EXAMPLES is the number of examples of each test, 40 by default. Examples are derived from the tests' names, so
that a run can be repeated; those that once failed stand in `@example`.
"""

from __future__ import annotations

import copy
import io
import json
import math
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial
from PIL import Image
from synthetic_tables import attributes, rows

from nas.cli.app.application import MISTAKES
from nas.cli.app.bounds import check_yaml
from nas.cli.app.compose import compose, conf_dir, read_yaml
from nas.cli.app.mistakes import LONGEST, explain
from nas.cli.app.overrides import fit
from nas.config.commands import ROOTS
from nas.data import DataError
from nas.data.decode import Entry, PixelFormat, decode
from nas.jobs import Epoch
from nas.study.stored_study import attribute_of, axes_of, fingerprint_of
from nas.study.stored_trial import Laws, record_of
from nas.tabular.check import check_table
from nas.training.checkpoint import Checkpoint, TrainingState, load, save
from nas.training.checkpoint_file import CheckpointError
from search_space.architecture import Architecture
from search_space.cost import cost
from search_space.eager import eager_mib
from search_space.graph import Shape
from search_space.lowering import lower, normalise
from search_space.space import parse_space

EXAMPLES = int(os.environ.get("NAS_FUZZ_EXAMPLES", "40"))
pytestmark = pytest.mark.timeout(max(300, 2 * EXAMPLES))
fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
NUMBERS: list[Any] = [
    math.nan,
    math.inf,
    -math.inf,
    -1,
    0,
    1,
    -0.0,
    0.5,
    1e300,
    5e-324,
    10**12,
    10**30,
    2**63,
    -(2**64),
]
THINGS: list[Any] = [
    None,
    True,
    False,
    "",
    "x",
    "none",
    "nan",
    "\0",
    "\ud800",
    "é" * 300,
    "../x",
    [],
    {},
    [[]],
    {"": 0},
]
hostile = st.sampled_from(NUMBERS + THINGS) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value in a document."""
    yield path
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in inner:
        yield from places(value, (*path, key))


@st.composite
def mutated(draw: st.DrawFn, document: Any) -> Any:
    """Draw a document with one to three values replaced, removed, doubled, or joined by a value of an unknown name."""
    found = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(found))))
        if not path:
            continue
        parent = found
        for key in path[:-1]:
            parent = parent[key]
        change = draw(st.sampled_from(["replace", "replace", "replace", "remove", "add"]))
        if change == "replace":
            parent[path[-1]] = copy.deepcopy(draw(hostile))
        elif change == "remove":
            del parent[path[-1]]
        elif isinstance(parent, dict):
            parent[draw(st.text(max_size=8))] = copy.deepcopy(draw(hostile))
        else:
            parent.append(copy.deepcopy(draw(hostile)))
    return found


@st.composite
def mutated_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw a file's content with bytes changed, cut out or doubled."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(found) - 1)))
        change = draw(st.sampled_from(["set", "set", "cut", "end", "double"]))
        if change == "set":
            found[place : place + 1] = draw(st.binary(min_size=1, max_size=4))
        elif change == "cut":
            del found[place : place + draw(st.integers(1, 64))]
        elif change == "end":
            del found[place:]
        else:
            found[place:place] = found[place : place + draw(st.integers(1, 64))]
    return bytes(found)


def refused(call: Callable[[], object], kinds: tuple[type[BaseException], ...] = (ValueError,)) -> bool:
    """Return whether a call was refused, in one line that is no longer than a command prints; others are raised."""
    try:
        call()
    except kinds as error:
        line = explain(error, ROOTS["search"])
        assert "\n" not in line
        assert len(line) <= LONGEST + 3
        return True
    return False


ARCHITECTURE: dict[str, Any] = {
    "input": [3, 16, 16],
    "classes": 4,
    "stem": {"width": 8, "kernel": 3, "stride": 1},
    "stages": [
        {
            "blocks": [
                {
                    "family": "inception",
                    "branches": [
                        {"name": "k3", "width": 4, "reduction": 0.5, "factorization": "asymmetric", "groups": 2},
                        {"name": "pool", "width": 4, "pool": "max"},
                    ],
                }
            ],
            "reduction": "max",
            "auxiliary": "v1",
        },
        {"blocks": [{"family": "v4a", "settings": {"reduce": 8, "out": 8}}]},
    ],
    "dropout": 0.2,
}


@fuzzed
@given(mutated(ARCHITECTURE))
def test_architectures(document: Any) -> None:
    def measure() -> None:
        architecture = Architecture.from_json(document)
        graph = lower(normalise(architecture))
        assert 0 < cost(graph).params < 1e18
        assert 0 < eager_mib(graph) < 1e18
        assert Architecture.from_json(json.loads(json.dumps(architecture.to_json()))) == architecture

    refused(measure)


SPACES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((conf_dir() / "space").glob("*.yaml"))}


@fuzzed
@given(st.sampled_from(sorted(SPACES)).flatmap(lambda name: mutated(SPACES[name])))
@example({**SPACES["quick"], "dropout": 10**400})
def test_spaces(document: Any) -> None:
    def use() -> None:
        import random  # noqa: PLC0415 - beside its use

        space = parse_space(document, Shape(3, 64, 64), 10)
        assert space.size >= 1
        architecture = space.draw(random.Random(0))
        assert architecture.to_json()
        assert len(space.parameters) <= 5000

    refused(use)


@fuzzed
@given(st.binary(max_size=60) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
@example(b"a: &a [1]\nb: *a\n")
@example(b"[" * 5000)
@example(b"a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + b"".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n".encode() for n in range(1, 12)))  # fmt: skip
@example(b"a: &a [*a]\n")
@example(b"\xff\xfe\x00a")
@example(b"a: 2026-13-45\n")
@example(b"? [a, b]\n: 1\n")
def test_yaml_files(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.yaml"
        path.write_bytes(content)
        refused(lambda: check_yaml(path))
        refused(lambda: read_yaml(path), MISTAKES)


KEYS = [
    *("training.epochs", "budget.minutes", "workers.slots", "study", "seed", "space", "limits", "limits.max_macs"),
    *("objective", "objective.macs.worst", "prior.choices", "prior.weight", "sampler.options.start", "data.path"),
    *("data.options", "start", "fidelity.options", "+space.x", "~training", "++x", "hydra.run.dir", "space.stages"),
]
typed = st.text(max_size=12) | st.sampled_from(
    ["[1,2]", "{a:1}", "nan", "1e400", "'", "\\", "${x}", "[", "a,b", "null"]
)


@settings(fuzzed, max_examples=max(10, EXAMPLES // 2))
@given(st.sampled_from(KEYS), typed)
@example("limits", "[1,2]")
@example("study", "[/x]")
@example("training.epochs", "9" * 5000)
@example("space", "{a: " * 200 + "1" + "}" * 200)
def test_overrides(key: str, value: str) -> None:
    refused(lambda: compose("search", fit([f"{key}={value}"], ROOTS["search"])), MISTAKES)


@cache
def table() -> pd.DataFrame:
    return rows(attributes()).sort_values(["architecture", "seed", "epoch"]).reset_index(drop=True)


@fuzzed
@given(mutated(attributes()))
@example({**attributes(), "seeds": [0, [1], 2]})
def test_metadata_of_tables(about: Any) -> None:
    if isinstance(about, dict):
        refused(lambda: check_table(table(), about))


@fuzzed
@given(st.sampled_from(sorted(set(table().columns))), st.integers(0, 143), st.sampled_from(NUMBERS))
def test_values_of_tables(column: str, row: int, value: Any) -> None:
    frame = table().copy()
    values = frame[column].tolist()
    values[row] = value
    try:
        frame[column] = pd.Series(values, dtype=frame[column].dtype)
    except (TypeError, ValueError, OverflowError):
        return  # the column can't hold it
    if not refused(lambda: check_table(frame, attributes())):
        assert (frame["val_accuracy"].between(0, 1) & frame["test_accuracy"].between(0, 1)).all()
        assert (frame["seconds"] > 0).all()


ROW = {
    "epoch": 1,
    "train_loss": 1.0,
    "val_loss": 1.0,
    "val_accuracy": 0.5,
    "val_balanced_accuracy": 0.5,
    "seconds": 1.0,
}
FINGERPRINT: dict[str, Any] = {
    "format": 1,
    "space": {**SPACES["tabulated_digits"], "input": [1, 8, 8], "classes": 10},
    "objectives": [
        {"name": "val_accuracy", "direction": "maximize", "best": 1.0, "worst": 0.1, "unit": "", "log": False},
        {"name": "macs", "direction": "minimize", "best": 10.0, "worst": 1e6, "unit": "", "log": True},
    ],
    "data": {},
    "training": {},
}
TRIAL: dict[str, Any] = {
    "ask": 0,
    "id": "0" * 16,
    "network_id": "1" * 16,
    "architecture": ARCHITECTURE,
    "summary": "x",
    "seed": 3,
    "costs": {"params": 10, "macs": 100, "memory_mib": 0.5},
    "skipped": {},
    "rejected": [],
    "curve": [ROW],
    "training": {},
    "failure": {"kind": "out_of_memory", "message": "x"},
}


@fuzzed
@given(mutated(TRIAL), st.sampled_from(["COMPLETE", "RUNNING", "PRUNED", "FAIL", "WAITING"]))
def test_attributes_of_trials(attrs: Any, state: str) -> None:
    if not isinstance(attrs, dict):
        return
    laws = Laws(axes_of(FINGERPRINT, "s"), identified=False, whole=True)
    values = [0.5, 100.0] if state == "COMPLETE" else None
    params, options = {"stem.kernel": 1}, {"stem.kernel": CategoricalDistribution([1, 3])}
    trial = create_trial(state=TrialState[state], values=values, params=params, distributions=options, user_attrs=attrs)
    refused(lambda: record_of(trial, laws))


@fuzzed
@given(mutated(FINGERPRINT))
def test_fingerprints(document: Any) -> None:
    refused(lambda: axes_of(fingerprint_of(document, "s"), "s"))


@fuzzed
@given(st.sampled_from(["tail", "config", "budget", "environment", "validation_images", "made_with"]), hostile)
def test_attributes_of_studies(key: str, document: Any) -> None:
    refused(lambda: attribute_of(key, document))


@cache
def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((12, 12)).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


@fuzzed
@given(
    st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM"]).flatmap(lambda k: mutated_bytes(picture(k)))
)
def test_images(content: bytes) -> None:
    def read() -> None:
        pixels = decode(Entry("it", content), PixelFormat(channels=3, resolution=8))
        assert pixels.shape[-3:] in {(3, 8, 8), (8, 8, 3)}

    refused(read, (DataError,))


@cache
def checkpoint() -> bytes:
    buffer = io.BytesIO()
    torch.save({"format": 1, "curve": [ROW], "identity": {}, "weights": {"a": torch.zeros(3)}}, buffer)
    return buffer.getvalue()


@fuzzed
@given(mutated_bytes(checkpoint()))
def test_bytes_of_checkpoints(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "attempt1-epoch001.pt"
        path.write_bytes(content)
        refused(lambda: load(path, {}), (CheckpointError,))


@cache
def flat_checkpoint() -> bytes:
    made = Checkpoint({"a": "b"}, TrainingState({"a": torch.zeros(3)}, {}, None, {}), (Epoch(**ROW),))
    with tempfile.TemporaryDirectory() as folder:
        return save(made, Path(folder), 1).read_bytes()


@fuzzed
@given(mutated_bytes(flat_checkpoint()))
def test_bytes_of_flat_checkpoints(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "attempt1-epoch001.pt"
        path.write_bytes(content)
        refused(lambda: load(path, {}), (CheckpointError,))


FLAT = {"format": 2, "identity": {"a": "b"}, "network": {"a": [0]}, "optimizer": {"0": {"step": [1]}}, "average": None}


@fuzzed
@given(mutated({**FLAT, "precision": {}, "curve": [ROW], "tensors": [["float32", [3], [1], 0], ["int64", [], [], 64]]}))
def test_documents_of_flat_checkpoints(document: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "attempt1-epoch001.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("checkpoint.json", json.dumps(document))
            archive.writestr("tensors", bytes(128))
        refused(lambda: load(path, {}), (CheckpointError,))


@fuzzed
@given(mutated({"format": 1, "curve": [ROW], "identity": {"a": "b"}, "weights": {}, "optimizer": {}, "average": None}))
def test_contents_of_checkpoints(document: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "attempt1-epoch001.pt"
        torch.save(document, path)
        refused(lambda: load(path, {}), (CheckpointError,))


def test_the_number_of_examples_is_stated() -> None:
    if EXAMPLES < 1:
        pytest.fail("NAS_FUZZ_EXAMPLES must be at least 1")
