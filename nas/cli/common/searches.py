"""Searches, run from a configuration until they end or a signal stops them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from nas.cli.app.compose import read_yaml, yaml_text
from nas.cli.common.signals import CODES, stop_on_signals
from nas.cli.front import print_front
from nas.config.commands import SearchConfig
from nas.jobs.notice import showing
from nas.search.build import prepare
from nas.search.conduct import Conducted, conduct
from nas.search.made_with import default_name
from nas.study.folders import study_folder
from nas.study.summary import StudyReader
from nas.workers.local import start_loading


def run_search(config: SearchConfig) -> Conducted:
    """Search until the budget is used up, or Ctrl-C or SIGTERM stops the search.

    Raises:
        ValueError: an invalid setting, or a study that was made with others.
    """
    with showing(f"nas search: reading data={config.data.slug}, checking the space"):
        plan = prepare(config)
    start_loading(config.workers)
    name = _default_name(config, plan.space.name) if config.study is None else config.study
    settings = yaml_text(json.loads(json.dumps(asdict(plan.config))))
    return conduct(plan, study_folder(name, config.outputs), settings, stop_on_signals)


def _default_name(config: SearchConfig, space: str) -> str:
    file = study_folder(f"{config.data.slug}-{space}", config.outputs) / "config.yaml"
    return default_name(config, space, read_yaml(file) if file.is_file() else {})


def search_and_print(config: SearchConfig) -> int:
    """Search, print the front and the files that were written, and return the exit code."""
    ended = run_search(config)
    print_front(StudyReader(ended.study).front_document(), config.format)
    _print_files(ended)
    return CODES.get(ended.reason, 0)


def _print_files(ended: Conducted) -> None:
    """Print the files to standard error, as standard output may be a JSON document."""
    lines = [f"  {path}" for path in (ended.study.location, *ended.files)]
    sys.stderr.write("Files:\n" + "\n".join(lines) + f"\nSee nas status {ended.study.overrides}\n")
