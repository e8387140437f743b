"""The documents of a front and of a study's state, in the shapes that other people's scripts read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from engine import candidate, curve, fingerprint

from nas.jobs import Failure
from nas.study.storage.folder_lock import FolderLock
from nas.study.study import Study, create_study
from nas.study.summary import open_for_reading
from nas.study.training_state import TrainingState


def complete(study: Study, number: int, accuracy: float, macs: float) -> None:
    """A complete trial whose other costs follow from its number."""
    skipped = {"rejected": number, "duplicates": 1}
    costs = {"params": 10 * number + 10, "macs": macs, "memory_mib": 0.5}
    assert study.add(candidate(2 * number, costs=costs, skipped=skipped)) == number
    study.store_training(number, curve(2, accuracy), TrainingState(attempt=1, clock=10.0 * (number + 1)))
    study.tell(number, {"val_accuracy": accuracy, "macs": macs})


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Four complete trials of which one is dominated, two failed, one pruned, one frozen, one running."""
    (tmp_path / "mine").mkdir()
    made = create_study(tmp_path / "mine", fingerprint())
    for number, (accuracy, macs) in enumerate([(0.9, 1e5), (0.5, 1e4), (0.4, 5e4), (0.9, 2e5)]):
        complete(made, number, accuracy, macs)
    for number in range(4, 9):
        made.add(candidate(2 * number))
    made.fail(4, Failure("nan", "no number"))
    made.fail(5, Failure("died", "gone"))
    made.prune(6)
    made.store_training(7, curve(1), TrainingState(attempt=1, frozen=True, clock=77.0))
    made.set_attribute("budget", {"trials": 20, "minutes": None})
    return made


def test_the_front_document_has_the_agreed_shape(study: Study) -> None:
    document = open_for_reading(study.folder).front_document()
    assert document == {
        "study": "mine",
        "objectives": ["val_accuracy", "macs"],
        "front": [
            {
                "trial": 1,
                "id": "id2",
                "architecture": {"stem": {"width": 8}, "number": 2},
                "summary": "3:8 [2]",
                "values": {"val_accuracy": 0.5, "macs": 1e4},
                "costs": {"params": 20, "macs": 1e4, "memory_mib": 0.5},
            },
            {
                "trial": 0,
                "id": "id0",
                "architecture": {"stem": {"width": 8}, "number": 0},
                "summary": "3:8 [0]",
                "values": {"val_accuracy": 0.9, "macs": 1e5},
                "costs": {"params": 10, "macs": 1e5, "memory_mib": 0.5},
            },
        ],
    }
    assert json.loads(json.dumps(document)) == document


def test_the_status_document_has_the_agreed_shape(study: Study) -> None:
    with FolderLock(study.folder):
        document = open_for_reading(study.folder).status_document()
    # Losses: accuracy (1 - a) / 0.9, MACs log10(macs / 1000) / 3.
    small, large = (1 - (1 - 0.5) / 0.9) * (1 - 1 / 3), (1 - (1 - 0.9) / 0.9) * (1 - 2 / 3)
    overlap = (1 - (1 - 0.5) / 0.9) * (1 - 2 / 3)
    assert document.pop("hypervolume") == pytest.approx(small + large - overlap)
    assert document == {
        "study": "mine",
        "driven": True,
        "trials": {
            "complete": 4,
            "pruned": 1,
            "failed": 2,
            "running": 1,
            "frozen": 1,
            "rejected": 6,
            "duplicates": 4,
        },
        "failures": {"died": 1, "nan": 1},
        "retries": {},
        "front": 2,
        "seconds": 9.0,
        "clock_seconds": 77.0,
        "budget": {"trials": 20, "minutes": None},
    }


def test_without_a_driver_nothing_runs(study: Study) -> None:
    document = open_for_reading(study.folder).status_document()
    assert not document["driven"]
    assert (document["trials"]["running"], document["trials"]["frozen"]) == (0, 2)


def test_asks_after_the_last_trial_are_counted_until_a_trial_follows(study: Study) -> None:
    study.set_attribute("tail", {"asks": 20, "skipped": {"rejected": 100, "duplicates": 3}, "rejected": []})
    trials = open_for_reading(study.folder).status_document()["trials"]
    assert (trials["rejected"], trials["duplicates"]) == (106, 7)
    study.add(candidate(19, skipped={"rejected": 100, "duplicates": 2}))
    trials = open_for_reading(study.folder).status_document()["trials"]
    assert (trials["rejected"], trials["duplicates"]) == (106, 6)


def test_an_empty_study_has_documents_too(tmp_path: Path) -> None:
    create_study(tmp_path, fingerprint(("val_accuracy",)))
    reader = open_for_reading(tmp_path)
    assert reader.front_document() == {"study": tmp_path.name, "objectives": ["val_accuracy"], "front": []}
    status = reader.status_document()
    assert set(status["trials"].values()) == {0}
    assert (status["hypervolume"], status["seconds"], status["clock_seconds"], status["failures"]) == (0.0, 0, 0.0, {})


def test_a_trial_is_found_by_its_number(study: Study) -> None:
    reader = open_for_reading(study.folder)
    assert reader.record(3).candidate.architecture == {"stem": {"width": 8}, "number": 6}
    for number in (-1, 9):
        with pytest.raises(ValueError, match=f"a trial must be one of the 9 in mine, got {number}"):
            reader.record(number)
