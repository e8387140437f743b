"""Everything that a command is told, as frozen values that check themselves: one class a command.

They are made of the specs of the rooms, and know nothing of the files and overrides that they are composed from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas.config.data import DataSpec
from nas.config.fidelity import FidelitySpec
from nas.config.objective import Objective
from nas.config.sampler import SamplerSpec
from nas.config.specs import Budget, Limits, StorageSpec, check_format, check_pick, check_positive
from nas.config.table_commands import RehearseConfig, TabulateConfig
from nas.config.tracking import TrackingSpec
from nas.config.training import Recipe
from nas.config.workers import WorkersSpec

AS_STUDIED = "study"


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """Everything that a search is made of.

    Attributes:
        study: names the study, a folder under `outputs`, or a path; null names it after its data and space.
        outputs: folder of the studies.
        seed: seeds the sampler and every training, at least 0.
        format: how the front is printed at the end: table, json or csv.
        start: published networks to begin with, scaled and brought onto the space, e.g. [googlenet].
        data: the images.
        space: the architectures that may be drawn.
        objective: the axes of the front, in order.
        limits: what a network may cost.
        sampler: who draws the architectures.
        fidelity: how far each is trained.
        training: how each is trained.
        budget: when the search ends.
        workers: who trains.
        storage: where the study is kept.
        tracking: where the search is tracked beside the study.

    Raises:
        ValueError: a value out of range, or no objective.
    """

    study: str | None = None
    outputs: str = "outputs"
    seed: int = 0
    format: str = "table"
    start: tuple[str, ...] = ()
    data: DataSpec
    space: dict[str, Any]
    objective: tuple[Objective, ...]
    limits: Limits
    sampler: SamplerSpec
    fidelity: FidelitySpec
    training: Recipe
    budget: Budget
    workers: WorkersSpec
    storage: StorageSpec
    tracking: TrackingSpec

    def __post_init__(self) -> None:
        check_format(self.format)
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")
        if not self.objective:
            raise ValueError("objective must name at least one objective, e.g. objective=[val_accuracy,macs]")


@dataclass(frozen=True, kw_only=True)
class ReadConfig:
    """What every command that reads one study is told.

    Attributes:
        study: the study, a folder under `outputs`, or a path.
        outputs: folder of the studies.
        format: how the result is printed: table, json or csv.
        storage: where the study is kept.

    Raises:
        ValueError: a value out of range.
    """

    study: str | None = None
    outputs: str = "outputs"
    format: str = "table"
    storage: StorageSpec

    def __post_init__(self) -> None:
        check_format(self.format)


@dataclass(frozen=True, kw_only=True)
class FrontConfig(ReadConfig):
    """What `nas front` is told: which study, and how to print it."""


@dataclass(frozen=True, kw_only=True)
class StatusConfig(ReadConfig):
    """What `nas status` is told: which study, and how to print it.

    Attributes:
        watch: whether to print again, every few seconds, until no search drives the study any more.
        interval: seconds between two looks, positive.

    Raises:
        ValueError: a value out of range.
    """

    watch: bool = False
    interval: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("interval", self.interval)


@dataclass(frozen=True, kw_only=True)
class StopConfig:
    """What `nas stop` is told: which study.

    Attributes:
        study: the study, a folder under `outputs`, or a path.
        outputs: folder of the studies.
        storage: where the study is kept.
    """

    study: str | None = None
    outputs: str = "outputs"
    storage: StorageSpec


@dataclass(frozen=True, kw_only=True)
class ReportConfig(ReadConfig):
    """What `nas report` is told: which study, and where the file goes.

    Attributes:
        output: the HTML file to write; null for report.html in the study's folder.
        open: whether the file is then opened in the browser.
        format: how its path is printed: table (the path alone), json or csv.
    """

    output: str | None = None
    open: bool = False


@dataclass(frozen=True, kw_only=True)
class DashboardConfig:
    """What `nas dashboard` is told: which study, and where it is served.

    Attributes:
        study: the study, a folder under `outputs`, or a path.
        outputs: folder of the studies.
        port: port on 127.0.0.1, from 1 to 65535; 0 takes a free one.
        storage: where the study is kept.

    Raises:
        ValueError: a value out of range.
    """

    study: str | None = None
    outputs: str = "outputs"
    port: int = 8080
    storage: StorageSpec

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port must be from 1 to 65535, or 0 for a free one, got {self.port}")


@dataclass(frozen=True, kw_only=True)
class DescribeConfig(SearchConfig):
    """What a search would be made of, or one architecture.

    Attributes:
        architecture: a JSON file, or a trial of a study as STUDY:NUMBER.
        reference: a published network, e.g. googlenet; with neither of the two, the space is described.
        rewrite: a rule to apply to that network: reduce, stack, factorize, expand, separate, merge or fold.
        svg: a file to draw that network into.
        samples: how many architectures are drawn from the space, at least 1.

    Raises:
        ValueError: a value out of range.
    """

    architecture: str | None = None
    reference: str | None = None
    rewrite: str | None = None
    svg: str | None = None
    samples: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples < 1:
            raise ValueError(f"samples must be at least 1, got {self.samples}")
        if self.architecture is not None and self.reference is not None:
            raise ValueError("either architecture or reference may be described, got both")
        if self.architecture is None and self.reference is None and (self.rewrite or self.svg):
            raise ValueError("rewrite and svg are of one network: name an architecture or a reference")


@dataclass(frozen=True)
class Choice:
    """Settings of which each may be left as the study has it, which the word `study` says."""

    def changes(self) -> dict[str, Any]:
        """The settings that are to be others than the study's."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value != AS_STUDIED}


