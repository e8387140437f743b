"""`nas tabulate`: training of every architecture of a small space over seeds, into one Parquet file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nas.cli.app.compose import compose
from nas.cli.common.printing import Row, print_document
from nas.cli.common.signals import CODES, stop_on_signals
from nas.config.commands import TabulateConfig
from nas.data import DataInfo, announce, describe
from nas.evaluation.deferred_runner import DeferredRunner
from nas.evaluation.training_list import Rules
from nas.reports.tables import tabulated_table
from nas.search.build import space_for
from nas.search.environment import environment
from nas.search.executors import executor_for, pack_size, resolved_data
from nas.search.fingerprint import data_fingerprint
from nas.search.training_images import announce_augmentation, check_resized
from nas.study.storage.folder_lock import FolderLock
from nas.tabular.columns import FORMAT, SAMPLE, SAMPLE_FORMAT
from nas.tabular.table import Table, read_table, write_table
from nas.tabular.tabulate.plan import enumerate_architectures, join_rows
from nas.tabular.tabulate.sample import Member, drawn_members
from nas.tabular.tabulate.shards import Shards
from nas.tabular.tabulate.strategy_draws import StrategyPortion
from nas.tabular.tabulate.table_maker import Seeds, TableMaker, TrainingsStoppedError
from nas.training.weights_file import located
from nas.workers.local import start_loading
from search_space.space import Space, without_intent

RUNNER = "nas.tabular.tabulate.runner:TableRunner"


def run(config: TabulateConfig) -> int:
    """Train what is not trained yet, then join the table and print its summary.

    Returns:
        0, or 130 after Ctrl-C and 143 after SIGTERM; the same command resumes.

    Raises:
        ValueError: a space too large, data without a test part, shards of another recipe, or a failed training.
    """
    config = replace(config, training=located(config.training))
    plan = _plan(config)
    start_loading(config.workers)  # while the space is enumerated
    strategies = _strategies(config, plan)
    announce(plan.info)
    plan.parts.mkdir(parents=True, exist_ok=True)
    with FolderLock(plan.parts):
        shards = Shards(plan.parts / "shards", plan.recipe, _circumstances())
        seeds = Seeds(config.seeds, config.again if plan.portions else 0.0)
        try:
            members, trainings = _maker(config, plan, shards).make(_drawn(plan), strategies, seeds)
        except TrainingsStoppedError as stopped:
            sys.stderr.write("Stopped; the same command resumes\n")
            return CODES[stopped.reason]
        attributes = plan.attributes(config, shards, seeds)
        write_table(join_rows(members, shards.frame, trainings), attributes, plan.output)
    print_document(_document(read_table(plan.output)), config.format, tabulated_table, tabulated_rows)
    sys.stderr.write(f"Files:\n  {plan.output}\n  {plan.parts} (needed for more seeds only)\n")
    return 0


@dataclass(frozen=True)
class _Plan:
    """Space and settings of a table.

    Attributes:
        output: the file to write.
        space: the space.
        portions: number of networks of each portion of a sample; empty for the whole space.
        recipe: settings that all rows share.
        info: shape, classes and sizes of the image set.
    """

    output: Path
    space: Space
    portions: Mapping[str, int]
    recipe: Mapping[str, Any]
    info: DataInfo

    @property
    def parts(self) -> Path:
        """Folder of the finished parts."""
        return self.output.with_name(f"{self.output.name}.parts")

    def attributes(self, config: TabulateConfig, shards: Shards, seeds: Seeds) -> dict[str, Any]:
        """Return the table's metadata."""
        made_on = shards.made_on
        devices = sorted({str(each["device"]) for each in made_on})
        environments = [each["environment"] for each in made_on]
        kind: dict[str, Any] = {"format": FORMAT}
        if self.portions:
            kind = {"format": SAMPLE_FORMAT, SAMPLE: {"portions": dict(self.portions), "again": config.again}}
        return {
            **kind,
            **self.recipe,
            "val_images": self.info.validation,
            "seeds": seeds.all,
            "epochs": config.training.epochs,
            "device": ", ".join(devices),
            "environment": environments[0] if len(environments) == 1 else environments,
        }


