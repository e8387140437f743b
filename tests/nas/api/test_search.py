"""A search on arrays, its keywords and its mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from bars import SETTINGS, bars

from nas import Study, search
from nas.api.images import Classes, as_images
from nas.api.settings import configured, words_of
from nas.cli.app.compose import compose, read_yaml

pytestmark = pytest.mark.xdist_group("api")  # one search for all

ARRAY = np.zeros((5, 8, 9), dtype=np.uint8)


def test_a_search_is_that_of_the_command(study: Study) -> None:
    stored = read_yaml(study.folder / "config.yaml")
    assert stored["limits"]["max_macs"] == 200_000
    assert stored["training"]["epochs"] == 1
    assert stored["budget"]["trials"] == 6
    assert stored["sampler"]["name"] == "random"
    assert stored["data"]["path"] == str(study.folder / "data")
    assert study.trials()["macs"].max() <= 200_000


def test_the_same_call_goes_on(tmp_path: Path) -> None:
    found = bars(90)
    first = search(found.images, found.labels, outputs=tmp_path, budget=1, **SETTINGS)
    again = search(found.images, found.labels, outputs=tmp_path, budget=2, **SETTINGS)
    assert first.folder == again.folder
    assert first.name.startswith("images-")
    assert len(again) == 2
    other = bars(90, seed=3)
    with pytest.raises(ValueError, match=r"holds other images than those given"):
        search(other.images, other.labels, outputs=tmp_path, study=first.name, budget=2, **SETTINGS)


@pytest.mark.slow
def test_a_space_may_be_a_mapping(tmp_path: Path) -> None:
    found = bars(60)
    block = {"branches": {"k1": {"width": 4}, "k3": {"width": [4, 8]}}}
    own = {"stem": {"width": 4}, "stages": [{"depth": 1, "reduction": "max", "block": block}]}
    study = search(
        torch.from_numpy(found.images), found.labels, study=tmp_path / "own", space=own, budget={"trials": 9},
        objectives=("val_accuracy", "params"), **{k: v for k, v in SETTINGS.items() if k not in ("space", "limits")},
    )  # fmt: skip
    assert len(study) == 2  # there are no more
    assert {"val_accuracy", "params"} <= set(study.front())


@pytest.mark.few(4)
@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"budget": 40}, ["budget.trials=40"]),
        ({"budget": {"minutes": 5}}, ["budget.minutes=5", "budget.trials=null"]),
        ({"budget": {"minutes": 5, "trials": 9}}, ["budget.minutes=5", "budget.trials=9"]),
        ({"sampler": "tpe"}, ["sampler=tpe"]),
        ({"training": {"name": "quick", "epochs": 3}}, ["training=quick", "training.epochs=3"]),
        ({"objectives": ("val_accuracy", "macs")}, ["objective=[val_accuracy,macs]"]),
        ({"limits": {"max_macs": np.float64(1e6)}}, ["limits.max_macs=1000000.0"]),
        ({"augmentation": ["crop"], "seed": 3}, ["seed=3", "augmentation=[crop]"]),
        ({"slots": None, "overrides": ["a=b"]}, ["a=b"]),
    ],
)
def test_keywords_are_overrides(keywords: Any, words: list[str]) -> None:
    assert words_of(keywords) == words
    if "overrides" not in keywords:
        compose("search", [word for word in words if not word.startswith("limits")])


@pytest.mark.parametrize(
    ("keywords", "error", "law"),
    [
        ({"spcae": "quick"}, TypeError, "search takes no keyword 'spcae'; did you mean 'space'?"),
        ({"space": "quik"}, ValueError, "space must be one of .*, got 'quik'; did you mean quick?"),
        ({"sampler": "tpee"}, ValueError, "sampler must be one of .*, got 'tpee'; did you mean tpe?"),
        ({"budget": {"trails": 3}}, ValueError, "there is no 'budget.trails' to set; did you mean .*trials"),
        ({"study": ""}, ValueError, "study must be a name or a path, got an empty one"),
        ({"limits": 3}, TypeError, "limits must be a mapping of its keys, got 3"),
        ({"limits": {"max_mac": 3}}, ValueError, "got 'max_mac'; did you mean max_macs?"),
        ({"training": {"a b": 3}}, TypeError, "a key of training must be a name, got 'a b'"),
        ({"test": np.zeros((3, 8, 8))}, TypeError, "test must be a pair of images and labels, got ndarray"),
        ({"overrides": "seed=3"}, TypeError, "overrides must be a list of key=value, got 'seed=3'"),
        ({"budget": "3"}, TypeError, "budget must be a number of trials or a mapping"),
        ({"limits": {"macs": 3}}, ValueError, "a limit must be named max_<cost>, got limits.macs"),
        ({"training": 3}, TypeError, "training must be the name of an option or a mapping of its keys, got 3"),
        ({"space": 3}, TypeError, "space must be a name or a mapping, got int"),
        ({"overrides": ["--config-dir=x"]}, ValueError, "overrides must be written key=value.*plugins=FOLDER"),
        ({"overrides": ["data=digits"]}, ValueError, "overrides must not set data="),
        ({"plugins": "/nowhere"}, ValueError, "plugins must be a folder, got /nowhere"),
        ({"seed": -1}, ValueError, "seed must be"),
    ],
)
def test_mistakes_are_told_with_the_nearest_name(
    keywords: dict[str, Any], error: type[Exception], law: str, tmp_path: Path
) -> None:
    found = bars(30)
    with pytest.raises(error, match=law) as raised:
        search(found.images, found.labels, **{"study": tmp_path / "none", **keywords})
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "none" / "study.db").exists()


def test_plug_ins_are_named_by_their_folder(tmp_path: Path) -> None:
    (tmp_path / "space").mkdir()
    mapping = compose("search").space
    (tmp_path / "space" / "mine_own.yaml").write_text(yaml.safe_dump({**mapping, "name": "mine_own"}))
    assert configured("search", ["space=mine_own"], tmp_path).space["name"] == "mine_own"
    with pytest.raises(ValueError, match=r"got 'mine_own'"):
        configured("search", ["space=mine_own"])


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        (ARRAY, (5, 1, 8, 9)),
        (ARRAY[..., None], (5, 1, 8, 9)),
        (np.zeros((5, 8, 9, 3)), (5, 3, 8, 9)),
        (np.zeros((5, 3, 8, 9)), (5, 3, 8, 9)),
        (torch.zeros(5, 3, 2, 2), (5, 3, 2, 2)),
        (torch.zeros(5, 8, 9), (5, 1, 8, 9)),
        (ARRAY.tolist(), (5, 1, 8, 9)),
    ],
)
def test_layouts_are_told_by_the_extents(images: Any, shape: tuple[int, ...]) -> None:
    assert tuple(as_images(images).shape) == shape


def test_channels_last_keep_their_pixels() -> None:
    array = np.arange(2 * 5 * 6 * 3).reshape(2, 5, 6, 3)
    assert (as_images(array).numpy() == array.transpose(0, 3, 1, 2)).all()
    rows = ARRAY.reshape(5, -1)
    assert tuple(as_images(rows, (8, 9)).shape) == (5, 1, 8, 9)


@pytest.mark.parametrize(
    ("images", "shape", "law"),
    [
        (np.zeros((5, 72)), None, r"got rows of pixels \(5, 72\): image_shape=\(h, w\) says their shape"),
        (np.zeros((5, 72)), (8, 8), r"image_shape must have 72 pixels, as each row has, got \(8, 8\)"),
        (np.zeros(5), None, "got 1 dimensions"),
        (np.zeros((5, 3, 3, 3)), None, r"a torch tensor is always \(n, c, h, w\)"),
        (np.zeros((5, 8, 8, 8)), None, r"a torch tensor is always \(n, c, h, w\)"),
        (np.array(["a"]), None, "images must be an array of numbers, got <U1"),
    ],
)
def test_layouts_that_can_not_be_told_are_refused(images: Any, shape: Any, law: str) -> None:
    with pytest.raises(ValueError, match=law):
        as_images(images, shape)


def test_any_array_of_numbers_is_taken() -> None:
    array = np.arange(5 * 8 * 9).reshape(5, 8, 9)
    kept = np.array(array)
    kept.setflags(write=False)
    for given in (kept, array.astype(">f4"), array.astype(np.longdouble), array[:, ::-1], array.astype(np.uint16)):
        assert (as_images(given)[:, 0].numpy() == np.asarray(given, dtype=np.float64)).all()


def test_classes_are_the_sorted_labels_or_those_that_are_named() -> None:
    named = Classes.of(["cat", "dog", "cat"], None)
    assert (named.names, named.positions(["dog", "cat"]).tolist()) == (("cat", "dog"), [1, 0])
    numbers = Classes.of(np.array([3.0, 7.0, 3.0]), None)
    assert (numbers.names, numbers.positions([7, 3]).tolist()) == (("3", "7"), [1, 0])
    given = Classes.of(torch.tensor([0, 1]), ("cat", "dog", "owl"))
    assert (given.names, given.positions([2, 0]).tolist()) == (("cat", "dog", "owl"), [2, 0])
    with pytest.raises(ValueError, match=r"a label must be one of the classes .*, got 'cow'"):
        named.positions(["cow"])
    with pytest.raises(ValueError, match=r"labels must be of one kind"):
        Classes.of(["cat", None, 3], None)
    with pytest.raises(ValueError, match=r"labels must be known"):
        Classes.of([0.5, float("nan")], None)
    with pytest.raises(ValueError, match=r"labels must be one an image, \(n,\), got 2 dimensions"):
        Classes.of([[1, 0]], None)


def test_labels_are_counted(tmp_path: Path) -> None:
    found = bars(30)
    with pytest.raises(ValueError, match=r"there must be a label for each image, got 30 images and 29 labels"):
        search(found.images, found.labels[:29], study=tmp_path / "none")
    with pytest.raises(ValueError, match=r"labels must be given, one an image"):
        search(found.images)
