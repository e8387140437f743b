"""`nas retrain`: full training of picked networks over several seeds, and their evaluation on the test part."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from nas.cli.app.compose import changed
from nas.cli.app.stored_files import stored_settings
from nas.cli.common.printing import Row, print_document
from nas.cli.common.signals import CODES, stop_on_signals
from nas.cli.common.studies import reading
from nas.config.commands import RetrainConfig
from nas.config.commands.networks import WHOLE
from nas.config.training import Recipe
from nas.data import DataInfo, DataSpec, announce, describe
from nas.evaluation.deferred_runner import DeferredRunner
from nas.evaluation.retrain.baselines import scaled_baseline
from nas.evaluation.retrain.checks import AVERAGED
from nas.evaluation.retrain.files import BASELINES, FOLDER, TRIAL_FILE, remove_results, seed_folder, seed_results
from nas.evaluation.retrain.final_front import against_baselines, final_front, lost_by_retraining, optimism
from nas.evaluation.retrain.preference import prefers_search
from nas.evaluation.retrain.results import average_line, averages, check_settings, failure_summary, network_document
from nas.evaluation.retrain.task import RetrainTask, Subject
from nas.evaluation.training_list import Rules, TrainingList
from nas.jobs.files import write_json
from nas.jobs.links import refuse_links
from nas.objectives.costs.macs import COST as MACS
from nas.objectives.limits import Limits
from nas.reports.retrained import final_front_text
from nas.reports.tables import retrain_table
from nas.reports.text import short_number
from nas.reports.training_screen import list_observer_for
from nas.search.environment import environment
from nas.search.executors import allocation_of, executor_for, pack_size, resolved_data
from nas.search.fingerprint import data_fingerprint, study_data, study_recipe
from nas.search.training_images import announce_augmentation, check_networks_resized
from nas.study.selection import pick_records
from nas.study.storage.folder_lock import FolderLock
from nas.study.study import Study, StudyMismatchError
from nas.study.summary import StudyReader
from nas.study.trial import Record
from nas.tracking.results import Result, network_of, record_results
from nas.training.checkpoint_folder import by_epoch
from nas.training.weights_file import located
from nas.workers.device_allocation import DeviceAllocation

RUNNER = "nas.evaluation.retrain.runner:RetrainRunner"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Plan:
    """Networks to retrain, and the settings of their trainings.

    Attributes:
        reader: the study.
        records: the picked trials.
        subjects: their networks, in their order, and then the baselines.
        data: the image set.
        info: shape, classes and sizes of that set.
        recipe: the training recipe.
        settings: settings that are written to each result.
    """

    reader: StudyReader
    records: Sequence[Record]
    subjects: Sequence[Subject]
    data: DataSpec
    info: DataInfo
    recipe: Recipe
    settings: Mapping[str, Any]

    def tasks(self, seeds: int, allocation: DeviceAllocation) -> list[RetrainTask]:
        """Return the trainings, ordered by seed: an interrupted run has then tested all networks on as many seeds."""
        found = [(subject, allocation(subject.architecture)) for subject in self.subjects]
        return [
            RetrainTask(subject, seed, seed_folder(subject.folder, seed), devices)
            for seed in range(seeds)
            for subject, devices in found
        ]


@dataclass(frozen=True)
class Retrained:
    """Result of a retraining.

    Attributes:
        document: the result of every network, of JSON values only.
        plan: the retraining.
        reason: reason for its end.
        failed: what failed in every attempt, in one line; empty for nothing.
    """

    document: Mapping[str, Any]
    plan: _Plan
    reason: str
    failed: str


def run(config: RetrainConfig) -> int:
    """Retrain the picked networks, write the result of each, and print all.

    Returns:
        0, or 130 after Ctrl-C and 143 after SIGTERM; the same command resumes.

    Raises:
        ValueError: no network to pick, other data than the study's, or a training that failed in every attempt.
    """
    ended = retrain(config)
    print_document(ended.document, config.format, retrain_table, retrain_rows)
    if ended.failed:
        raise ValueError(ended.failed)
    _log_losses(ended.plan, ended.document)
    _print_next_steps(ended.plan, ended.document, ended.reason)
    return CODES.get(ended.reason, 0)


def retrain(config: RetrainConfig) -> Retrained:
    """Retrain the picked networks and write the result of each.

    Raises:
        ValueError: no network to pick, or other data than the study's.
    """
    plan = _plan(config)
    study = plan.reader.study
    for subject in plan.subjects:
        for seed in range(config.seeds):
            refuse_links(study.folder, seed_folder(subject.folder, seed))
    announce(plan.info)
    (study.folder / FOLDER).mkdir(parents=True, exist_ok=True)
    with FolderLock(study.folder / FOLDER):
        _prepare(plan, replace_other=config.replace)
        tasks = plan.tasks(config.seeds, allocation_of(plan.recipe, config.workers))
        data = resolved_data(plan.data, plan.info, config.workers)
        announce_augmentation(plan.data, plan.recipe)
        whole = config.train_on == WHOLE
        runner = DeferredRunner(data, plan.recipe, config.workers.threads_per_slot, RUNNER, whole=whole)
        retraining = TrainingList(
            executor_for(runner, config.workers),
            tasks,
            Rules(plan.recipe.epochs, config.workers.retries, pack=pack_size(plan.recipe, config.workers)),
            epochs=by_epoch,
            on_done=lambda task, outcome: log.info("%s: trained and measured, %.1f s", task.label, outcome.seconds),
            observer=list_observer_for(sys.stderr),
        )
        _announce(plan, config.seeds)
        with stop_on_signals(retraining):
            reason = retraining.run()
        results = [_write_result(plan, subject) for subject in plan.subjects]
    _log_averages(plan, results)
    networks, baselines = results[: len(plan.records)], results[len(plan.records) :]
    document = {
        "study": study.name,
        "pick": config.pick,
        "training": asdict(plan.recipe),
        "networks": networks,
        "front": final_front(networks, study.axes),
        "optimism": optimism(networks),
        "baselines": baselines,
        "against_baselines": against_baselines(networks, baselines),
        "worse": _worse(study, networks),
    }
    record_results(study, "retrain", _results(plan, networks))
    failed = failure_summary(tasks, retraining.failures)
    law = f"every training must end for a result over all seeds, {failed}" if failed else ""
    return Retrained(document, plan, reason, law)


def _plan(config: RetrainConfig) -> _Plan:
    reader = reading(config)
    study = reader.study
    records = pick_records(reader.records, study.believer, config.pick, Limits(**config.limits))
    written = stored_settings(study)
    recipe = _recipe(study_recipe(study), written.get("training", {}), config.training.changes())
    data, info = study_data(study, written.get("data", {}), config.data.path)
    if config.data.train_fraction is not None:
        data = replace(data, train_fraction=config.data.train_fraction)
        info = describe(data)
    if not info.test:
        raise ValueError(f"data must have a test part to measure on, {data.name} has none")
    content = {**data_fingerprint(data, info), "test_content": info.test_fingerprint}
    settings = {"training": recipe.settings(), "data": content, "train_on": config.train_on}
    subjects = _subjects(study, records, config.baselines, info)
    check_networks_resized(recipe, [subject.architecture for subject in subjects])
    return _Plan(reader, records, subjects, data, info, recipe, settings)


def _subjects(study: Study, records: Sequence[Record], baselines: Sequence[str], info: DataInfo) -> list[Subject]:
    """Return the networks of the picked trials, and the baselines, scaled to the dearest of these."""
    dearest = max(float(record.candidate.costs[MACS.name]) for record in records)
    found = [Subject.of_trial(record, study.folder) for record in records]
    for place, name in enumerate(baselines, start=1):
        baseline = scaled_baseline(name, info.shape, len(info.classes), dearest)
        found.append(Subject.of_baseline(baseline, study.folder, -place))
    return found


def _announce(plan: _Plan, seeds: int) -> None:
    """Log the number of networks, and the size of each baseline."""
    log.info("retraining %d networks with %d seeds each", len(plan.subjects), seeds)
    dearest = max(float(record.candidate.costs[MACS.name]) for record in plan.records)
    for subject in plan.subjects[len(plan.records) :]:
        macs = float(subject.facts["costs"][MACS.name])
        above = ", its least" if macs > dearest else ""
        log.info(
            "%s: %g times its published widths%s, %s MACs; the dearest picked network has %s",
            *(subject.name, subject.facts["width"], above, short_number(macs), short_number(dearest)),
        )


def _recipe(recipe: Recipe, settings: Mapping[str, Any], changes: Mapping[str, Any]) -> Recipe:
    """Return the study's recipe with changes; unless they name another one, its file of weights is the study's.

    Raises:
        ValueError: a setting out of range, or a file of weights that can't be read or has other content.
    """
    if "weights" in changes:
        changes = {"weights_sha256": None, **changes}
    elif recipe.weights_sha256 is not None:
        changes = {"weights": settings.get("weights"), **changes}
    return located(changed(recipe, changes))


def _prepare(plan: _Plan, *, replace_other: bool) -> None:
    """Make the folder of each network with the settings of its training; refuse or replace results of others."""
    for subject in plan.subjects:
        try:
            check_settings(subject.folder, plan.settings)
        except StudyMismatchError:
            if not replace_other:
                raise
            remove_results(subject.folder)
    for subject in plan.subjects:
        subject.folder.mkdir(parents=True, exist_ok=True)
        _write_result(plan, subject)


def _write_result(plan: _Plan, subject: Subject) -> dict[str, Any]:
    document = network_document(subject.facts, plan.settings, seed_results(subject.folder), plan.info.classes)
    write_json(subject.folder / TRIAL_FILE, {"study": plan.reader.study.name, **document, "environment": environment()})
    return document


def _results(plan: _Plan, networks: Sequence[Mapping[str, Any]]) -> list[Result]:
    """Return what a tracker gets of the picked networks that have a result."""
    return [
        Result(
            str(record.number),
            network_of(record),
            averages(network),
            [
                {"seed": seed["seed"], **{name: seed[name] for name in AVERAGED if name in seed}}
                for seed in network["seeds"]
            ],
        )
        for record, network in zip(plan.records, networks, strict=True)
        if network["seeds"]
    ]


def _log_averages(plan: _Plan, results: Sequence[Mapping[str, Any]]) -> None:
    for subject, result in zip(plan.subjects, results, strict=True):
        for seed in result["seeds"]:
            if line := average_line(f"{subject.name} seed {seed['seed']}", seed):
                log.warning("%s", line)


def _worse(study: Study, networks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return trial and lost accuracy of networks that are clearly worse than in the search, in the mean of seeds."""
    images = study.attribute("validation_images")
    lost = [(network["trial"], lost_by_retraining(network, images)) for network in networks]
    return [{"trial": trial, "lost": loss} for trial, loss in lost if loss is not None]


