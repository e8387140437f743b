"""`nas tabulate`: training of every architecture of a small space over seeds, into one Parquet file."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from nas.cli.common.printing import Row, print_document
from nas.cli.common.signals import CODES, stop_on_signals
from nas.config.commands import TabulateConfig
from nas.data import DataInfo, describe
from nas.evaluation.training_list import Rules, TrainingList
from nas.evaluation.trial_runner import TrialRunner
from nas.objectives.requirements import Examined
from nas.reports.tables import tabulated_table
from nas.search.build import space_for
from nas.search.environment import environment
from nas.search.executors import executor_for, resolved_data
from nas.search.fingerprint import data_fingerprint
from nas.study.storage.folder_lock import FolderLock
from nas.tabular.columns import FORMAT
from nas.tabular.table import Table, read_table, write_table
from nas.tabular.tabulate.plan import enumerate_architectures, join_rows, training_tasks
from nas.tabular.tabulate.runner import TableRunner
from nas.tabular.tabulate.shard_writer import ShardWriter
from nas.tabular.tabulate.shards import Shards
from nas.tabular.tabulate.task import NetworkTask
from nas.training.checkpoint import latest

log = logging.getLogger(__name__)


def run(config: TabulateConfig) -> int:
    """Train what is not trained yet, then join the table and print its summary.

    Returns:
        0, or 130 after Ctrl-C and 143 after SIGTERM; the same command resumes.

    Raises:
        ValueError: a space too large, data without a test part, shards of another recipe, or a failed training.
    """
    plan = _plan(config)
    plan.parts.mkdir(parents=True, exist_ok=True)
    with FolderLock(plan.parts):
        shards = Shards(plan.parts / "shards", plan.recipe, _circumstances())
        tasks = training_tasks(plan.known, config.seeds, config.training.epochs, plan.parts / "trainings")
        reason, failed = _train(config, plan, tasks, shards)
        if failed:
            raise ValueError(f"every training must end for a table, {failed}")
        if reason in CODES:
            sys.stderr.write("Stopped; the same command resumes\n")
            return CODES[reason]
        write_table(
            join_rows(plan.known, shards.frame, config.seeds),
            plan.attributes(config, shards),
            plan.output,
        )
    print_document(_document(read_table(plan.output)), config.format, tabulated_table, tabulated_rows)
    sys.stderr.write(f"Files:\n  {plan.output}\n  {plan.parts} (needed for more seeds only)\n")
    return 0


@dataclass(frozen=True)
class _Plan:
    """Architectures and settings of a table.

    Attributes:
        output: the file to write.
        known: every architecture with its costs and identities.
        recipe: settings that all rows share.
        info: shape, classes and sizes of the image set.
    """

    output: Path
    known: Sequence[Examined]
    recipe: Mapping[str, Any]
    info: DataInfo

    @property
    def parts(self) -> Path:
        """Folder of the finished parts."""
        return self.output.with_name(f"{self.output.name}.parts")

    def attributes(self, config: TabulateConfig, shards: Shards) -> dict[str, Any]:
        """Return the table's metadata."""
        made_on = shards.made_on
        devices = sorted({str(each["device"]) for each in made_on})
        return {
            "format": FORMAT,
            **self.recipe,
            "val_images": self.info.validation,
            "seeds": list(range(config.seeds)),
            "epochs": config.training.epochs,
            "device": ", ".join(devices),
            "environment": made_on[0]["environment"]
            if len(made_on) == 1
            else [each["environment"] for each in made_on],
        }


def _plan(config: TabulateConfig) -> _Plan:
    if config.workers.devices_per_trial != 1:
        raise ValueError(f"workers.devices_per_trial must be 1 for a table, got {config.workers.devices_per_trial}")
    info = describe(config.data)
    if not info.test:
        raise ValueError(f"data must have a test part to measure on, {config.data.name} has none")
    space = space_for(config.space, info)
    known = enumerate_architectures(space)
    test_images, early = _test_images(config, info)
    recipe = {
        "data": {**data_fingerprint(config.data, info), "test_content": info.test_fingerprint},
        "split": {
            "train": info.train,
            "validation": info.validation,
            "test": info.test,
            "split_seed": config.data.split_seed,
        },
        "training": asdict(config.training),
        "space": {**config.space, "input": list(space.input), "classes": space.classes},
        "test_images": test_images,
        "early_test_images": early,
    }
    output = Path(config.output or f"{config.data.slug}-{space.name}.parquet").expanduser()
    return _Plan(output, known, recipe, info)


def _test_images(config: TabulateConfig, info: DataInfo) -> tuple[int, int]:
    last = min(config.test_images or info.test, info.test)
    return last, min(config.early_test_images or last, info.test)


def _circumstances() -> dict[str, Any]:
    made_on = environment()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else str(made_on["processor"])
    return {"device": device, "environment": made_on}


def _train(config: TabulateConfig, plan: _Plan, tasks: Sequence[NetworkTask], shards: Shards) -> tuple[str, str]:
    """Run the trainings that no shard has; return the reason of the end, and the failed ones as text."""
    finished = shards.finished(config.training.epochs)
    left = [task for task in tasks if (task.network_id, task.table_seed) not in finished]
    for task in tasks:
        is_finished = (task.network_id, task.table_seed) in finished
        if is_finished and task.folder.exists():  # the run was killed between writing a shard and removing the folder
            shutil.rmtree(task.folder)
    writer = ShardWriter(shards, [task for task in left if task.done], left=len(left), total=len(tasks))
    data = resolved_data(config.data, plan.info, config.workers)
    trial = TrialRunner(data, config.training, config.workers.threads_per_slot)
    runner = TableRunner(trial, plan.recipe["test_images"], plan.recipe["early_test_images"])
    trainings = TrainingList(
        executor_for(runner, config.workers),
        left,
        Rules(config.training.epochs, config.workers.retries, halves=False),  # rows of one table share one recipe
        latest=latest,
        on_done=writer.on_done,
    )
    log.info(
        "tabulating %d architectures, %d networks with %d seeds: %d of %d trainings are done",
        len(plan.known), len(tasks) // config.seeds, config.seeds, len(tasks) - len(left), len(tasks),
    )  # fmt: skip
    with stop_on_signals(trainings):
        reason = trainings.run()
    writer.flush()
    failures = (
        f"{task.label} failed ({failure.kind}): {failure.message}"
        for task in left
        if (failure := trainings.failures.get(task.folder)) is not None
    )
    return reason, "; ".join(failures)


def _document(table: Table) -> dict[str, Any]:
    entries = table.entries.values()
    accuracies = [entry.test_accuracy for entry in entries]
    return {
        "table": str(table.path),
        "hash": table.hash,
        "space": table.space.name,
        "architectures": len(table.entries),
        "networks": len({entry.network_id for entry in entries}),
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
