"""Searches tracked in TensorBoard, read back from its event files."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from engine import FakeExecutor, Setting

from nas.config.budget import Budget
from nas.config.tracking import TrackingSpec
from nas.jobs import EndReason
from nas.objectives.limits import Limits
from nas.study.selection import pick_records
from nas.study.study import open_study
from nas.study.summary import status_document
from nas.tracking.tensorboard import read_scalars
from nas.tracking.tracker import open_tracker
from search_space.architecture import Architecture
from search_space.differences import choices_of

pytestmark = pytest.mark.skipif(find_spec("tensorboard") is None, reason="needs the extra tensorboard")

SPEC = TrackingSpec(name="tensorboard", trials=True)


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stop a search within its second trial, and resume it to four trials."""
    folder = tmp_path_factory.mktemp("outputs") / "small"
    setting = Setting(budget=Budget(trials=4))

    def stop(waits: int) -> None:
        if waits == 4:
            search.stop(EndReason.STOPPED)

    with open_tracker(SPEC, setting.study(folder), {}) as tracker:
        setting.observers = [tracker]
        search = setting.search(folder, FakeExecutor(before_wait=stop))
        assert search.run() == "stopped"
    with open_tracker(SPEC, setting.study(folder), {}) as tracker:
        setting.observers = [tracker]
        assert setting.run(folder) == "budget"
    return folder


def hyperparameters(folder: Path) -> dict[str, Any]:
    """Return the hyper-parameters in the event files of a trial."""
    events = import_module("tensorboard.backend.event_processing.event_accumulator").EventAccumulator(str(folder))
    events.Reload()
    data = import_module("tensorboard.plugins.hparams.plugin_data_pb2").HParamsPluginData
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = data.FromString(content).session_start_info.hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in hparams.items()}


def test_the_study_has_scalars_over_trials_and_seconds(studied: Path) -> None:
    study = open_study(studied)
    scalars = read_scalars(studied / "tensorboard" / "study")
    records = study.records()
    assert scalars["trial"] == [(place + 1, record.number) for place, record in enumerate(records)]
    hypervolume = status_document(study, records)["hypervolume"]
    assert scalars["hypervolume"][-1] == (len(records), pytest.approx(hypervolume))
    seconds = sum(record.spent for record in records)
    assert scalars["by_seconds/hypervolume"][-1] == (round(seconds), pytest.approx(hypervolume))
    for pick in ("best", "knee"):
        (record,) = pick_records(records, study.believer, pick, Limits())
        known = {"trial": record.number, **record.candidate.costs, **(record.values or {})}
        assert {name: scalars[f"{pick}/{name}"][-1][1] for name in known} == pytest.approx(known)


def test_every_trial_has_its_curve_and_its_choices_as_hyperparameters(studied: Path) -> None:
    for record in open_study(studied).records():
        folder = studied / "tensorboard" / "trials" / f"{record.number:05d}"
        scalars = read_scalars(folder)
        assert scalars["val_accuracy"] == [(e.epoch, pytest.approx(e.val_accuracy)) for e in record.curve]
        assert {name: scalars[f"value/{name}"][-1][1] for name in record.values or {}} == pytest.approx(record.values)
        choices = choices_of(Architecture.from_json(dict(record.candidate.architecture)))
        assert hyperparameters(folder) == choices


def test_the_front_is_a_picture(studied: Path) -> None:
    module = import_module("tensorboard.backend.event_processing.event_accumulator")
    events = module.EventAccumulator(str(studied / "tensorboard" / "study"))
    events.Reload()
    assert events.Images("front")[-1].encoded_image_string.startswith(b"\x89PNG")
