"""Configurations of the commands that work on picked networks of a study."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas.config.checks import check_limits, check_pick
from nas.config.commands.study import ReadConfig
from nas.config.pruning import PruningSpec
from nas.config.ranges import Count, Few, ShareAboveZero, check_fields, show
from nas.config.training import Recipe
from nas.config.workers import WorkersSpec

BASELINES = ("resnet20", "mobilenet_v2", "googlenet")
"""Published networks that `nas retrain` trains beside the picked ones."""
TRAIN, WHOLE = "train", "train+validation"
"""Images that a network is retrained on: the search's training part, or its validation part as well."""
WEIGHTS = ("best", "search", "retrain")
"""Weights of a network that `nas export` finds by itself."""
OF_STUDY = "study"
"""Value of a setting that keeps the study's."""


@dataclass(frozen=True, kw_only=True)
class PickConfig(ReadConfig):
    """Base of the commands that work on picked networks.

    Attributes:
        pick: best (highest first objective), knee (farthest from the line between the front's ends), front (every
            network of it) or a trial's number.
        limits: upper limits on the costs of a picked network, max_<cost>; null for no limit.

    Raises:
        ValueError: a value out of range.
    """

    pick: str = "best"
    limits: dict[str, Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pick(self.pick)
        check_limits(self.limits)


@dataclass(frozen=True)
class Overrides:
    """Settings that replace those of the study, field by field; the value `study` keeps the study's.

    `OF` is the class whose fields they are.
    """

    OF = object

    def changes(self) -> dict[str, Any]:
        """Return the names and values of the settings that replace the study's."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value != OF_STUDY}


def _overrides_of(spec: type) -> type:
    fields = [(f.name, Any, dataclasses.field(default=OF_STUDY)) for f in dataclasses.fields(spec)]
    return dataclasses.make_dataclass(
        f"{spec.__name__}Overrides",
        fields,
        bases=(Overrides,),
        frozen=True,
        namespace={"__doc__": spec.__doc__, "OF": spec},
    )


if TYPE_CHECKING:
    RecipeOverrides = Overrides
else:
    RecipeOverrides = _overrides_of(Recipe)  # derived, so that a new setting of the recipe is a setting here too


@dataclass(frozen=True, kw_only=True)
class DataLocation:
    """Present location of the study's images.

    Attributes:
        path: folder or file of the images; null for the one that the study was made with.
    """

    path: str | None = None

    def __post_init__(self) -> None:
        check_fields(self, "data")


@dataclass(frozen=True, kw_only=True)
class DataOverrides(DataLocation):
    """Present location of the study's images, and the share of them to train on.

    Attributes:
        train_fraction: share of the training part to train on, in (0, 1]; null for the study's. Validation and test
            part are the same for every share.
    """

    train_fraction: ShareAboveZero | None = None


@dataclass(frozen=True, kw_only=True)
class RetrainConfig(PickConfig):
    """Configuration of `nas retrain`.

    Attributes:
        seeds: number of trainings of each network, with seeds 0, 1, ..., at least 1.
        baselines: published networks to train beside the picked ones, each as wide as the MACs of the dearest of these
            allow: resnet20, mobilenet_v2, googlenet.
        train_on: train, on which val_accuracy can be compared with the search's; or train+validation, where there is
            none.
        replace: delete earlier results that were made with other settings.
        data: the study's images.
        training: the training recipe; `study` keeps the study's value.
        workers: the worker processes and their devices.

    Raises:
        ValueError: a value out of range.
    """

    seeds: Few = 3
    baselines: tuple[str, ...] = ()
    train_on: str = TRAIN
    replace: bool = False
    data: DataOverrides
    training: RecipeOverrides
    workers: WorkersSpec

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.train_on not in (TRAIN, WHOLE):
            raise ValueError(f"train_on must be {TRAIN} or {WHOLE}, got {show(self.train_on)}")
        for name in self.baselines:
            if name not in BASELINES:
                raise ValueError(f"baselines must be of {', '.join(BASELINES)}, got {show(name)}")
        if len(set(self.baselines)) < len(self.baselines):
            raise ValueError(f"baselines must differ, got {', '.join(self.baselines)}")


@dataclass(frozen=True, kw_only=True)
class ExportConfig(PickConfig):
    """Configuration of `nas export`.

    Attributes:
        output: folder of the bundle, with a subfolder for each network if several are picked; null for export/TRIAL in
            the study's folder.
        formats: formats to write; an empty list writes all whose dependencies are installed.
        weights: best (of a retraining, unless those of the search are clearly better), search, retrain (its best seed)
            or the number of a retrained seed.
        licence: licence of the weights, for the model card, e.g. apache-2.0; null states none.
        images: number of validation images to check every format on, at least 1.
        data: the study's images.
        sparse: the removal of weights or channels for formats=[sparse], and the training after it.
        workers: the worker processes of that training, and their devices.

    Raises:
        ValueError: a value out of range.
    """

    output: str | None = None
    formats: tuple[str, ...] = ()
    weights: str = "best"
    licence: str | None = None
    images: Count = 256
    data: DataLocation
    sparse: PruningSpec
    workers: WorkersSpec

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weights not in WEIGHTS and not self.weights.isdecimal():
            raise ValueError(f"weights must be {', '.join(WEIGHTS)} or the number of a seed, got {self.weights!r}")
