"""Configurations of the commands on exported networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nas.config.checks import check_format
from nas.config.data import DataSpec
from nas.config.ranges import Few, check_fields

PARTS = ("test", "validation", "train")


@dataclass(frozen=True, kw_only=True)
class ExportedConfig:
    """Base of the commands on an exported network.

    Attributes:
        model: folder that `nas export` wrote, or one of its files: .safetensors, .onnx, .pt2, .xml or .tflite.
        format: output format: table, json or csv.

    Raises:
        ValueError: a value out of range.
    """

    model: str | None = None
    format: str = "table"

    def __post_init__(self) -> None:
        check_fields(self)
        check_format(self.format)

    @property
    def path(self) -> Path:
        """Path of the model.

        Raises:
            ValueError: none is named.
        """
        if not self.model:
            raise ValueError("model must name a folder that nas export wrote, or one of its files: model=FOLDER")
        return Path(self.model).expanduser()


@dataclass(frozen=True, kw_only=True)
class PredictConfig(ExportedConfig):
    """Configuration of `nas predict`.

    Attributes:
        images: image files, and folders of them; on the command line also words without a key.
        topk: number of the most probable classes to print, at least 1.

    Raises:
        ValueError: a value out of range.
    """

    images: tuple[str, ...] = ()
    topk: Few = 3


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(ExportedConfig):
    """Configuration of `nas evaluate`.

    Attributes:
        part: part of the images to evaluate on: test, validation or train.
        data: the image set; other sources than digits and tensors are decoded to the network's size and channels.

    Raises:
        ValueError: a value out of range.
    """

    part: str = "test"
    data: DataSpec

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.part not in PARTS:
            raise ValueError(f"part must be {', '.join(PARTS[:-1])} or {PARTS[-1]}, got {self.part!r}")
