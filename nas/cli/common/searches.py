"""Searches, run from a configuration until they end or a signal stops them."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial

from nas.cli.app.compose import read_yaml, yaml_text
from nas.cli.common.printing import print_document
from nas.cli.common.sending import send_report
from nas.cli.common.signals import CODES, stop_on_signals
from nas.cli.common.studies import study_overrides
from nas.cli.front import front_rows, print_front
from nas.config.commands import SearchConfig
from nas.jobs import EndReason
from nas.jobs.notice import showing
from nas.reports.tables import short_front_table
from nas.search.build import prepare
from nas.search.conduct import Conducted, conduct
from nas.search.made_with import default_name
from nas.study.folders import study_folder
from nas.study.summary import StudyReader
from nas.workers.local import start_loading

RESUMES = "The same command resumes the search where it stopped."
MORE = "The same command with a larger budget goes on, such as budget.trials=200."
GOING_ON: Mapping[str, str] = {
    EndReason.BUDGET: MORE,
    EndReason.MINUTES: "The same command with more budget.minutes goes on.",
    EndReason.CONVERGED: "The same command with a smaller budget.min_gain goes on.",
    EndReason.EXHAUSTED: "Every network of the space within the limits that the sampler finds has been trained.",
}
"""How a search that has ended goes on, by the reason of its end."""

NEXT = (
    ("status", "what was done"),
    ("front", "the whole front"),
    ("ui", "a page in the browser"),
    ("report", "the same as one HTML file"),
    ("retrain", "test accuracy, over seeds"),
    ("export", "files to ship"),
)
"""Commands for a study that has been searched, and their purpose."""


def run_search(config: SearchConfig, words: Sequence[str] = ("nas.api.search",)) -> Conducted:
    """Search until the budget is used up, or Ctrl-C or SIGTERM stops the search.

    Args:
        config: configuration of the search.
        words: the command, for the log of the study.

    Raises:
        ValueError: an invalid setting, or a study that was made with others.
    """
    with showing(f"nas search: reading data={config.data.slug}, checking the space"):
        plan = prepare(config)
    start_loading(config.workers)
    name = _default_name(config, plan.space.name) if config.study is None else config.study
    settings = yaml_text(json.loads(json.dumps(asdict(plan.config))))
    return conduct(plan, study_folder(name, config.outputs), settings, stop_on_signals, words)


def _default_name(config: SearchConfig, space: str) -> str:
    file = study_folder(f"{config.data.slug}-{space}", config.outputs) / "config.yaml"
    return default_name(config, space, read_yaml(file) if file.is_file() else {})


def search_and_print(config: SearchConfig) -> int:
    """Search, print the front and the files that were written, and return the exit code."""
    ended = run_search(config, ["nas search", shlex.join(sys.argv[1:])])
    document = StudyReader(ended.study).front_document()
    if config.format == "table" and sys.stdout.isatty():
        print_document(document, config.format, partial(short_front_table, axes=ended.study.axes), front_rows)
    else:
        print_front(document, config.format)
    sys.stderr.write("\n".join(_closing_lines(ended, config, len(document["front"]))) + "\n")
    send_report(ended.study)
    return CODES.get(ended.reason, 0)


def _closing_lines(ended: Conducted, config: SearchConfig, members: int) -> list[str]:
    """Return the files and what to do next, for standard error, as standard output may be a JSON document."""
    study = ended.study
    named = study.name if study_folder(study.name, config.outputs) == study.folder else str(study.folder)
    overrides = study_overrides(replace(config, study=named))
    lines = ["Files:", *(f"  {path}" for path in (study.location, *ended.files)), GOING_ON.get(ended.reason, RESUMES)]
    steps = NEXT if members else NEXT[:1]
    width = max(len(step) for step, _ in steps)
    commands = [f"nas {step:<{width}}  {overrides}" for step, _ in steps]
    column = max(map(len, commands))
    shown = [f"  {command:<{column}}   {purpose}" for command, (_, purpose) in zip(commands, steps, strict=True)]
    title = "Next, with pick=best, knee, front or a trial's number for the last two:" if members else "Next:"
    return [*lines, title, *shown]
