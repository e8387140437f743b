"""Networks over the limits of the latest search, or of a command, leave front, hypervolume and picks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from engine import AXES, TWO, candidate, curve, fingerprint

from nas.cli.app.entry import main
from nas.objectives.limits import Limits
from nas.reports.document import assess
from nas.study.belief import Believer
from nas.study.selection import pick_records
from nas.study.study import Study, create_study
from nas.study.summary import open_for_reading
from nas.study.training_state import TrainingState

TRIALS = [(0.5, 1e3, 40), (0.7, 1e4, 50), (0.9, 1e5, 60), (0.6, 2e4, 45)]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Three trials on the front, whose parameters grow with their accuracy, and one that the second dominates."""
    (tmp_path / "mine").mkdir()
    made = create_study(tmp_path / "mine", fingerprint())
    for number, (accuracy, macs, params) in enumerate(TRIALS):
        made.add(candidate(number, costs={"params": params, "macs": macs, "memory_mib": 0.5}))
        made.store_training(number, curve(2, accuracy), TrainingState(attempt=1, clock=1.0 + number))
        made.tell(number, {"val_accuracy": accuracy, "macs": macs})
    return made


def searched_again(study: Study, **limits: float | None) -> None:
    """What a resumed search with these limits leaves in the study before its first trial."""
    study.set_attribute("config", {"limits": limits})


def fronted(study: Study) -> list[int]:
    return [member["trial"] for member in open_for_reading(study.folder).front_document()["front"]]


def test_the_limits_of_the_latest_search_hold_for_earlier_trials(study: Study) -> None:
    assert fronted(study) == [0, 1, 2]
    whole = open_for_reading(study.folder).status_document()
    searched_again(study, max_params=50)
    reader = open_for_reading(study.folder)
    status = reader.status_document()
    assert [member.number for member in reader.front] == [0, 1]
    assert (status["front"], status["trials"]["complete"]) == (2, 4)
    assert status["hypervolume"] < whole["hypervolume"]
    # Losses of trials 0 and 1: accuracy (1 - a) / 0.9, MACs log10(macs / 1000) / 3.
    first, second = (1 - 0.5 / 0.9) * 1.0, (1 - 0.3 / 0.9) * (2 / 3)
    assert status["hypervolume"] == pytest.approx(first + second - (1 - 0.5 / 0.9) * (2 / 3))


def test_a_network_that_only_larger_ones_dominated_comes_to_the_front(study: Study) -> None:
    searched_again(study, max_params=45)
    assert fronted(study) == [0, 3]


def test_looser_limits_bring_the_networks_back(study: Study) -> None:
    searched_again(study, max_params=50)
    searched_again(study, max_params=None)
    assert fronted(study) == [0, 1, 2]


def test_limits_of_the_command_add_to_those_of_the_study(study: Study) -> None:
    searched_again(study, max_params=50)
    reader = open_for_reading(study.folder)
    reader.limit(Limits(max_params=55, max_macs=5e3))
    assert [item["trial"] for item in reader.front_document()["front"]] == [0]
    with pytest.raises(ValueError, match=r"limits must be of .*, got 'max_parms'; did you mean max_params\?"):
        reader.limit(Limits(max_parms=5))


def test_nas_front_takes_limits(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["front", f"study={study.folder}", "format=csv", "limits.max_params=50"]) == 0
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == ["trial", "0", "1"]


def test_picks_are_within_the_limits_of_the_study(study: Study) -> None:
    searched_again(study, max_params=50)
    reader = open_for_reading(study.folder)
    believer = reader.study.believer

    def picked(pick: str, **limits: float) -> list[int]:
        return [record.number for record in pick_records(reader.records, believer, pick, Limits(**limits))]

    assert picked("best") == [1]
    assert picked("front") == [0, 1]
    assert picked("best", max_macs=5e3) == [0]
    assert picked("2") == [2]  # a number is an explicit wish
    with pytest.raises(ValueError, match=r"none of 4 meets them; nearest is trial 0: its params 40 exceeds"):
        picked("best", max_params=30)


def test_the_report_shows_the_front_and_progress_within_the_limits(study: Study) -> None:
    searched_again(study, max_params=50)
    reader = open_for_reading(study.folder)
    found = assess(reader.records, reader.study.believer, "val_accuracy")
    assert found.front == (0, 1)
    assert found.progress["values"][1:] == [found.progress["values"][1]] * 2  # the middle one is left out


def test_what_further_results_may_bring_to_either_front_keeps_its_checkpoints(study: Study) -> None:
    records = study.records()
    limited = Believer([AXES[name] for name in TWO], {"macs": "macs"}, None, limits=Limits(max_params=45))
    assert limited.contenders(records) == {0, 1, 2, 3}
    assert np.isnan(limited.losses(records)).any(axis=1).tolist() == [False, True, True, False]


def test_damaged_limits_count_as_none(study: Study) -> None:
    study.set_attribute("config", {"limits": {"max_params": -3}})
    assert fronted(study) == [0, 1, 2]