def _choice_of(spec: type) -> type:
    fields = [(f.name, Any, dataclasses.field(default=AS_STUDIED)) for f in dataclasses.fields(spec)]
    return dataclasses.make_dataclass(
        f"{spec.__name__}Choice", fields, bases=(Choice,), frozen=True, namespace={"__doc__": spec.__doc__}
    )


if TYPE_CHECKING:
    RecipeChoice = Choice
else:
    RecipeChoice = _choice_of(Recipe)  # derived, so that a setting that a recipe gains can be chosen here too


@dataclass(frozen=True, kw_only=True)
class DataPlace:
    """Where the study's images are now.

    Attributes:
        path: folder or file to read them from; null for where they were when the study was made.
    """

    path: str | None = None


@dataclass(frozen=True, kw_only=True)
class DataChoice(DataPlace):
    """Where the study's images are now, and how many of them to train on.

    Attributes:
        train_fraction: share of the training part that is trained on, in (0, 1]; null for the study's. The validation
            and the test part are the same for every share.
    """

    train_fraction: float | None = None


@dataclass(frozen=True, kw_only=True)
class PickConfig(ReadConfig):
    """Some networks of a study.

    Attributes:
        pick: best (highest first objective), knee (farthest from the line between the front's ends), front (all of it)
            or a trial's number.
        limits: what a picked network may cost.

    Raises:
        ValueError: a value out of range.
    """

    pick: str = "best"
    limits: Limits

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pick(self.pick)


@dataclass(frozen=True, kw_only=True)
class RetrainConfig(PickConfig):
    """Which networks are trained in full, how and how often.

    Attributes:
        seeds: trainings of each network, with the seeds 0, 1, ..., at least 1.
        replace: throw away what was retrained with other settings, and begin anew.
        data: the study's images.
        training: how each is trained; what stays at study is as the study has it.
        workers: who trains.

    Raises:
        ValueError: a value out of range.
    """

    seeds: int = 3
    replace: bool = False
    data: DataChoice
    training: RecipeChoice
    workers: WorkersSpec

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.seeds < 1:
            raise ValueError(f"seeds must be at least 1, got {self.seeds}")


@dataclass(frozen=True, kw_only=True)
class ExportConfig(PickConfig):
    """Which networks are handed over, and in which forms.

    Attributes:
        output: folder of the bundle, or of one bundle a network where several are picked; null for export/TRIAL in
            the study's folder.
        formats: the forms to write; none named writes all that can be written here.
        images: validation images that every form is checked on, at least 1.
        data: the study's images.

    Raises:
        ValueError: a value out of range.
    """

    output: str | None = None
    formats: tuple[str, ...]
    images: int = 256
    data: DataPlace

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.images < 1:
            raise ValueError(f"images must be at least 1, got {self.images}")


ROOTS: Mapping[str, type] = {
    "search": SearchConfig,
    "status": StatusConfig,
    "stop": StopConfig,
    "front": FrontConfig,
    "report": ReportConfig,
    "dashboard": DashboardConfig,
    "describe": DescribeConfig,
    "retrain": RetrainConfig,
    "export": ExportConfig,
    "tabulate": TabulateConfig,
    "rehearse": RehearseConfig,
}
