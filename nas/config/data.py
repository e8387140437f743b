"""Configuration of an image set: source, splits, size and augmentation.

Imports nothing heavy, so that a command line is checked in milliseconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from nas.config.ranges import Few, Inside, Range, Seed, ShareAboveZero, ShareBelowOne, check_fields, show

AUTO, ALWAYS, NEVER = "auto", "always", "never"
CUT = "cut"
"""Value of `test_split` that leaves a source's own test part out and cuts one off the training part."""
SOURCES = ("digits", "hub", "image_folder", "parquet", "signals", "tensors")
"""Sources of this program; all take their settings from the fields below, none takes `options`."""


@dataclass(frozen=True)
class DataSpec:
    """Image set, its splits, and the augmentation of its training part.

    The splits are cut in this order, each stratified by class and drawn with `split_seed`: the test part (only if the
    source has none of its own), the validation part, and the share of the rest to train on. So neither the test nor
    the validation part depends on `train_fraction`.

    Attributes:
        name: name of the image set, and part of the study's default name; with source `hub` also the data set's name
            on the Hugging Face Hub.
        source: `digits` (embedded in scikit-learn), `parquet`, `image_folder` (one folder a class), `hub`,
            `signals` (time series or spectra in .npz, .tsv, .csv or .txt files), `tensors` (tensors from Python that
            `nas.api.search` wrote, already split), or the dotted path of a reader of your own, such as
            `my_module.open_source`.
        path: folder, or for `parquet` and `signals` also a single file, to read; None for `digits` and `hub`.
        hub_name: data set on the Hub as OWNER/NAME; read by `parquet` if no path is given, and by `hub` instead of
            `name`.
        hub_config: configuration of the data set on the Hub; None for its only one.
        hub_revision: commit or tag on the Hub; None takes the newest at the first read, which the cache then keeps.
        image_column: column of the images, in Parquet or on the Hub; None finds it by its type.
        label_column: column of the labels; None finds it by its type.
        train_split: split, or subfolder, of training and validation images; in an image folder `train` stands for
            `Training`, `train_set` and the like too, and `.` is the folder itself, whose subfolders are all classes.
        test_split: split, or subfolder, of test images; None takes `test`, or what stands for it, if it exists, and
            else cuts a test part off; `cut` leaves that part out and cuts one off.
        resolution: side of the square images in pixels, at least 1; None keeps the source's size, which must be the
            same for all images. Images of other proportions are first cropped centrally to a square.
        mean: mean of each channel that is subtracted from pixels scaled to [0, 1]; empty measures it on the
            training images.
        std: deviation of each channel that they are then divided by, at least 1/255; empty measures it likewise.
        channels: 1 (grey) or 3 (RGB); None is 1 if every training image is grey, and else 3.
        val_fraction: share of the training part to validate on, in (0, 1).
        test_fraction: share to cut off as the test part if the source has none, in [0, 1); 0 cuts off none.
        train_fraction: share of the remaining images to train on, in (0, 1]; a smaller share is a subset of a larger.
        split_seed: seed of the splits, at least 0.
        flip: mirror training images left to right with probability one half, unless the recipe names augmentations.
        crop_padding: largest random shift of training images in pixels, at least 0, unless the recipe names
            augmentations; the border has the mean color.
        cache: folder of decoded images; None is $NAS_CACHE_DIR, or else the user's cache folder.
        cache_gib: largest set to cache decoded, in GiB, at least 0; larger sets are decoded anew in every epoch. None
            is half of the free disk space.
        streaming: `always` reads images from disk in batches, `never` holds them in the memory of the device, `auto`
            streams sets that need more than a quarter of a training's memory. Learning curves do not depend on it.
        decode_workers: threads of one training that read or decode images ahead, at least 1; None divides the cores
            evenly among the trainings.
        options: arguments of a reader of your own; the other sources take none.

    Raises:
        ValueError: a value outside its range, or a source without what it needs.
    """

    name: str = "digits"
    source: str = "digits"
    path: str | None = None
    hub_name: str | None = None
    hub_config: str | None = None
    hub_revision: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    train_split: str = "train"
    test_split: str | None = None
    resolution: Annotated[int, Range(1, 16_384)] | None = None
    channels: int | None = None
    mean: tuple[Annotated[float, Range(0, 1)], ...] = ()
    std: tuple[Annotated[float, Range(1 / 255, 1)], ...] = ()
    val_fraction: Inside = 0.2
    test_fraction: ShareBelowOne = 0.2
    train_fraction: ShareAboveZero = 1.0
    split_seed: Seed = 0
    flip: bool = False
    crop_padding: Annotated[int, Range(0, 16_384)] = 0
    cache: str | None = None
    cache_gib: Annotated[float, Range(0, 1e9)] | None = None
    streaming: str = AUTO
    decode_workers: Few | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            if isinstance(getattr(self, name), list):  # from YAML or JSON
                object.__setattr__(self, name, tuple(getattr(self, name)))
        check_fields(self, "data")
        self._check_source()
        self._check_choices()

    def _check_source(self) -> None:
        if self.source in SOURCES and self.options:
            raise ValueError(
                f"data.options are for a reader of your own, got source {self.source} and {sorted(self.options)}"
            )
        if self.source == "hub" and not (self.hub_name or self.name):
            raise ValueError(
                "data=hub needs the name of a data set on the Hugging Face Hub: "
                "set data.name, e.g. data.name=uoft-cs/cifar10"
            )
        if not self.name:
            raise ValueError("data.name must not be empty, it names the study")
        if self.source == "image_folder" and not self.path:
            raise ValueError("data=image_folder needs a folder with one subfolder a class: set data.path=FOLDER")
        if self.source == "parquet" and not (self.path or self.hub_name):
            raise ValueError(
                "data.source=parquet needs a folder of Parquet files: set data.path=FOLDER, or data.hub_name"
            )
        if self.source in {"digits", "hub"} and self.path:
            raise ValueError(
                f"data.path is read by image_folder, parquet, signals and tensors only, "
                f"got source {self.source} and {self.path}"
            )
        if self.source == "tensors" and not self.path:
            raise ValueError("data=tensors needs the folder that nas.api.search wrote: set data.path=FOLDER")
        if self.source == "tensors" and (self.resolution or self.channels):
            raise ValueError("data=tensors takes images as they are, data.resolution and data.channels must be null")

        if self.source == "signals":
            self._check_signals()

    def _check_signals(self) -> None:
        if not self.path:
            raise ValueError("data=signals needs a file or a folder of signals: set data.path=FILE")
        if self.resolution or self.channels:
            raise ValueError("data=signals takes signals as they are, data.resolution and data.channels must be null")
        if self.crop_padding:
            raise ValueError(
                f"data.crop_padding shifts images of several rows, a signal has one, got {self.crop_padding}"
            )

    def _check_choices(self) -> None:
        if self.channels not in {None, 1, 3}:
            raise ValueError(f"data.channels must be 1 (grey) or 3 (RGB), got {show(self.channels)}")
        if len(self.mean) != len(self.std):
            raise ValueError(
                f"data.mean and data.std must be of as many channels, "
                f"got {show(list(self.mean))} and {show(list(self.std))}"
            )
        if self.streaming not in {AUTO, ALWAYS, NEVER}:
            raise ValueError(f"data.streaming must be {AUTO}, {ALWAYS} or {NEVER}, got {show(self.streaming)}")

    def stored_in(self, folder: Path) -> DataSpec:
        """Return the same images and splits, read from a folder that holds the decoded source."""
        plain: dict[str, Any] = {
            "source": "tensors",
            "path": str(folder),
            "hub_name": None,
            "resolution": None,
            "channels": None,
        }
        return replace(self, **plain)

    @property
    def slug(self) -> str:
        """Name of the set as part of a file name.

        >>> DataSpec(name="uoft-cs/cifar10", source="hub").slug
        'uoft-cs-cifar10'
        """
        return re.sub(r"[^A-Za-z0-9._]+", "-", self.name).strip("-.") or "data"

    @property
    def hub(self) -> str | None:
        """Name of the set on the Hub, None if the images come from elsewhere."""
        if self.source == "hub":
            return self.hub_name or self.name
        return self.hub_name if self.source == "parquet" and not self.path else None
