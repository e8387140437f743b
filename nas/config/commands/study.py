"""Configurations of the commands that work on one existing study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from nas.config.checks import check_format, check_limits, check_pick
from nas.config.ranges import Range, check_fields, show
from nas.config.storage import StorageSpec

PICTURES = ("png", "svg", "pdf")
"""Formats of pictures."""


@dataclass(frozen=True, kw_only=True)
class ReadConfig:
    """Base of the commands that read one study and print a result.

    Attributes:
        study: name of the study, a folder under `outputs`, or a path.
        outputs: folder of the studies.
        format: output format: table, json or csv.
        storage: the database of the study.

    Raises:
        ValueError: a value out of range.
    """

    study: str | None = None
    outputs: str = "outputs"
    format: str = "table"
    storage: StorageSpec

    def __post_init__(self) -> None:
        check_fields(self)
        check_format(self.format)


@dataclass(frozen=True, kw_only=True)
class FrontConfig(ReadConfig):
    """Configuration of `nas front`.

    Attributes:
        pick: front (every network of it), best (highest first objective), knee (farthest from the line between the
            front's ends) or a complete trial's number.
        limits: upper limits on the costs of a network of the front beside the study's, max_<cost>; null for no limit.

    Raises:
        ValueError: a value out of range.
    """

    pick: str = "front"
    limits: dict[str, Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pick(self.pick)
        check_limits(self.limits)


@dataclass(frozen=True, kw_only=True)
class StatusConfig(ReadConfig):
    """Configuration of `nas status`.

    Attributes:
        watch: print again every `interval` seconds until no search drives the study.
        interval: seconds between two prints, positive.
        grams_per_kwh: grams of CO₂ a kWh of the energy of the search; by default the world's average of 2022 (Ember,
            Global Electricity Review 2023).

    Raises:
        ValueError: a value out of range.
    """

    watch: bool = False
    interval: Annotated[float, Range(0, 1e6, above=True)] = 2.0
    grams_per_kwh: Annotated[float, Range(0, 1e5)] = 436.0


@dataclass(frozen=True, kw_only=True)
class StudiesConfig:
    """Configuration of `nas studies`.

    Attributes:
        outputs: folder of the studies.
        format: output format: table, json or csv.
        storage: the database of the studies: that of each folder, or one in which all are.

    Raises:
        ValueError: a value out of range.
    """

    outputs: str = "outputs"
    format: str = "table"
    storage: StorageSpec

    def __post_init__(self) -> None:
        check_fields(self)
        check_format(self.format)


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Configuration of `nas compare`.

    Attributes:
        studies: names of the studies, folders under `outputs`, or paths; on the command line also words without a key.
        outputs: folder of the studies.
        output: picture of the fronts and of the hypervolumes to write, .png, .svg or .pdf; null for none.
        format: output format: table, json or csv.
        storage: the database of the studies.

    Raises:
        ValueError: a value out of range.
    """

    studies: tuple[str, ...] = ()
    outputs: str = "outputs"
    output: str | None = None
    format: str = "table"
    storage: StorageSpec

    def __post_init__(self) -> None:
        check_fields(self)
        check_format(self.format)
        if self.output is not None and not self.output.endswith(tuple(f".{kind}" for kind in PICTURES)):
            raise ValueError(f"output must be a picture of {', '.join(PICTURES)}, got {show(self.output)}")


@dataclass(frozen=True, kw_only=True)
class ImportConfig(ReadConfig):
    """Configuration of `nas import`.

    Attributes:
        files: JSON files of results; on the command line also words without a key.

    Raises:
        ValueError: a value out of range.
    """

    files: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StopConfig:
    """Configuration of `nas stop`.

    Attributes:
        study: name of the study, a folder under `outputs`, or a path.
        outputs: folder of the studies.
        storage: the database of the study.
    """

    study: str | None = None
    outputs: str = "outputs"
    storage: StorageSpec

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class ReportConfig(ReadConfig):
    """Configuration of `nas report`.

    Attributes:
        output: HTML file to write; null for report.html in the study's folder.
        open: open the file in the browser afterwards.
        format: output format of the file's path: table (the path alone), json or csv.
    """

    output: str | None = None
    open: bool = False


@dataclass(frozen=True, kw_only=True)
class FiguresConfig(ReadConfig):
    """Configuration of `nas figures`.

    Attributes:
        output: folder of the pictures; null for figures in the study's folder.
        formats: kinds of files: png, svg, pdf.
        width: width of a picture in inches, in [1, 30]; 3.3 is a column of a paper.
        format: output format of the list of files: table, json or csv.

    Raises:
        ValueError: a value out of range.
    """

    output: str | None = None
    formats: tuple[str, ...] = PICTURES
    width: Annotated[float, Range(1, 30)] = 3.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.formats or not set(self.formats) <= set(PICTURES) or len(set(self.formats)) < len(self.formats):
            raise ValueError(f"formats must be of {', '.join(PICTURES)}, each once, got {list(self.formats)}")


@dataclass(frozen=True, kw_only=True)
class SyncConfig(ReadConfig):
    """Configuration of `nas sync`.

    Attributes:
        seconds: seconds to wait for a server that does not answer, at least 0.
        report: whether the report of the study is sent, too, without names of folders.
        registry: collection of W&B's model registry that best and knee are linked to after the upload, such as
            wandb-registry-model/inception; null for none.
        format: output format of the list of what was sent: table, json or csv.
    """

    seconds: Annotated[float, Range(0, 1e6)] = 60.0
    report: bool = True
    registry: str | None = None


@dataclass(frozen=True, kw_only=True)
class DashboardConfig:
    """Configuration of `nas dashboard`.

    Attributes:
        study: name of the study, a folder under `outputs`, or a path.
        outputs: folder of the studies.
        port: port on 127.0.0.1, in [1, 65535]; 0 takes a free one.
        storage: the database of the study.

    Raises:
        ValueError: a value out of range.
    """

    study: str | None = None
    outputs: str = "outputs"
    port: Annotated[int, Range(0, 65_535)] = 8080
    storage: StorageSpec

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class UiConfig:
    """Configuration of `nas ui`.

    Attributes:
        study: name of the study, a folder under `outputs`, or a path; null for all studies under `outputs`.
        outputs: folder of the studies.
        port: port on 127.0.0.1, in [1, 65535]; 0 takes a free one.
        open: open the page in the browser.
        storage: the database of the study.

    Raises:
        ValueError: a value out of range.
    """

    study: str | None = None
    outputs: str = "outputs"
    port: Annotated[int, Range(0, 65_535)] = 8765
    open: bool = False
    storage: StorageSpec

    def __post_init__(self) -> None:
        check_fields(self)
