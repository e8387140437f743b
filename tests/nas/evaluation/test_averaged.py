"""Choice between the averaged and the last weights of a trained network."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from nas.config.training import Recipe
from nas.data import DataSpec, evaluation_loader, load
from nas.evaluation.averaged import better_weights, clearly_worse
from nas.evaluation.retrain.results import average_line
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Epoch, Job, Outcome
from nas.study.study import open_study
from nas.training import checkpoint as checkpoints

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "studies"
LONG = Recipe(epochs=8, learning_rate=0.2, schedule="cosine", warmup=0.05, label_smoothing=0.1, ema_decay=0.995)


class Quiet:
    """Control that neither listens nor stops."""

    def epoch_done(self, row: Epoch) -> None:
        pass

    def should_stop(self) -> bool:
        return False


@pytest.fixture(scope="module")
def architecture() -> dict[str, Any]:
    return dict(open_study(GOLDEN / "repeated").records()[0].candidate.architecture)


def trained(architecture: dict[str, Any], recipe: Recipe, folder: Path) -> Outcome:
    job = Job(0, 1, architecture, 3, 0, recipe.epochs, folder)
    outcome = TrialRunner(DataSpec(crop_padding=1), recipe, threads=1, accelerator="cpu")(job, Quiet())
    assert outcome.failure is None
    return outcome


@pytest.fixture(scope="module")
def outcome(architecture: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return trained(architecture, LONG, tmp_path_factory.mktemp("long"))


def validation() -> Any:
    return partial(evaluation_loader, load(DataSpec(crop_padding=1)), 256)


def test_eight_epochs_with_an_average_reach_nearly_what_they_reach_without(
    architecture: dict[str, Any], outcome: Outcome, tmp_path: Path
) -> None:
    plain = trained(architecture, replace(LONG, ema_decay=None), tmp_path)
    assert plain.curve[-1].val_accuracy > 0.8
    assert outcome.curve[-1].val_accuracy > plain.curve[-1].val_accuracy - 0.03
    assert outcome.checkpoint is not None
    found = better_weights(outcome.checkpoint, architecture, validation())
    assert (found.trained.averaged, found.scores) == (True, {})


def test_an_average_that_is_clearly_worse_is_not_handed_over(
    architecture: dict[str, Any], outcome: Outcome, tmp_path: Path
) -> None:
    assert outcome.checkpoint is not None
    stored = checkpoints.load(outcome.checkpoint, {})
    assert stored.state.average is not None
    spoilt = {name: torch.zeros_like(tensor) for name, tensor in stored.state.average.items()}
    path = checkpoints.save(replace(stored, state=replace(stored.state, average=spoilt)), tmp_path, 1)
    found = better_weights(path, architecture, validation())
    assert not found.trained.averaged
    state = found.trained.network.state_dict()
    assert all(state[name].equal(tensor) for name, tensor in stored.state.network.items())
    assert found.scores["val_accuracy"] > 0.8
    assert found.scores["val_accuracy_of_average"] < 0.2
    line = average_line("trial 3", found.scores)
    assert line is not None
    assert line.startswith("trial 3: the averaged weights reach a validation accuracy of 0.")
    assert average_line("trial 3", {"val_accuracy": 0.9}) is None


def test_a_network_without_an_average_is_taken_as_it_is(architecture: dict[str, Any], tmp_path: Path) -> None:
    plain = trained(architecture, replace(LONG, ema_decay=None, epochs=1), tmp_path)
    assert plain.checkpoint is not None

    def never() -> Any:
        raise AssertionError("there is nothing to compare")

    assert not better_weights(plain.checkpoint, architecture, never).trained.averaged


@pytest.mark.parametrize(
    ("lost", "gained", "worse"), [(9, 0, False), (10, 0, True), (0, 50, False), (40, 18, False), (40, 17, True)]
)
def test_three_standard_errors_tell_two_classifiers_apart(lost: int, gained: int, *, worse: bool) -> None:
    right = torch.tensor([False] * lost + [True] * gained + [True, False] * 30)
    other = torch.tensor([True] * lost + [False] * gained + [True, False] * 30)
    assert clearly_worse(right, other) is worse
    assert clearly_worse(right, right) is False
