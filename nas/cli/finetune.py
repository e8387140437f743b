"""`nas finetune`: training of an exported or a published network on other images, with a classifier for them."""

from __future__ import annotations

import logging
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, cast

from nas.cli.app.given import is_given
from nas.cli.common.fitted import fitted_data
from nas.cli.common.printing import Row, print_document
from nas.cli.common.signals import CODES, stop_on_signals
from nas.config.commands import FinetuneConfig
from nas.config.training import Recipe
from nas.data import DataInfo, DataSpec, announce, describe
from nas.evaluation.deferred_runner import DeferredRunner
from nas.evaluation.finetune.task import FinetuneTask
from nas.evaluation.retrain.checks import AVERAGED
from nas.evaluation.retrain.files import best_result, remove_results, seed_folder, seed_results
from nas.evaluation.retrain.results import average_line, mean_and_sd
from nas.evaluation.training_list import Rules, TrainingList
from nas.exports.format import Format, choose_formats
from nas.jobs import Outcome
from nas.jobs.files import PARTIAL, read_json, sweep, write_json
from nas.jobs.links import refuse_links
from nas.jobs.notice import showing
from nas.reports.finetuned import finetuned_table
from nas.reports.training_screen import list_observer_for
from nas.search.environment import environment
from nas.search.executors import allocation_of, executor_for, resolved_data
from nas.search.fingerprint import data_fingerprint
from nas.search.training_images import announce_augmentation
from nas.study.differences import differences
from nas.study.storage.folder_lock import FolderLock
from nas.study.study import StudyMismatchError
from nas.training.checkpoint_folder import by_epoch
from nas.training.weights_file import located

if TYPE_CHECKING:
    from nas.evaluation.finetune.origin import Origin

RUNNER = "nas.evaluation.retrain.runner:RetrainRunner"
ORIGINS = "nas.evaluation.finetune.origin"
EXPORTS = "nas.exports.finetuned"
"""Modules that take seconds to import, as they load torch."""
PUBLISHED: Mapping[str, float] = {"head_epochs": 2, "learning_rate": 0.1, "backbone_learning_rate": 0.3}
"""Settings of the recipe for a published network; those of conf/finetune.yaml are for a network of a search."""
FOLDER, SETTINGS, START = "training", "settings.json", "start.safetensors"

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Plan:
    """Trainings of a network, and what they are made with.

    Attributes:
        origin: the network that they start from.
        document: JSON form of the network that they train.
        output: folder of the result.
        data: the images.
        info: shape, classes and sizes of them.
        recipe: the training recipe.
        formats: the formats to export.
    """

    origin: Origin
    document: Mapping[str, Any]
    output: Path
    data: DataSpec
    info: DataInfo
    recipe: Recipe
    formats: Sequence[Format]

    @property
    def folder(self) -> Path:
        """Folder of the trainings."""
        return self.output / FOLDER

    def settings(self) -> dict[str, Any]:
        """Return the settings that all runs on this folder share."""
        content = {**data_fingerprint(self.data, self.info), "test_content": self.info.test_fingerprint}
        return {"origin": self.origin.told(), "training": self.recipe.settings(), "data": content}


def run(config: FinetuneConfig) -> int:
    """Train what is not trained yet, export the best seed, and print all.

    Returns:
        0, or 130 after Ctrl-C and 143 after SIGTERM; the same command resumes.

    Raises:
        ValueError: no such network, images that it does not run on, a folder of other trainings, a training that failed
            in every attempt, or a format that fails its check.
    """
    plan = _plan(config)
    announce(plan.info)
    plan.folder.mkdir(parents=True, exist_ok=True)
    for seed in range(config.seeds):
        refuse_links(plan.output, seed_folder(plan.folder, seed))
    sweep(plan.output.parent, rf"\.{re.escape(plan.output.name)}-{PARTIAL}")
    with FolderLock(plan.folder):
        plan = _prepare(plan, replace_other=config.replace)
        reason = _train(plan, config)
        if reason in CODES:
            sys.stderr.write("Stopped; the same command resumes\n")
            return CODES[reason]
        document = _export(plan, config)
    print_document(document, config.format, finetuned_table, finetuned_rows)
    folder = shlex.quote(str(plan.output))
    sys.stderr.write(f"Files:\n  {plan.output}\nTry it: nas predict model={folder} IMAGE\n")
    return 0


def _plan(config: FinetuneConfig) -> _Plan:
    formats, left_out = choose_formats(config.formats)
    for line in left_out:
        log.info("left out: %s", line)
    with showing("nas finetune: loading torch"):
        origins = resolve_name(ORIGINS)
    if config.model:
        origin = origins.read_exported(Path(config.model).expanduser())
    else:
        origin = origins.read_published(config.reference, Path(str(config.weights)).expanduser())
    data = fitted_data(config.data, origin)
    info = describe(data)
    if not info.test:
        raise ValueError(f"data must have a test part to measure on, {data.name} has none")
    document = origin.fitted(info.shape, len(info.classes))
    output = Path(config.output or f"finetuned/{data.slug}-{origin.name}").expanduser()
    return _Plan(origin, document, output, data, info, recipe_for(config), formats)


