"""Configurations of the commands on exported networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nas.config.checks import check_format
from nas.config.data import DataSpec
from nas.config.ranges import Count, Few, check_fields
from nas.config.training import Recipe
from nas.config.workers import WorkersSpec

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
        reference: published network to evaluate instead of an exported one, e.g. googlenet; null with `model`.
        weights: file of that network's published weights, .safetensors, .pth or .bin.
        classes: text file with the names of its classes, one a line in the order of its logits; null takes those of the
            images in alphabetical order.
        part: part of the images to evaluate on: test, validation or train.
        data: the image set; other sources than digits and tensors are decoded to the network's size and channels.

    Raises:
        ValueError: a value out of range.
    """

    reference: str | None = None
    weights: str | None = None
    classes: str | None = None
    part: str = "test"
    data: DataSpec

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reference or self.weights:
            check_one_network(self.model, self.reference, self.weights)
        elif self.classes:
            raise ValueError("classes=FILE names the classes of a published network: give reference=NAME weights=FILE")
        if self.part not in PARTS:
            raise ValueError(f"part must be {', '.join(PARTS[:-1])} or {PARTS[-1]}, got {self.part!r}")


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """Configuration of `nas finetune`.

    Attributes:
        model: exported network to start from: a folder that `nas export` wrote, or its .safetensors file; null with
            `reference`.
        reference: published network to start from, e.g. googlenet; null with `model`.
        weights: file of that network's published weights, .safetensors, .pth or .bin, with torchvision's or timm's
            names.
        output: folder of the fine-tuned network; null for finetuned/DATA-NETWORK in the working directory.
        seeds: number of trainings, with seeds 0, 1, ..., at least 1; the most accurate on the validation part is
            exported.
        replace: delete earlier trainings in that folder that were made with other settings.
        formats: formats to export; an empty list writes all whose dependencies are installed.
        licence: licence of the weights, for the model card, e.g. apache-2.0; null states none.
        images: number of validation images to check every format on, at least 1.
        format: output format: table, json or csv.
        data: the images; size, channels, mean and deviation that are not given are those of the network.
        training: the training recipe; its weights are those of the network.
        workers: the worker processes and their devices.

    Raises:
        ValueError: a value out of range, or not exactly one network.
    """

    model: str | None = None
    reference: str | None = None
    weights: str | None = None
    output: str | None = None
    seeds: Few = 1
    replace: bool = False
    formats: tuple[str, ...] = ()
    licence: str | None = None
    images: Count = 256
    format: str = "table"
    data: DataSpec
    training: Recipe
    workers: WorkersSpec

    def __post_init__(self) -> None:
        check_fields(self)
        check_format(self.format)
        check_one_network(self.model, self.reference, self.weights)
        if self.training.weights or self.training.weights_sha256:
            raise ValueError("training.weights are those of model or reference here, they must not be given")


def check_one_network(model: str | None, reference: str | None, weights: str | None) -> None:
    """Refuse anything but an exported network, or a published one with its weights.

    Raises:
        ValueError: as above.
    """
    if bool(model) == bool(reference):
        given = "both" if model else "neither"
        raise ValueError(
            f"either model=FOLDER of an exported network or reference=NAME of a published one must be given, "
            f"got {given}"
        )
    if bool(reference) != bool(weights):
        lacking = "weights=FILE" if reference else "reference=NAME"
        raise ValueError(f"a published network must be given as reference=NAME weights=FILE, {lacking} is missing")
