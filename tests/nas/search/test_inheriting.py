"""Networks that really start from the weights of others: jobs, whole searches over digits, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nas.cli import main
from nas.cli.app.compose import compose
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Epoch, Job, Parent
from nas.search import build
from nas.search.driver import Search
from nas.study.study import Study, open_study
from nas.training.checkpoint import load
from search_space.architecture import Architecture, Block, Branch, Stage, Stem
from search_space.graph import Shape
from search_space.inheritance import inherit
from search_space.lowering import lower
from search_space.network import build as build_module

EPOCHS = 3
WORDS = [
    f"training.epochs={EPOCHS}", "data.train_fraction=0.1", "workers.slots=1", "workers.keep=all", "tracking=none",
    "sampler=random", "fidelity=inherit", "fidelity.options.changes=40",
]  # fmt: skip


def network(width: int) -> Architecture:
    block = Block("inception", (Branch("k1", width), Branch("k3", 8)))
    return Architecture(Shape(1, 8, 8), 10, Stem(8), (Stage((block,)),), 0.0)


class Recorder:
    in_step = True

    def __init__(self, stop_after: int | None = None) -> None:
        self.rows: list[Epoch] = []
        self.stop_after = stop_after

    def epoch_done(self, row: Epoch) -> None:
        self.rows.append(row)

    def should_stop(self) -> bool:
        return len(self.rows) == self.stop_after


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache-of-inheriting"))


@pytest.fixture
def runner() -> TrialRunner:
    config: Any = compose("search", WORDS)
    return TrialRunner(config.data, config.training, threads=1, accelerator="cpu")


@pytest.fixture
def heir(runner: TrialRunner, tmp_path: Path) -> Job:
    """A job of a network that is wider than its trained parent."""
    before = Job(0, 1, network(4).to_json(), 1, 0, EPOCHS, tmp_path / "parent")
    outcome = runner(before, Recorder())
    assert outcome.checkpoint is not None
    parent = Parent(0, before.architecture, outcome.checkpoint, 1)
    return Job(1, 1, network(8).to_json(), 2, 0, EPOCHS - 1, tmp_path / "heir", parent=parent)


def numbers(curve: Any) -> list[dict[str, float]]:
    return [{key: value for key, value in row.to_json().items() if key != "seconds"} for row in curve]


def test_an_heir_goes_on_where_its_parent_stood(runner: TrialRunner, heir: Job, tmp_path: Path) -> None:
    outcome = runner(heir, Recorder())
    assert outcome.failure is None
    assert [row.epoch for row in outcome.curve] == [1, 2]
    fresh = runner(replace(heir, parent=None, folder=tmp_path / "fresh"), Recorder())
    assert outcome.curve[0].train_loss < fresh.curve[0].train_loss


def test_its_first_step_is_at_the_rate_and_from_the_weights_that_belong_there(
    runner: TrialRunner, heir: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[dict[str, torch.Tensor], int, float]] = []

    def look(self: Any) -> None:
        state = {key: tensor.clone() for key, tensor in self.network.state_dict().items()}
        begun.append((state, self.horizon.first_step, self.optimizers().param_groups[0]["lr"]))

    monkeypatch.setattr("nas.training.module.Classifier.on_fit_start", lambda _: None)
    monkeypatch.setattr("nas.training.module.Classifier.on_train_start", look)
    runner(heir, Recorder(stop_after=1))
    assert heir.parent is not None
    learned = load(heir.parent.checkpoint, {}).state.network
    torch.manual_seed(heir.seed)
    after = lower(network(8))
    wanted = inherit(lower(network(4)), learned, after, build_module(after).state_dict())
    (state, step, rate), steps = begun[0], len(runner.load([heir.seed])[0].train_loader)
    assert step == steps  # one epoch is spared
    assert rate > 0.5 * runner.recipe.learning_rate
    assert all(torch.equal(state[key], tensor) for key, tensor in wanted.state.items())


def test_an_heir_in_pieces_ends_bit_for_bit_like_an_unbroken_one(
    runner: TrialRunner, heir: Job, tmp_path: Path
) -> None:
    whole = runner(replace(heir, folder=tmp_path / "whole"), Recorder())
    first = runner(heir, Recorder(stop_after=1))
    assert first.checkpoint is not None
    assert heir.parent is not None
    heir.parent.checkpoint.unlink()  # it is not needed any more
    second = runner(replace(heir, attempt=2, from_epoch=1, checkpoint=first.checkpoint), Recorder())
    assert whole.checkpoint is not None
    assert second.checkpoint is not None
    assert numbers(second.curve) == numbers(whole.curve)
    left, right = load(whole.checkpoint, {}), load(second.checkpoint, {})
    assert all(torch.equal(value, right.state.network[key]) for key, value in left.state.network.items())


@pytest.mark.parametrize("broken", [True, False])
def test_a_parent_that_is_broken_or_gone_fails_the_job_by_that_kind(
    runner: TrialRunner, heir: Job, broken: bool
) -> None:
    assert heir.parent is not None
    heir.parent.checkpoint.write_bytes(b"no archive") if broken else heir.parent.checkpoint.unlink()
    outcome = runner(heir, Recorder())
    assert outcome.failure is not None
    assert outcome.failure.kind == "parent"
    assert "a checkpoint must be a readable file" in outcome.failure.message


def test_a_checkpoint_of_an_heir_is_no_other_trainings(runner: TrialRunner, heir: Job) -> None:
    first = runner(heir, Recorder(stop_after=1))
    other = runner(replace(heir, parent=None, from_epoch=1, checkpoint=first.checkpoint), Recorder())
    assert other.failure is not None
    assert "parent differs" in other.failure.message


def search_in(folder: Path, trials: int) -> tuple[Search, Study]:
    config: Any = compose("search", [*WORDS, f"budget.trials={trials}"])
    plan = build.prepare(config)
    folder.mkdir(exist_ok=True)
    study = build.open_or_create(folder, plan)
    return build.assemble(plan, study, []), study


@pytest.mark.slow
def test_a_search_that_is_killed_in_an_heirs_training_ends_like_an_unbroken_one(tmp_path: Path) -> None:
    unbroken, study = search_in(tmp_path / "unbroken", 3)
    listener = unbroken._pump._listener
    note = listener.on_epoch

    def keep(job: Job, row: Epoch) -> None:
        note(job, row)
        if (job.trial, row.epoch) == (1, 1):  # what a kill would leave that strikes before the first checkpoint
            shutil.copytree(tmp_path / "unbroken", tmp_path / "killed", ignore=lambda _, names: {"00001"} & {*names})

    listener.on_epoch = keep  # type: ignore[method-assign]  # the moment is exact this way
    assert unbroken.run() == "budget"
    assert [record.state for record in open_study(tmp_path / "killed").records()] == ["complete", "running"]
    resumed, again = search_in(tmp_path / "killed", 3)
    assert resumed.run() == "budget"
    records = study.records()
    assert [record.descent and record.descent.trial for record in records] == [None, 0, 0]
    assert [len(record.curve) for record in records] == [3, 2, 2]
    for one, other in zip(records, again.records(), strict=True):
        assert (one.descent, one.values, numbers(one.curve)) == (other.descent, other.values, numbers(other.curve))
    assert again.records()[1].training.attempt == 2
    assert "of the parameters are those of trial 0" in (again.trial_folder(1) / "log.txt").read_text()


def test_a_network_over_two_devices_inherits_too(tmp_path: Path) -> None:
    config: Any = compose("search", [*WORDS, "budget.trials=2", "workers.slots=2", "workers.devices_per_trial=2"])
    plan = build.prepare(config)
    study = build.open_or_create(tmp_path, plan)
    assert build.assemble(plan, study, []).run() == "budget"
    record = study.records()[1]
    assert (record.state, len(record.curve), record.training.devices) == ("complete", EPOCHS - 1, 2)
    assert record.descent is not None


def test_describe_says_whose_weights_a_trial_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["search", *WORDS, "study=mine", "budget.trials=2"]) == 0
    capsys.readouterr()
    changes = open_study(tmp_path / "outputs/mine").records()[1].descent
    assert changes is not None
    assert main(["describe", "architecture=mine:1", "format=json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["inherits"] == {"trial": 0, "changes": changes.changes, "skips": 1}
    assert main(["describe", "architecture=mine:1"]) == 0
    assert "started from the weights of trial 0" in capsys.readouterr().out
    assert main(["search", *WORDS[:-2], "fidelity=freeze_thaw", "study=mine", "budget.trials=4"]) == 2
    assert "a study whose trials inherit weights goes on with fidelity=full or inherit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("workers.keep=none", "workers.keep must be front or all, got none"),
        ("workers=ray", "checkpoints must lie where networks are trained for fidelity=inherit, got workers=ray"),
        ("fidelity.repeats=1", "fidelity.repeats must be 0 with fidelity=inherit, got 1"),
        ("training.epochs=1", "fidelity=inherit needs training.epochs of at least 2, got 1"),
        ("fidelity.options.skip=1", r"skip must lie in (0, 1), got 1"),
    ],
)
def test_what_cannot_work_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], word: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["search", "tracking=none", "fidelity=inherit", word]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "outputs").exists()