def recipe_for(config: FinetuneConfig) -> Recipe:
    """Return the recipe: for a published network with `PUBLISHED`, but for what the command line says."""
    if not config.reference:
        return config.training
    changes: dict[str, Any] = {name: value for name, value in PUBLISHED.items() if not is_given(f"training.{name}")}
    if "head_epochs" in changes:
        changes["head_epochs"] = min(config.training.epochs, changes["head_epochs"])
    return replace(config.training, **changes)


def _prepare(plan: _Plan, *, replace_other: bool) -> _Plan:
    """Write the file that the trainings start from, and return the plan with it; refuse or replace other trainings."""
    start = plan.folder / START
    plan.origin.write_start(start)
    plan = replace(plan, recipe=located(replace(plan.recipe, weights=str(start))))
    settings, stored = plan.settings(), read_json(plan.folder / SETTINGS)
    found = differences(stored, settings) if stored is not None else []
    if found and not replace_other:
        raise StudyMismatchError(
            f"a fine-tuning must continue with its own settings; in {plan.folder} "
            f"{'; '.join(clause.replace(' in the study', ' there') for clause in found)}. "
            f"replace=true deletes it and starts anew, output=FOLDER writes elsewhere"
        )
    if found:
        remove_results(plan.folder)
    write_json(plan.folder / SETTINGS, settings)
    return plan


def _train(plan: _Plan, config: FinetuneConfig) -> str:
    """Train with every seed, and return the reason for the end.

    Raises:
        ValueError: a training failed in every attempt.
    """
    recipe = plan.recipe
    devices = allocation_of(recipe, config.workers)(plan.document)
    tasks = [FinetuneTask(plan.document, seed, seed_folder(plan.folder, seed), devices) for seed in range(config.seeds)]
    data = resolved_data(plan.data, plan.info, config.workers)
    announce_augmentation(plan.data, recipe)
    training = TrainingList(
        executor_for(DeferredRunner(data, recipe, config.workers.threads_per_slot, RUNNER), config.workers),
        tasks,
        Rules(recipe.epochs, config.workers.retries, log_seconds=0.0),
        epochs=by_epoch,
        on_done=_log_done,
        observer=list_observer_for(sys.stderr),
    )
    stage = f", the classifier alone for the first {recipe.head_epochs}" if recipe.head_epochs else ""
    log.info("fine-tuning %s: %d seeds of %d epochs%s", plan.origin.name, config.seeds, recipe.epochs, stage)
    with stop_on_signals(training):
        reason = training.run()
    failed = {task.label: training.failures[task.folder] for task in tasks if task.folder in training.failures}
    if failed:
        causes = "; ".join(f"{label} failed ({cause.kind}): {cause.message}" for label, cause in failed.items())
        raise ValueError(f"every training must end for a result over all seeds, {causes}")
    return reason


def _log_done(task: Any, outcome: Outcome) -> None:
    log.info("%s: trained and measured, %.1f s", task.label, outcome.seconds)


def _export(plan: _Plan, config: FinetuneConfig) -> dict[str, Any]:
    """Export the best of the seeds, and return the result as JSON values."""
    results = [result for result in seed_results(plan.folder) if result["seed"] < config.seeds]
    best = cast("Mapping[str, Any]", best_result(results))
    if line := average_line(f"seed {best['seed']}", best):
        log.warning("%s", line)
    exports = resolve_name(EXPORTS)
    checkpoint = seed_folder(plan.folder, best["seed"]) / best["checkpoint"]
    network = exports.Finetuned(plan.document, plan.origin.told(), results, best, checkpoint)
    told = {
        "name": plan.output.name,
        "licence": config.licence,
        "validation_images": plan.info.validation,
        "environment": environment(),
    }
    request = exports.FinetunedRequest(plan.data, plan.formats, config.images, bool(config.formats), told)
    written = exports.export_finetuned(network, plan.output, request)
    for reason in written.get("left_out", {}).values():
        log.warning("left out: %s", reason)
    return {
        "output": str(plan.output),
        "origin": plan.origin.told(),
        "data": plan.data.name,
        "classes": list(plan.info.classes),
        **network.facts(),
        **{name: mean_and_sd([result[name] for result in results]) for name in AVERAGED},
        "best_seed": best["seed"],
        "seeds": results,
        "checks": written["checks"],
        "training": plan.recipe.settings(),
    }


def finetuned_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row for each seed."""
    names = ["seed", "epochs", "val_accuracy", "test_accuracy", "test_balanced_accuracy", "test_loss", "test_images"]
    rows: list[Row] = [[*names, "exported", "output"]]
    for seed in document["seeds"]:
        exported = seed["seed"] == document["best_seed"]
        rows.append([*(seed.get(name, "") for name in names), exported, document["output"]])
    return rows
