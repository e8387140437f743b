"""Configurations of a search: `nas search`, and `nas describe` and `nas estimate`, which take the same groups.

`nas doctor` takes those of them that name places and libraries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from nas.config.budget import Budget
from nas.config.checks import check_format, check_limits, check_pick
from nas.config.data import DataSpec
from nas.config.fidelity import FidelitySpec
from nas.config.objective import Objective
from nas.config.prior import PriorSpec
from nas.config.ranges import Count, Range, Seed, check_fields
from nas.config.sampler import SamplerSpec
from nas.config.storage import StorageSpec
from nas.config.tracking import TrackingSpec
from nas.config.training import Recipe
from nas.config.workers import WorkersSpec


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """Configuration of `nas search`.

    Attributes:
        study: name of the study, a folder under `outputs`, or a path; null names it after its data and space,
            its seed unless 0, and its sampler and fidelity unless known_cost and full.
        outputs: folder of the studies.
        seed: seed of the sampler and of every training, at least 0.
        deterministic: whether the networks that are trained are the same however fast each training is; a slot then
            waits for earlier trials, and sampler=known_cost leaves seconds out of account.
        format: output format of the final front: table, json or csv.
        start: networks to evaluate first, projected onto the space: published ones, e.g. [googlenet], JSON files of
            architectures, trials of studies as STUDY:NUMBER, or folders that `nas export` wrote, whose weights all
            trainings then start from, unless `training.weights` names others.
        data: the images and their splits.
        space: the search space.
        objective: objectives of the Pareto front, in order.
        limits: upper limits on the costs of a network: max_params, max_macs, max_memory_mib, max_latency_ms, or
            max_<name> of a cost of your own; null for no limit.
        sampler: the sampler of architectures.
        prior: weights of options, held before the first training; with sampler=known_cost, random or
            evolution.
        fidelity: the multi-fidelity policy, which decides how many epochs each network is trained.
        training: the training recipe.
        budget: the stopping criteria.
        workers: the worker processes and their devices.
        storage: the database of the study.
        tracking: the experiment tracker.

    Raises:
        ValueError: a value out of range, or no objective.
    """

    study: str | None = None
    outputs: str = "outputs"
    seed: Seed = 0
    deterministic: bool = False
    format: str = "table"
    start: tuple[str, ...] = ()
    data: DataSpec
    space: dict[str, Any]
    objective: tuple[Objective, ...]
    limits: dict[str, Any]
    sampler: SamplerSpec
    prior: PriorSpec
    fidelity: FidelitySpec
    training: Recipe
    budget: Budget
    workers: WorkersSpec
    storage: StorageSpec
    tracking: TrackingSpec

    def __post_init__(self) -> None:
        check_fields(self)
        check_format(self.format)
        check_limits(self.limits)
        if not self.objective:
            raise ValueError("objective must name at least one objective, e.g. objective=[val_accuracy,macs]")


@dataclass(frozen=True, kw_only=True)
class DescribeConfig(SearchConfig):
    """Configuration of `nas describe`: a search, of which it describes the space, or one network.

    Attributes:
        architecture: JSON file of an architecture, or trial of a study as STUDY:NUMBER; two with a comma between them
            are compared; null for none.
        reference: published network, e.g. googlenet; null for none. Without either, the space is described.
        rewrite: rule to apply to that network: reduce, stack, factorize, expand, separate, merge or fold; null for
            none.
        svg: file to draw that network to, or both side by side; null for no drawing.
        samples: number of architectures drawn from the space to estimate its costs, at least 1.
        format: output format: table, json or csv.

    Raises:
        ValueError: a value out of range.
    """

    architecture: str | None = None
    reference: str | None = None
    rewrite: str | None = None
    svg: str | None = None
    samples: Count = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.architecture is not None and self.reference is not None:
            raise ValueError("either architecture or reference may be described, got both")
        if self.architecture is None and self.reference is None and (self.rewrite or self.svg):
            raise ValueError("rewrite and svg are of one network: name an architecture or a reference")


@dataclass(frozen=True, kw_only=True)
class EstimateConfig(SearchConfig):
    """Configuration of `nas estimate`: a search, which is not run.

    Attributes:
        seconds: seconds for which networks are timed, from 1 to 3600; the simulations after that take as long at most.
        format: output format: table, json or csv.

    Raises:
        ValueError: a value out of range.
    """

    seconds: Annotated[float, Range(1, 3600)] = 20.0


@dataclass(frozen=True, kw_only=True)
class MeasureConfig(SearchConfig):
    """Configuration of `nas measure`: latency of networks on a device, or a model of it for the space of a search.

    Attributes:
        study: study whose picked networks are measured, and with which their latencies are kept; null for none.
        pick: networks of the study: front, best, knee or a trial's number.
        architecture: JSON file of an architecture, or trial of a study as STUDY:NUMBER; several with commas between
            them; null for none.
        reference: published network, or several with commas between them; null for none.
        fit: whether a model of the latency of the space's networks is fitted, for the objective latency_ms.
        on: folder for another device: ONNX files and a script that measures them there; with no network named, of the
            space's networks; null measures here.
        results: file that this script wrote there, to be taken back; null for none.
        memory: whether peaks of memory are measured rather than latency, of an inference and of a training step.
        operators: whether the operators of the one network that is named are measured, each by itself.
        runtime: torch, torch_compile, onnxruntime or openvino.
        batch: images of one inference, at least 1.
        threads: threads of the inference, at least 1.
        precision: float32; bfloat16 with torch, torch_compile and openvino; int8 with onnxruntime.
        device: cpu; cuda with torch and torch_compile.
        networks: random networks that a model is fitted on, at least 16.
        seconds: seconds of measuring, positive; null is 10 for networks, and 480 for a model.
        format: output format: table, json or csv.

    Raises:
        ValueError: a value out of range, or not one of networks, a fit and results.
    """

    pick: str = "front"
    architecture: str | None = None
    reference: str | None = None
    fit: bool = False
    on: str | None = None
    results: str | None = None
    memory: bool = False
    operators: bool = False
    runtime: str = "torch"
    batch: Count = 1
    threads: Count = 1
    precision: str = "float32"
    device: str = "cpu"
    networks: Annotated[int, Range(16, 100_000)] = 240
    seconds: Annotated[float, Range(0, 86_400, above=True)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pick(self.pick)
        if self.memory and (self.fit or self.on is not None or self.results is not None):
            raise ValueError("memory is measured here, of named networks, got memory=true with fit=, on= or results=")
        if self.operators and (self.fit or self.memory or self.on is not None or self.results is not None):
            raise ValueError("operators=true is of latency here, and takes no fit=, memory=, on= or results= with it")
        if self.results is not None:
            if self.fit or self.on is not None or self.architecture is not None or self.reference is not None:
                raise ValueError("results= takes back what was measured elsewhere, and no network, fit= or on= with it")
            return
        named = any(name is not None for name in (self.architecture, self.reference, self.study))
        if named == (self.fit or (self.on is not None and not named)):
            raise ValueError(
                "networks must be named to be measured, by study=, architecture= or reference=, or fit=true fits a "
                f"model, got {'both' if named else 'neither'}"
            )


@dataclass(frozen=True, kw_only=True)
class DoctorConfig:
    """Configuration of `nas doctor`.

    Attributes:
        outputs: folder of the studies.
        network: whether servers may be called: the Hugging Face Hub, W&B, the package index, a database elsewhere.
        timeout: seconds for which an answer of anything is waited for, from 1 to 3600.
        format: output format: table, json or csv.
        data: the images to read.
        workers: the worker processes of a search.
        storage: the database of a study.
        tracking: the experiment tracker.

    Raises:
        ValueError: a value out of range.
    """

    outputs: str = "outputs"
    network: bool = False
    timeout: Annotated[float, Range(1, 3600)] = 60.0
    format: str = "table"
    data: DataSpec
    workers: WorkersSpec
    storage: StorageSpec
    tracking: TrackingSpec

    def __post_init__(self) -> None:
        check_fields(self)
        check_format(self.format)
