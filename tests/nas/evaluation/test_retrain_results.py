"""Tests of retraining results: mean and deviation, the best seed, and the check of settings on a resume."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine import candidate
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
)

import nas
from nas.evaluation.measurement import calibration_error, measure
from nas.evaluation.retrain.files import (
    best_result,
    finished_result,
    seed_folder,
    seed_results,
    trial_folder,
    trial_results,
)
from nas.evaluation.retrain.results import check_settings, class_means, mean_and_sd, network_document
from nas.evaluation.retrain.task import Subject
from nas.jobs.files import read_json, write_json
from nas.study.study import StudyMismatchError
from nas.study.training_state import TrainingState
from nas.study.trial import Record


def seed(number: int, val: float, test: float) -> dict[str, Any]:
    scores = {"val_accuracy": val, "test_accuracy": test, "test_balanced_accuracy": test / 2, "test_loss": 0.5}
    return {"seed": number, "epochs": 3, "test_images": 20, **scores}


def leave(study: Path, *results: dict[str, Any]) -> Path:
    folder = trial_folder(study, 7)
    for result in results:
        seed_folder(folder, result["seed"]).mkdir(parents=True)
        write_json(seed_folder(folder, result["seed"]) / "result.json", result)
    return folder


def test_mean_and_spread() -> None:
    found = mean_and_sd([0.9, 0.92, 0.97])
    assert found == {"mean": pytest.approx(0.93), "sd": pytest.approx(math.sqrt(0.0026 / 2)), "n": 3}
    assert mean_and_sd([0.9]) == {"mean": 0.9, "sd": None, "n": 1}
    assert mean_and_sd([]) == {"mean": None, "sd": None, "n": 0}


def test_a_document_has_every_seed_and_the_spread_over_them(tmp_path: Path) -> None:
    folder = leave(tmp_path, seed(10, 0.8, 0.7), seed(2, 0.6, 0.9))
    record = Record(7, "complete", candidate(7), (), TrainingState(), {"val_accuracy": 0.5}, None)
    document = network_document(
        Subject.of_trial(record, tmp_path).facts, {"training": {"epochs": 3}}, seed_results(folder)
    )
    assert [found["seed"] for found in document["seeds"]] == [2, 10]
    assert document["test_accuracy"] == {"mean": pytest.approx(0.8), "sd": pytest.approx(math.sqrt(0.02)), "n": 2}
    assert document["test_balanced_accuracy"]["mean"] == pytest.approx(0.4)
    assert (document["trial"], document["id"], document["training"]) == (7, "id7", {"epochs": 3})


def test_scores_of_a_class_are_means_over_the_seeds_that_have_them() -> None:
    first = {"test_classes": [{"precision": 0.5, "recall": 0.25, "n": 4}, {"precision": None, "recall": 1.0, "n": 6}]}
    second = {"test_classes": [{"precision": 1.0, "recall": 0.75, "n": 4}, {"precision": 0.5, "recall": 0.5, "n": 6}]}
    old = {"test_accuracy": 0.5}
    assert class_means([first, second, old], ("cat", "dog")) == [
        {"name": "cat", "precision": 0.75, "recall": 0.5, "n": 4},
        {"name": "dog", "precision": 0.5, "recall": 0.75, "n": 6},
    ]
    assert class_means([old], ("cat",)) == [{"name": "cat", "precision": None, "recall": None, "n": None}]


def test_without_validation_accuracies_the_first_seed_is_taken(tmp_path: Path) -> None:
    found = [{key: value for key, value in seed(n, 0.5, 0.9 - n / 10).items() if key != "val_accuracy"} for n in (2, 1)]
    folder = leave(tmp_path, *(each | {"train_on": "train+validation"} for each in found))
    results = seed_results(folder)
    assert [best_result(results), len(results)] == [results[0], 2]
    assert results[0]["seed"] == 1
    write_json(folder / "seed1" / "result.json", found[1])
    assert [each["seed"] for each in seed_results(folder)] == [2]  # one that was trained on the training part has it


def test_validation_chooses_the_seed_and_never_the_test(tmp_path: Path) -> None:
    assert best_result(seed_results(trial_folder(tmp_path, 7))) is None
    folder = leave(tmp_path, seed(0, 0.7, 0.99), seed(1, 0.8, 0.1), seed(2, 0.8, 0.5))
    assert best_result(seed_results(folder)) == seed(1, 0.8, 0.1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("seed", 1, "seed must be that of the folder seed0, got 1"),
        ("seed", True, "seed must be a whole number of at least 0, got True"),
        ("val_accuracy", math.nan, "val_accuracy must be a number of at least 0 and at most 1, got nan"),
        ("test_accuracy", 7, "test_accuracy must be a number of at least 0 and at most 1, got 7"),
        ("test_accuracy", "0.9", "test_accuracy must be a number of at least 0 and at most 1, got '0.9'"),
        ("test_loss", [], r"test_loss must be a number of at least 0, got \[\]"),
        ("epochs", None, "epochs must be a whole number of at least 0, got None"),
        ("test_images", 10**30, "test_images must be a whole number of at least 0, got 1000"),
    ],
)
def test_a_damaged_result_is_named_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, value: Any, message: str
) -> None:
    folder = leave(tmp_path, seed(0, 0.9, 0.9), seed(1, 0.8, 0.8))
    write_json(folder / "seed0" / "result.json", seed(0, 0.9, 0.9) | {name: value})
    assert [found["seed"] for found in seed_results(folder)] == [1]
    (line,) = caplog.messages
    assert re.search(rf"left out, .*seed0/result\.json is damaged: {message}", line)
    assert finished_result(folder / "seed0") is None


def test_a_damaged_result_of_a_trial_is_named_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record = Record(7, "complete", candidate(7), (), TrainingState(), {"val_accuracy": 0.5}, None)
    good = network_document(Subject.of_trial(record, tmp_path).facts, {"training": {"epochs": 3}}, [seed(0, 0.9, 0.8)])
    path = trial_folder(tmp_path, 7) / "result.json"
    path.parent.mkdir(parents=True)
    write_json(path, good)
    assert trial_results(tmp_path) == [good]
    damages = ({}, good | {"trial": 8}, good | {"costs": 3}, good | {"test_accuracy": {"n": 1, "mean": 7, "sd": 0}})
    for damaged in (*damages, good | {"training": {}}, good | {"summary": None}, good | {"values": [1]}):
        write_json(path, damaged)
        assert trial_results(tmp_path) == []
    path.write_text("[")
    assert trial_results(tmp_path) == []
    assert len(caplog.messages) == 8
    assert all("result.json" in line for line in caplog.messages)


def test_a_retraining_goes_on_with_what_it_was_begun_with(tmp_path: Path) -> None:
    settings = {"training": {"epochs": 3, "ema_decay": None}, "data": {"train_fraction": 0.5, "content": "abc"}}
    check_settings(tmp_path, settings)
    write_json(tmp_path / "result.json", {"trial": 7, **settings})
    check_settings(tmp_path, settings)
    message = r"data.train_fraction is 0.5 there and 1.0 here; training.epochs is 3 there and 9 here. replace=true"
    with pytest.raises(StudyMismatchError, match=message):
        check_settings(
            tmp_path, {"training": {"epochs": 9, "ema_decay": None}, "data": {"train_fraction": 1.0, "content": "abc"}}
        )
    with pytest.raises(StudyMismatchError, match=r'train_on is "train" there and "train\+validation" here'):
        check_settings(tmp_path, {**settings, "train_on": "train+validation"})


def test_a_file_that_holds_something_else_is_named(tmp_path: Path) -> None:
    assert read_json(tmp_path / "none.json") is None
    for text in ("{", "[1, 2]", "3"):
        (tmp_path / "result.json").write_text(text)
        with pytest.raises(ValueError, match=r"result\.json must hold a JSON object"):
            read_json(tmp_path / "result.json")


def test_the_test_part_is_read_after_a_search_and_for_tables_alone() -> None:
    package = Path(nas.__file__).parent
    readers = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "load_test" in path.read_text(encoding="utf-8")
    }
    outside = {name for name in readers if not name.startswith("data/")}
    assert outside == {"evaluation/retrain/runner.py", "exports/evaluation.py", "tabular/tabulate/runner.py"}


def test_the_test_scores_equal_those_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(57, 4, generator=generator)
    labels = torch.randint(0, 3, (57,), generator=generator)  # the last class never occurs
    batches = [
        (part[:, :, None, None], target) for part, target in zip(logits.split(20), labels.split(20), strict=True)
    ]
    found = measure(torch.nn.Flatten().eval(), batches)
    predicted = logits.argmax(1)
    per_class = precision_recall_fscore_support(labels, predicted, labels=range(4), zero_division=np.nan)

    def share(value: float) -> Any:
        return None if math.isnan(value) else pytest.approx(value)

    assert found == {
        "test_accuracy": pytest.approx(accuracy_score(labels, predicted)),
        "test_balanced_accuracy": pytest.approx(
            sum(float((predicted[labels == c] == c).float().mean()) for c in range(3)) / 3
        ),
        "test_loss": pytest.approx(log_loss(labels, logits.double().softmax(1), labels=[0, 1, 2, 3]), abs=1e-6),
        "test_images": 57,
        "test_calibration_error": calibration_error(logits, labels),
        "test_classes": [
            {"precision": share(precision), "recall": share(recall), "n": n}
            for precision, recall, n in zip(*per_class[:2], per_class[3].tolist(), strict=True)
        ],
        "test_confusion": confusion_matrix(labels, predicted, labels=range(4)).tolist(),
    }
    whole = predicted < 3
    assert whole.sum() < 57
    both = measure(torch.nn.Flatten().eval(), [(logits[whole][:, :, None, None], labels[whole])])
    expected = balanced_accuracy_score(labels[whole], predicted[whole])
    assert both["test_balanced_accuracy"] == pytest.approx(expected)
