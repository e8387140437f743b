"""A search on tensors from Python, which the commands resume, retrain and export."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from nas.api import search
from nas.cli import main
from nas.data import ImageData, from_datamodule, from_tensors

CLASSES = ("left", "middle", "right")
SMALL = ["budget.trials=2", "training.epochs=1", "training.batch_size=16", "workers.slots=1", "tracking=none"]


def bars(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    labels = torch.arange(count) % 3
    images = torch.randint(0, 90, (count, 1, 8, 8), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)
    images[torch.arange(count), 0, :, 1 + 3 * labels] += 120
    return images, labels


class Module:
    """Quacks like a LightningDataModule."""

    def prepare_data(self) -> None:
        pass

    def setup(self, stage: str) -> None:
        assert stage == "fit"

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(TensorDataset(*bars(60)), batch_size=32, shuffle=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(TensorDataset(*bars(30, seed=1)), batch_size=32)


def test_own_tensors_are_searched_resumed_retrained_and_exported(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study, data = tmp_path / "bars", from_tensors(*bars(90), CLASSES)
    front = search(str(study), data, test=bars(12, seed=2), overrides=SMALL)
    assert capfd.readouterr().out == ""  # what is returned is not printed too
    assert (front["study"], len(front["front"]) > 0) == ("bars", True)
    again = search(str(study), data, overrides=[*SMALL, "budget.trials=3"])
    assert {found["trial"] for found in again["front"]} <= {0, 1, 2}
    own = [f"study={study}", "data=tensors", f"data.path={study / 'data'}"]
    assert main(["search", *own, *SMALL, "budget.trials=4"]) == 0
    capfd.readouterr()
    assert main(["retrain", f"study={study}", "seeds=1", "format=csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capfd.readouterr().out)))
    assert [row["test_images"] for row in rows] == ["12"]  # those that were handed in
    assert main(["export", f"study={study}", "formats=[safetensors]"]) == 0
    with pytest.raises(ValueError, match=r"holds other images than those given"):
        search(str(study), from_tensors(*bars(90, seed=5), CLASSES), overrides=SMALL)


def test_a_data_module_is_searched(tmp_path: Path) -> None:
    data = from_datamodule(Module(), CLASSES)
    front = search(str(tmp_path / "module"), data, overrides=[*SMALL, "budget.trials=1"])
    assert [found["trial"] for found in front["front"]] == [0]


def test_overrides_can_not_name_other_images(tmp_path: Path) -> None:
    data: ImageData = from_tensors(*bars(30), CLASSES)
    with pytest.raises(ValueError, match=r"overrides must not set data="):
        search(str(tmp_path / "none"), data, overrides=["data=digits"])
    assert not (tmp_path / "none").exists()
