"""`nas search`: run a search, or resume it."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict, replace
from pathlib import Path

from nas.cli.app.compose import yaml_text
from nas.cli.common.signals import CODES, stop_on_signals
from nas.cli.common.studies import study_folder
from nas.cli.front import print_front
from nas.config.commands import SearchConfig
from nas.jobs.files import write_json, write_text
from nas.objectives.limits import Limits, reach
from nas.objectives.values import costs_known
from nas.reports.console import observer_for
from nas.reports.figures import draw_front
from nas.search.build import assemble, environment, open_or_create, prepare, tracker_of
from nas.search.executors import resolved_data
from nas.search.strategy import starts_of
from nas.search.threads import thinking_alone
from nas.study.storage.factory import locked_store
from nas.study.study import Study
from nas.study.summary import StudyReader

log = logging.getLogger(__name__)


def run(config: SearchConfig) -> int:
    """Search until the budget is used up, then print the front and the files that were written.

    Returns:
        0, or 130 after Ctrl-C and 143 after SIGTERM; the same command resumes.
    """
    study, reason, left = conduct(config)
    print_front(StudyReader(study).front_document(), config.format)
    _print_files(study, left)
    return CODES.get(reason, 0)


def conduct(config: SearchConfig) -> tuple[Study, str, list[Path]]:
    """Search until the budget is used up, or the search is stopped.

    Returns:
        The study, the reason that the search ended, and the files that it wrote beside the study.
    """
    info, space = prepare(config)
    name = f"{config.data.slug}-{space.name}" if config.study is None else config.study
    folder = study_folder(name, config.outputs)
    with locked_store(folder, config.storage.kind) as store:
        study = open_or_create(folder, config, info, space, store)
        _write_circumstances(study, config)
        with tracker_of(config, study) as tracker:
            for start, projection in starts_of(config.start, space).items():
                log.info("start %s: widths × %.3g, at distance %.2f", start, projection.multiplier, projection.distance)
            if (reached := reach(space, Limits(**config.limits), costs_known(config.objective))) is not None:
                log.info("%s", reached)
            settled = replace(config, data=resolved_data(config.data, info, config.workers))
            search = assemble(settled, study, space, [observer_for(sys.stderr), tracker])
            with stop_on_signals(search), thinking_alone():
                reason = search.run()
            left = _write_results(study)
    return study, reason, left


def _write_circumstances(study: Study, config: SearchConfig) -> None:
    """Write settings and environment to files, and to the study for readers without its folder."""
    settings, machine = json.loads(json.dumps(asdict(config))), environment()
    write_text(study.folder / "config.yaml", yaml_text(settings))
    write_json(study.folder / "environment.json", machine)
    study.set_attribute("config", settings)
    study.set_attribute("environment", machine)


def _write_results(study: Study) -> list[Path]:
    reader = StudyReader(study)
    front, picture = study.folder / "front.json", study.folder / "front.png"
    write_json(front, reader.front_document())
    draw_front(reader.records, study.axes, study.name, picture)
    return [front, picture]


def _print_files(study: Study, paths: list[Path]) -> None:
    """Print the files to standard error, as standard output may be a JSON document."""
    lines = [f"  {path}" for path in (study.kept, *paths)]
    sys.stderr.write("Files:\n" + "\n".join(lines) + f"\nSee nas status {study.words}\n")
