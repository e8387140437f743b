from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from nas.data import DataSpec

CONF = Path(__file__).parents[3] / "conf" / "data"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"val_fraction": 1.4}, r"val_fraction must lie in \(0, 1\), got 1.4"),
        ({"val_fraction": 0.0}, r"val_fraction must lie in \(0, 1\), got 0.0"),
        ({"val_fraction": float("nan")}, r"val_fraction must lie in \(0, 1\), got nan"),
        ({"test_fraction": 1.0}, r"test_fraction must lie in \[0, 1\), got 1.0"),
        ({"train_fraction": 0.0}, r"train_fraction must lie in \(0, 1\], got 0.0"),
        ({"resolution": 0}, "resolution must be at least 1, got 0"),
        ({"channels": 2}, r"channels must be 1 \(grey\) or 3 \(RGB\), got 2"),
        ({"split_seed": -1}, "split_seed must be at least 0, got -1"),
        ({"crop_padding": -1}, "crop_padding must be at least 0, got -1"),
        ({"source": "hub", "name": ""}, "set data.name, e.g. data.name=uoft-cs/cifar10"),
        ({"name": ""}, "data.name must not be empty"),
        ({"source": "image_folder"}, "set data.path=FOLDER"),
        ({"source": "parquet"}, "set data.path=FOLDER, or data.hub_name"),
        (
            {"path": "here"},
            "data.path is read by image_folder, parquet, signals and tensors only, got source digits and here",
        ),
        ({"source": "signals"}, "data=signals needs a file or a folder of signals"),
        ({"source": "tensors"}, "needs the folder that nas.api.search wrote"),
        ({"source": "tensors", "path": "here", "resolution": 8}, "data.resolution and data.channels must be null"),
    ],
)
def test_a_value_out_of_range_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataSpec(**change)


@pytest.mark.parametrize(
    ("option", "said", "hub"),
    [
        ("digits", {}, None),
        ("cifar10", {"path": "folder"}, None),
        ("cifar10", {}, "uoft-cs/cifar10"),
        ("image_folder", {"path": "folder"}, None),
        ("signals", {"path": "waves.npz"}, None),
        ("tensors", {"path": "folder"}, None),
        ("hub", {"name": "owner/set"}, "owner/set"),
        ("hub", {"name": "mine", "hub_name": "owner/set"}, "owner/set"),
    ],
)
def test_every_option_is_a_valid_structured_config(option: str, said: dict[str, Any], hub: str | None) -> None:
    values = OmegaConf.merge(OmegaConf.load(CONF / f"{option}.yaml"), said)
    spec = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(DataSpec), values))
    assert isinstance(spec, DataSpec)
    assert spec.hub == hub


def test_there_is_a_test_for_every_option() -> None:
    assert {file.stem for file in CONF.glob("*.yaml")} == {
        "digits",
        "cifar10",
        "image_folder",
        "hub",
        "signals",
        "tensors",
    }


@pytest.mark.parametrize(
    ("name", "slug"), [("uoft-cs/cifar10", "uoft-cs-cifar10"), ("../../etc", "etc"), ("<b>", "b"), ("日本", "data")]
)
def test_a_name_becomes_a_safe_file_name(name: str, slug: str) -> None:
    assert DataSpec(name=name).slug == slug


def test_a_spec_is_checked_without_loading_anything_heavy() -> None:
    code = "import sys, nas.config.data; print({'torch', 'numpy', 'datasets', 'sklearn'} & set(sys.modules))"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=CONF.parents[1]
    )
    assert shown.stdout.strip() == "set()"
