"""The example of docs/samplers.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import optuna

PAGE = Path(__file__).parents[3] / "docs" / "samplers.md"


def test_the_example_of_a_study_of_your_own_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(example.replace("n_trials=20", "n_trials=14"), str(PAGE), "exec"), names)
    study: optuna.Study = names["study"]
    assert len({tuple(trial.params.items()) for trial in study.trials}) == 14
    assert all(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.trials)
