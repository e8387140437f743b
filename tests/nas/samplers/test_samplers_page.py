"""The example of docs/samplers.md runs, and the files that the page names exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import optuna

PAGE = Path(__file__).parents[3] / "docs" / "samplers.md"


def test_the_files_that_the_page_names_exist() -> None:
    table = PAGE.read_text(encoding="utf-8").split("| file | holds |")[1].split("\n\n")[0]
    names = re.findall(r"^\| `(\S+)` \|", table, re.MULTILINE)
    root = PAGE.parents[1]
    assert len(names) == 7
    assert all((root / name if "/" in name else root / "nas/samplers/known_cost" / name).is_file() for name in names)


def test_the_examples_of_a_study_of_your_own_run() -> None:
    whole, partial = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(whole.replace("n_trials=20", "n_trials=14"), str(PAGE), "exec"), names)
    study: optuna.Study = names["study"]
    assert len({tuple(trial.params.items()) for trial in study.trials}) == 14
    assert all(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.trials)
    exec(compile(partial.replace("trials=20", "trials=14"), str(PAGE), "exec"), names)
    states = [trial.state.name for trial in names["study"].trials]
    assert len(states) == 14
    assert "COMPLETE" in states
    assert set(states) <= {"COMPLETE", "PRUNED"}