def _plan(config: TabulateConfig) -> _Plan:
    if config.training.validate_every != 1:
        raise ValueError(
            "a table has the validation accuracy after every epoch: training.validate_every must be 1, "
            f"got {config.training.validate_every}"
        )
    if config.workers.devices_per_trial != 1:
        raise ValueError(f"workers.devices_per_trial must be 1 for a table, got {config.workers.devices_per_trial}")
    info = describe(config.data)
    if not info.test:
        raise ValueError(f"data must have a test part to measure on, {config.data.name} has none")
    space = space_for(config.space, info)
    check_resized(config.training, space)
    test_images, early = _test_images(config, info)
    recipe = {
        "data": {**data_fingerprint(config.data, info), "test_content": info.test_fingerprint},
        "split": {
            "train": info.train,
            "validation": info.validation,
            "test": info.test,
            "split_seed": config.data.split_seed,
        },
        "training": config.training.settings(),
        "space": {**without_intent(config.space), "input": list(space.input), "classes": space.classes},
        "test_images": test_images,
        "early_test_images": early,
    }
    output = Path(config.output or f"{config.data.slug}-{space.name}.parquet").expanduser()
    return _Plan(output, space, config.portions(), recipe, info)


def _drawn(plan: _Plan) -> list[Member]:
    """Return the networks that are known before any training."""
    if plan.portions:
        return drawn_members(plan.space, plan.portions)
    return [Member(examined) for examined in enumerate_architectures(plan.space)]


def _strategies(config: TabulateConfig, plan: _Plan) -> list[StrategyPortion]:
    """Return the portions of a sample that strategies draw, with the settings of a search and every training full."""
    return [
        StrategyPortion(
            name=name,
            count=plan.portions[name],
            strategy=compose("search", [f"sampler={name}", "fidelity=full"]),
            space=plan.space,
            epochs=config.training.epochs,
            retries=config.workers.retries,
            folder=plan.parts / "searches" / name,
        )
        for name in config.strategies
        if name in plan.portions
    ]


def _test_images(config: TabulateConfig, info: DataInfo) -> tuple[int, int]:
    last = min(config.test_images or info.test, info.test)
    return last, min(config.early_test_images or last, info.test)


def _circumstances() -> dict[str, Any]:
    made_on = environment()
    device = str(made_on["gpus"][0] if made_on["gpus"] else made_on["processor"])
    return {"device": device, "environment": made_on}


def _maker(config: TabulateConfig, plan: _Plan, shards: Shards) -> TableMaker:
    data = resolved_data(config.data, plan.info, config.workers)
    announce_augmentation(config.data, config.training)
    images = (plan.recipe["test_images"], plan.recipe["early_test_images"])
    runner = DeferredRunner(data, config.training, config.workers.threads_per_slot, RUNNER, images)
    pack = pack_size(config.training, config.workers)
    # Rows of one table share one recipe: no halves.
    rules = Rules(config.training.epochs, config.workers.retries, halves=False, pack=pack)
    folder = plan.parts / "trainings"
    return TableMaker(shards, folder, rules, lambda: executor_for(runner, config.workers), stop_on_signals)


def _document(table: Table) -> dict[str, Any]:
    entries = table.entries.values()
    accuracies = [entry.test_accuracy for entry in entries]
    return {
        "table": str(table.path),
        "hash": table.hash,
        "space": table.space.name,
        "architectures": len(table.entries),
        "networks": len({entry.network_id for entry in entries}),
        "trainings": len({(entry.network_id, seed) for entry in entries for seed in entry.curves}),
        "seeds": list(table.seeds),
        "epochs": table.epochs,
        "mean_seconds": table.mean_seconds,
        "test_accuracy": {"min": min(accuracies), "max": max(accuracies)},
    }


def tabulated_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row."""
    names = [name for name in document if name not in {"seeds", "test_accuracy"}]
    row = [document[name] for name in names]
    return [[*names, "seeds"], [*row, len(document["seeds"])]]
