"""Conduct of a whole search: configuration to study, tracker, driver and result files."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from nas.config.commands import SearchConfig
from nas.data import announce
from nas.jobs import EndReason
from nas.jobs.energy import counted, stored_energy
from nas.jobs.files import write_json, write_text
from nas.jobs.notice import showing
from nas.objectives.limits import reach
from nas.reports.console import observer_for
from nas.reports.live_file import LiveFile
from nas.reports.search_log import SearchLog
from nas.search.build import SearchPlan, assemble, open_or_create
from nas.search.driver import Search
from nas.search.environment import environment
from nas.search.made_with import check_made_with
from nas.search.threads import single_threaded_blas
from nas.study.overview import END, ENERGY, START_WEIGHTS
from nas.study.storage.factory import locked_store
from nas.study.study import Study
from nas.study.summary import StudyReader
from nas.tracking.tracker import Tracker, open_tracker

UNTRACKED = ("outputs", "format", "storage", "tracking")
"""Settings that a tracker does not get: places and credentials."""

UNTIMED = "the time left is shown after the first trials; nas estimate with the same settings tells it beforehand"
"""Line of a new search whose budget is no time."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Conducted:
    """A search that has ended.

    Attributes:
        study: its study.
        reason: reason for its end.
        files: files that it wrote beside the study.
    """

    study: Study
    reason: EndReason
    files: tuple[Path, ...]


def conduct(
    plan: SearchPlan,
    folder: Path,
    settings: str,
    stop_on_signals: Callable[[Search], AbstractContextManager[None]],
    words: Sequence[str] = (),
) -> Conducted:
    """Run a search until its budget is used up, or until it is stopped.

    Args:
        plan: the search.
        folder: folder of the study.
        settings: the configuration as YAML, for the study's folder.
        stop_on_signals: context in which the search runs, which stops it on signals.
        words: the command line, for the log of the study.

    Raises:
        ValueError: the study is driven by another process, or was made with other settings.
    """
    config = plan.config
    with locked_store(folder, config.storage.kind) as store:
        with showing("nas search: opening the study"):
            study = open_or_create(folder, plan, store)
            check_made_with(study, config)
            is_new = study.attribute("config") is None
            _write_settings(study, config, settings)
            study.set_attribute("validation_images", plan.images.validation)
            study.set_attribute(END, None)
            _note_start_weights(study, plan)
        with SearchLog(study.folder, words) as written, _tracker(config, study) as tracker:
            _log_plan(plan)
            if is_new and config.budget.minutes is None:
                log.info("%s", UNTIMED)
            with showing("nas search: reading its trials"):
                search = assemble(plan, study, [observer_for(sys.stderr), LiveFile(study.folder), written, tracker])
            with _energy_stored(study), stop_on_signals(search), single_threaded_blas():
                reason = search.run()
            study.set_attribute(END, str(reason))
            files = _write_results(study)
    return Conducted(study, reason, files)


@contextmanager
def _energy_stored(study: Study) -> Iterator[None]:
    """Add the energy that the machine takes in the block to that of the study."""
    with counted() as energy:
        yield
    study.set_attribute(ENERGY, stored_energy(study.attribute(ENERGY), energy))


def _note_start_weights(study: Study, plan: SearchPlan) -> None:
    """Store the file of weights that all trainings start from, and the shares that the starts inherit.

    A search that is resumed without its starts leaves their shares as they are.
    """
    recipe = plan.config.training
    if recipe.weights is None or (not plan.shares and study.attribute(START_WEIGHTS) is not None):
        return
    told = {"file": Path(recipe.weights).name, "sha256": recipe.weights_sha256, "shares": dict(plan.shares)}
    study.set_attribute(START_WEIGHTS, told)


def _log_plan(plan: SearchPlan) -> None:
    intent, given = plan.space.intent, plan.space.input
    if intent is not None and not intent.suits(given):
        log.warning("space %s is meant for images of %s, these are %s", plan.space.name, intent.input, given)
    announce(plan.images)
    for start, projection in plan.built.starts.items():
        log.info("start %s: widths × %.3g, at distance %.2f", start, projection.multiplier, projection.distance)
        if start in plan.shares:
            log.info(
                "start %s: %.1f %% of the parameters begin as those of %s",
                start, 100 * plan.shares[start], plan.config.training.weights,
            )  # fmt: skip
    if (reached := reach(plan.space, plan.built.requirements.limits, plan.built.requirements.costs)) is not None:
        log.info("%s", reached)


def _tracker(config: SearchConfig, study: Study) -> Tracker:
    tracked = {name: value for name, value in asdict(config).items() if name not in UNTRACKED}
    with showing(f"nas search: starting tracking={config.tracking.name}"):
        return open_tracker(config.tracking, study, {**tracked, "environment": environment()})


def _write_settings(study: Study, config: SearchConfig, text: str) -> None:
    """Write settings and environment to files, and to the study for readers without its folder."""
    machine = environment()
    write_text(study.folder / "config.yaml", text)
    write_json(study.folder / "environment.json", machine)
    study.set_attribute("config", json.loads(json.dumps(asdict(config))))
    study.set_attribute("environment", machine)


def _write_results(study: Study) -> tuple[Path, ...]:
    from nas.reports.figures import draw_front  # noqa: PLC0415 - matplotlib is not needed before

    reader = StudyReader(study)
    front, picture = study.folder / "front.json", study.folder / "front.png"
    write_json(front, reader.front_document())
    draw_front(reader.records, study.believer, study.name, picture)
    return front, picture
