"""Signals as images of height 1: files of both kinds, their scale, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nas.config.data import DataSpec
from nas.data import load, load_test
from nas.data.cache import cached_source
from nas.data.errors import DataError

Array = NDArray[Any]


def waves(count: int, channels: int = 1, length: int = 32) -> tuple[Array, Array]:
    """Return sines (0), squares (1) and sawteeth (2) of random phase."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 3
    phase = random.uniform(0, 1, (count, channels, 1))
    turns = (np.arange(length) / length * 3 + phase) % 1
    forms = np.stack([np.sin(2 * np.pi * turns), np.sign(turns - 0.5), 2 * turns - 1])
    return forms[labels, np.arange(count)] * 5 + 2, labels


def spec(path: Path, **settings: Any) -> DataSpec:
    return DataSpec(name="waves", source="signals", path=str(path), **settings)


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_an_array_is_scaled_by_channel_to_bytes(tmp_path: Path, channels: int) -> None:
    x, y = waves(60, channels)
    x = x * np.arange(1, channels + 1)[None, :, None]
    np.savez(tmp_path / "waves.npz", x=x, y=y, classes=np.array(["sine", "square", "saw"]))
    data = load(spec(tmp_path / "waves.npz", test_fraction=0.0))
    assert data.shape == (channels, 1, 32)
    assert data.classes == ("sine", "square", "saw")
    assert data.scales == tuple((float(c.min()), float(c.max())) for c in x.transpose(1, 0, 2))
    whole = cached_source(spec(tmp_path / "waves.npz", test_fraction=0.0)).train
    pixels = np.empty((60, channels, 1, 32), dtype=np.uint8)
    whole.pixels.read(np.arange(60), pixels)
    low, high = (np.array(ends)[:, None] for ends in zip(*data.scales, strict=True))
    assert np.abs(pixels[:, :, 0] / 255 * (high - low) + low - x).max() <= ((high - low) / 510).max() + 1e-9


@pytest.mark.parametrize(("suffix", "separator"), [(".tsv", "\t"), (".csv", ","), (".txt", "  ")])
def test_a_folder_of_text_files_has_a_training_and_a_test_part(tmp_path: Path, suffix: str, separator: str) -> None:
    x, y = waves(30)
    for name, rows in (("Waves_TRAIN", slice(0, 18)), ("Waves_TEST", slice(18, 30))):
        lines = [
            separator.join([str(label + 1), *(f"{v:.5f}" for v in s[0])])
            for s, label in zip(x[rows], y[rows], strict=True)
        ]
        (tmp_path / f"{name}{suffix}").write_text("\n".join(lines), encoding="utf-8")
    data = load(spec(tmp_path))
    assert data.classes == ("1", "2", "3")
    assert len(data.train) + len(data.validation) == 18
    assert load_test(spec(tmp_path)).labels.tolist() == y[18:30].tolist()


def test_values_of_the_test_part_beyond_the_range_of_training_are_clipped(tmp_path: Path) -> None:
    x, y = waves(30)
    np.savez(tmp_path / "w.npz", x=x[:, 0], y=y, x_test=x[:6, 0] * 100, y_test=y[:6])
    test = load_test(spec(tmp_path / "w.npz")).take(np.arange(6)).images
    assert set(np.unique(test.numpy()).tolist()) >= {0, 255}


def with_hole(x: Array) -> Array:
    x = x.copy()
    x[4, 0, 3] = np.nan
    return x


@pytest.mark.parametrize(
    ("arrays", "law"),
    [
        (lambda x, y: {"x": with_hole(x), "y": y}, r"finite and of one length, signal 4 .* missing"),
        (lambda x, y: {"x": x, "y": y[:5]}, "every signal needs a label, got 30"),
        (lambda x, y: {"x": x}, "must hold x and y, .* lacks y"),
        (lambda x, y: {"x": x[..., None], "y": y}, r"numbers \(N, L\) or \(N, C, L\)"),
        (lambda x, y: {"x": x * 0 + 3, "y": y}, "must vary, a channel .* is 3 everywhere"),
        (
            lambda x, y: {"x": x, "y": y, "x_test": x[:3], "y_test": y[:3] + 7},
            "one of the classes .* signal 0 .* has 7",
        ),
        (lambda x, y: {"x": x, "y": y, "x_test": x[:3, :, :9], "y_test": y[:3]}, "x and x_test must be of one shape"),
        (lambda x, y: {"x": x.astype(object), "y": y}, "without pickled objects"),
    ],
)
def test_a_damaged_array_is_refused_with_its_law(tmp_path: Path, arrays: Any, law: str) -> None:
    np.savez(tmp_path / "w.npz", **arrays(*waves(30)))
    with pytest.raises(DataError, match=law):
        load(spec(tmp_path / "w.npz"))


def test_a_folder_with_more_files_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.csv").write_text("0,1,2\n1,2,1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"one that ends with TRAIN and one with TEST, got a\.csv, b\.csv, c\.csv"):
        load(spec(tmp_path))


def test_text_that_is_no_number_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("0,1,x\n1,2,1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a label and then numbers in each line, .*a\.csv"):
        load(spec(tmp_path / "a.csv"))


def test_settings_of_images_are_refused(tmp_path: Path) -> None:
    for settings in ({"resolution": 8}, {"crop_padding": 1}, {"channels": 3}):
        with pytest.raises(ValueError, match="signal"):
            spec(tmp_path, **settings)
