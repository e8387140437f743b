"""Measured latencies that are kept with a study."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from engine import candidate, fingerprint

from nas.jobs.links import LinkError
from nas.study.latencies import FOLDER, Latency, MeasuredOn, keep, measured_latencies
from nas.study.study import create_study

DEVICE, CIRCUMSTANCES = {"model": "a phone"}, {"runtime": "onnxruntime", "batch": 8, "threads": 2}


def measured(**networks: float) -> MeasuredOn:
    return MeasuredOn(DEVICE, CIRCUMSTANCES, {name: Latency(ms, ms / 2, ms * 2, True) for name, ms in networks.items()})


def test_latencies_are_kept_by_device_and_newer_ones_replace_older(tmp_path: Path) -> None:
    path = keep(tmp_path, measured(a=1.0, b=2.0))
    assert keep(tmp_path, measured(b=3.0, c=4.0)) == path
    other = MeasuredOn({"model": "a board"}, CIRCUMSTANCES, {})
    assert keep(tmp_path, other) != path
    (found,) = [each for each in measured_latencies(tmp_path) if each.device == DEVICE]
    assert {name: latency.median_ms for name, latency in found.networks.items()} == {"a": 1.0, "b": 3.0, "c": 4.0}
    assert found.title == "onnxruntime, batch 8, 2 threads on a phone"
    assert (
        MeasuredOn({"model": "\x1b[2Jx"}, {"runtime": "torch", "batch": 1, "threads": 1}, {}).title == "torch on [2Jx"
    )


def test_damaged_files_are_named_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = keep(tmp_path, measured(a=1.0))
    document = json.loads(path.read_text())
    document["networks"]["a"]["low_ms"] = 5.0
    for name, text in {"b": "[", "c": "{}", "d": json.dumps(document)}.items():
        (path.parent / f"{name}.json").write_text(text)
    with caplog.at_level(logging.WARNING):
        assert len(measured_latencies(tmp_path)) == 1
    assert caplog.text.count("measured latencies are left out") == 3
    assert "a latency must lie in its interval" in caplog.text


def test_nothing_is_written_or_read_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / FOLDER).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LinkError):
        keep(tmp_path / "study", measured(a=1.0))
    keep(tmp_path / "elsewhere", measured(a=1.0))
    assert measured_latencies(tmp_path / "study") == []


def test_a_trial_remembers_that_a_cost_was_extrapolated(tmp_path: Path) -> None:
    study = create_study(tmp_path, fingerprint(["val_accuracy"]))
    study.add(candidate(0))
    study.add(candidate(1, extrapolated=("latency_ms",)))
    assert [record.candidate.extrapolated for record in study.records()] == [(), ("latency_ms",)]
