"""Configurations of the commands on tables of learning curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from nas.config.budget import Budget
from nas.config.checks import check_format, check_limits
from nas.config.data import DataSpec
from nas.config.fidelity import FidelitySpec
from nas.config.objective import Objective
from nas.config.prior import PriorSpec
from nas.config.ranges import Few, Range, Seed, Share, ShareAboveZero, Slots, Total, check_fields
from nas.config.sampler import SamplerSpec
from nas.config.training import Recipe
from nas.config.workers import WorkersSpec

Images = Annotated[int, Range(0, 10**9, above=True)]

ROUNDING = 1e-9
"""Excess over 1 of a sum of shares that is none."""


@dataclass(frozen=True, kw_only=True)
class TabulateConfig:
    """Configuration of `nas tabulate`.

    Attributes:
        output: Parquet file to write; null for DATA-SPACE.parquet in the working directory.
        seeds: number of trainings of each network, with seeds 0, 1, ..., at least 1.
        sample: number of networks of a sample of the space, at least 1; null for the whole space. The portions below
            are of it, and random networks are the rest.
        spread: share of networks that are spread over the logarithm of the MACs, from 0 to 1.
        strategies: samplers of conf/sampler, each of which draws a portion in a search of its own.
        strategy: share of the networks that each of them draws, above 0.
        again: share of the networks of every portion that are trained with one more seed, from 0 to 1.
        test_images: number of test images to evaluate after the last epoch, at least 1; null for all.
        early_test_images: number of test images to evaluate after every other epoch, at least 1; null for
            `test_images`.
        format: output format: table, json or csv.
        data: the images and their splits.
        space: the search space, of which every architecture, or a sample, is trained.
        training: the training recipe.
        workers: the worker processes and their devices.

    Raises:
        ValueError: a value out of range.
    """

    output: str | None = None
    seeds: Few = 3
    sample: Total | None = None
    spread: Share = 0.28
    strategies: tuple[str, ...] = ("tpe", "evolution", "known_cost")
    strategy: ShareAboveZero = 0.12
    again: Share = 0.2
    test_images: Images | None = None
    early_test_images: Images | None = None
    format: str = "table"
    data: DataSpec
    space: dict[str, Any]
    training: Recipe
    workers: WorkersSpec

    def __post_init__(self) -> None:
        check_fields(self)
        check_format(self.format)
        self._check_shares()

    def _check_shares(self) -> None:
        total = self.spread + len(self.strategies) * self.strategy
        if total > 1.0 + ROUNDING:
            raise ValueError(
                f"spread and a strategy share for each of {len(self.strategies)} strategies must be at most 1 in all, "
                f"got {total:g}"
            )
        if len(set(self.strategies)) < len(self.strategies) or {"random", "spread"} & set(self.strategies):
            raise ValueError(
                f"strategies must be different, and neither random nor spread, got {', '.join(self.strategies)}"
            )

    def portions(self) -> dict[str, int]:
        """Return the number of networks of each portion of a sample by its name, random ones first.

        Without a sample there are none.
        """
        if self.sample is None:
            return {}
        drawn = {"spread": round(self.spread * self.sample)}
        drawn |= {name: round(self.strategy * self.sample) for name in self.strategies}
        return {"random": max(0, self.sample - sum(drawn.values())), **drawn}


@dataclass(frozen=True, kw_only=True)
class RehearseConfig:
    """Configuration of `nas rehearse`.

    Attributes:
        table: Parquet file of a whole space that `nas tabulate` wrote; null with `surrogate`.
        surrogate: Parquet file of a sample of a space; models of it predict the trainings of any network. null with
            `table`.
        seed: seed of the first simulated search, at least 0; the others have the seeds that follow.
        seeds: number of simulated searches, at least 1.
        slots: simulated trainings at once, at least 1.
        charge: simulated cost of an epoch: `seconds`, its recorded wall time, or `cpu_seconds`, its recorded processor
            time, for a table that was made on a busy machine.
        thinking: add the processor time of driver and sampler to the simulated clock; not with format=json.
        plot: PNG file to draw the scores to; null for none.
        format: output format: table, json or csv.
        start: networks to evaluate first, projected onto the table's space: published ones, e.g. [googlenet], JSON
            files of architectures, or trials of studies as STUDY:NUMBER.
        objective: objectives of the Pareto front, in order.
        limits: upper limits on the costs of a network, max_<cost>; null for no limit.
        sampler: the sampler of architectures.
        prior: weights of options, held before the first training; with sampler=known_cost, random or
            evolution.
        fidelity: the multi-fidelity policy, which decides how many epochs each network is trained.
        budget: the stopping criteria; a training is the mean full training of the table.
        workers: processes that simulate; `slots` is their number.

    Raises:
        ValueError: a value out of range.
    """

    table: str | None = None
    surrogate: str | None = None
    seed: Seed = 0
    seeds: Annotated[int, Range(1, 10_000)] = 10
    slots: Slots = 1
    charge: str = "seconds"
    thinking: bool = False
    plot: str | None = "rehearsal.png"
    format: str = "table"
    start: tuple[str, ...] = ()
    objective: tuple[Objective, ...]
    limits: dict[str, Any]
    sampler: SamplerSpec
    prior: PriorSpec
    fidelity: FidelitySpec
    budget: Budget
    workers: WorkersSpec

    def __post_init__(self) -> None:
        check_fields(self)
        check_format(self.format)
        check_limits(self.limits)
        if self.table is not None and self.surrogate is not None:
            raise ValueError("either table=FILE or surrogate=FILE may be given, got both")
        if not self.objective:
            raise ValueError("objective must name at least one objective, e.g. objective=[val_accuracy,macs]")
        if self.thinking and self.format == "json":
            raise ValueError("format=json holds nothing that a real clock says, so thinking must be false with it")