def _log_losses(plan: _Plan, document: Mapping[str, Any]) -> None:
    """Warn of networks that are worse than in the search, and say what is exported."""
    study, records = plan.reader.study, {record.number: record for record in plan.records}
    results = {network["trial"]: network for network in document["networks"]}
    for row in document["worse"]:
        network = results[row["trial"]]
        searched = prefers_search(study, records[row["trial"]], network["seeds"])
        log.warning(
            "trial %s: retraining made it worse, by %.1f points of %s; nas export takes the weights of %s",
            row["trial"],
            100 * row["lost"],
            "validation accuracy" if network["val_accuracy"]["n"] else "accuracy, from validation to test",
            "the search" if searched else "its best seed",
        )


def retrain_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row for each network and seed; a baseline has its name in the place of the trial."""
    names = ["seed", "epochs", "val_accuracy", "test_accuracy", "test_balanced_accuracy", "test_loss", "test_images"]
    names.append("test_calibration_error")
    rows: list[Row] = [["trial", "id", *names]]
    for network in [*document["networks"], *document["baselines"]]:
        named = [network.get("trial", network.get("baseline")), network["id"]]
        rows += [[*named, *(seed.get(name, "") for name in names)] for seed in network["seeds"]]
    return rows


def _print_next_steps(plan: _Plan, document: Mapping[str, Any], reason: str) -> None:
    if reason in CODES:
        sys.stderr.write("Stopped; the same command resumes\n")
        return
    folder = plan.reader.study.folder / FOLDER
    several = f"  {folder}/TRIAL/{TRIAL_FILE} of {len(plan.records)} networks"
    lines = [several if len(plan.records) > 1 else f"  {plan.subjects[0].folder / TRIAL_FILE}"]
    if document["baselines"]:
        lines.append(f"  {folder / BASELINES}/NAME/{TRIAL_FILE} of {len(document['baselines'])} baselines")
    export = f"nas export {plan.reader.study.overrides} pick="
    sys.stderr.write("\n".join(["Files:", *lines, final_front_text(document, export)]) + "\n")
