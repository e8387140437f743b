"""`nas doctor`: each probe on made-up machines, and the run of all of them."""

from __future__ import annotations

import csv
import json
import threading
import time
from importlib.metadata import PackageNotFoundError
from io import StringIO
from pathlib import Path

import pytest

from nas.cli import main
from nas.cli.probes import extras, images, machine, network, places, terminal, tracker, versions
from nas.cli.probes.finding import Health, examine, ok, worst
from nas.config.data import DataSpec
from nas.config.storage import StorageSpec
from nas.config.tracking import TrackingSpec

GOOD = {"torch": "2.13.0+cpu", "optuna": "5.0.0", "numpy": "2.1.0"}
WANTED = ["torch>=2.6", "optuna<6,>=5", "ray>=2.59; extra == 'ray'"]


def installed(have: dict[str, str]):
    def version(name: str) -> str:
        if name not in have:
            raise PackageNotFoundError(name)
        return have[name]

    return version


@pytest.mark.parametrize(
    ("change", "health", "text"),
    [
        ({}, Health.OK, "torch 2.13.0+cpu"),
        ({"optuna": "4.9.0"}, Health.PROBLEM, "optuna must be <6,>=5, got 4.9.0"),
        ({"torch": ""}, Health.PROBLEM, "torch is missing"),
        ({"torchvision": "0.28.0"}, Health.WARNING, "torchvision 0.28.0 was built for another torch"),
        ({"torchvision": "0.28.0+cpu"}, Health.OK, "torch 2.13.0+cpu"),
    ],
    ids=["good", "too old", "missing", "other build", "same build"],
)
def test_versions_are_compared_with_the_ranges(change, health, text):
    have = {name: found for name, found in {**GOOD, **change}.items() if found}
    findings = versions.probe(installed(have), WANTED)
    assert worst(findings) == health
    assert any(text in finding.text for finding in findings)
    assert all(finding.advice for finding in findings if finding.health != Health.OK)


def test_extras_that_the_settings_need_are_a_problem_and_the_others_an_offer():
    known = {"ray": ["ray"], "export": ["onnx", "onnxruntime"]}
    have = installed({"onnx": "1", "onnxruntime": "1"})
    (offer,) = extras.probe((), known, have)
    assert offer.text == "installed: export; not: ray (workers=ray), by pip install 'inception-nas[NAME]'"
    (needed,) = extras.probe(("ray",), known, have)
    assert (needed.health, needed.advice) == (Health.PROBLEM, "pip install 'inception-nas[ray]'")


def test_a_quota_below_the_cores_names_the_slots(tmp_path):
    quota = tmp_path / "cpu.max"
    quota.write_text("50000 100000\n")
    (found,) = machine.probe_cores(quota)
    assert "may use the time of 0.5" in found.text
    assert found.advice.startswith("workers.slots=1 ")
    quota.write_text("max 100000\n")
    assert machine.cpu_quota(quota) is None


def test_little_memory_is_a_warning(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 100 kB\nMemAvailable: 1048576 kB\n")
    (found,) = machine.probe_memory(meminfo)
    assert found.health == Health.WARNING
    assert "1.0 GiB free" in found.text


def test_gpus_are_counted_by_model():
    assert machine.probe_gpus(["NVIDIA H200", "NVIDIA H200"])[0].text == "2 × NVIDIA H200"
    assert "on the processor" in machine.probe_gpus([])[0].text


@pytest.mark.parametrize(
    ("program", "gpus", "health", "text"),
    [
        ("print('[\"2.13\", true, 2]')", 2, Health.OK, "torch 2.13 loads, 2 GPUs usable"),
        ("print('[\"2.13\", false, 0]')", 2, Health.PROBLEM, "uses none of 2 GPUs"),
        ("raise RuntimeError('operator torchvision::nms does not exist')", 0, Health.PROBLEM, "torchvision::nms"),
        ("import time; time.sleep(60)", 0, Health.WARNING, "not loaded within 2 s"),
    ],
    ids=["good", "no CUDA", "broken", "hangs"],
)
def test_the_libraries_of_a_training_are_loaded_in_a_process_of_their_own(program, gpus, health, text):
    (found,) = machine.probe_training(2.0, gpus, program)
    assert found.health == health
    assert text in found.text


def test_a_folder_that_cannot_be_written_to_is_a_problem():
    (found,) = places.probe_outputs("/proc/absent")
    assert found.health == Health.PROBLEM
    assert "can't be written to" in found.text


def test_a_folder_that_does_not_exist_is_not_made(tmp_path):
    (found,) = places.probe_outputs(str(tmp_path / "outputs"))
    assert found.health != Health.PROBLEM
    assert f"to be made in {tmp_path}" in found.text
    assert list(tmp_path.iterdir()) == []


def test_the_longest_mount_above_a_folder_tells_its_file_system(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"a / ext4 rw 0 0\nb {tmp_path.resolve()} nfs4 rw 0 0\nc {tmp_path.resolve()}x tmpfs rw 0 0\n")
    assert places.file_system(tmp_path, mounts) == "nfs4"
    assert places.file_system(Path("/"), mounts) == "ext4"
    (found,) = places._sqlite(tmp_path, mounts)
    assert found.health == Health.WARNING
    assert "not safe on nfs4" in found.text


def test_sqlite_is_tried_and_nothing_stays(tmp_path):
    (found,) = places.probe_database(StorageSpec(), str(tmp_path), network=False)
    assert found.health == Health.OK, found
    assert list(tmp_path.iterdir()) == []


def test_a_database_elsewhere_is_not_called_unasked_and_its_password_never_shown():
    environ = {"NAS_STORAGE_URL": "postgresql://anna:secret@db.lab.invalid:5432/nas"}
    (found,) = places.probe_database(StorageSpec("postgres"), "outputs", network=False, environ=environ)
    assert found.text == "PostgreSQL at db.lab.invalid:5432/nas, not called; network=true calls it"


def test_a_database_that_does_not_answer_is_a_problem_without_its_password():
    environ = {"NAS_STORAGE_URL": "postgresql://anna:secret@127.0.0.1:1/nas"}
    (found,) = places.probe_database(StorageSpec("postgres"), "outputs", network=False, environ=environ)
    assert found.health == Health.PROBLEM
    assert "secret" not in str(found)


def test_images_that_cannot_be_read_are_a_problem(tmp_path):
    (found,) = images.probe(DataSpec(source="image_folder", path=str(tmp_path / "absent")), network=False)
    assert found.health == Health.PROBLEM
    assert "data.path must exist" in found.text


def test_a_set_on_the_hub_is_not_asked_for_unasked():
    (found,) = images.probe(DataSpec(name="owner/set", source="hub"), network=False)
    assert found.health == Health.OK
    assert "network=true" in found.text


@pytest.mark.parametrize(
    ("mode", "environ", "health", "text"),
    [
        ("auto", {}, Health.OK, "W&B offline (no key)"),
        ("auto", {"WANDB_API_KEY": "abcdef"}, Health.OK, "W&B online, with a key"),
        ("offline", {"WANDB_API_KEY": "abcdef"}, Health.OK, "W&B offline (a key is there)"),
        ("online", {}, Health.PROBLEM, "there is no key"),
    ],
)
def test_the_key_of_a_tracker_is_told_and_never_shown(tmp_path, mode, environ, health, text):
    (found,) = tracker.probe(TrackingSpec(mode=mode), environ, tmp_path)
    assert found.health == health
    assert text in found.text
    assert "abcdef" not in str(found)


def test_no_server_is_called_unasked():
    def refuse(url: str) -> None:
        raise AssertionError(url)

    (found,) = network.probe(network=False, environ={}, ask=refuse)
    assert found.health == Health.OK


def test_silent_servers_are_named_without_passwords():
    def ask(url: str) -> None:
        if "lab" in url:
            raise OSError

    environ = {"WANDB_BASE_URL": "https://anna:secret@wandb.lab"}
    (found,) = network.probe(network=True, environ=environ, ask=ask)
    assert found.health == Health.WARNING
    assert found.text == "no answer from W&B (https://wandb.lab)"


def test_an_encoding_without_the_signs_is_a_warning():
    class Ascii(StringIO):
        encoding = "ascii"

    (found,) = terminal.probe(Ascii(), {})
    assert (found.health, found.advice) == (Health.WARNING, "export LANG=C.UTF-8 or PYTHONUTF8=1")


def test_a_probe_that_fails_or_hangs_is_a_line_and_the_others_go_on():
    blocked = threading.Event()

    def fail():
        raise OSError("no such device")

    def hang():
        blocked.wait(20)
        return [ok("hangs", "late")]

    began = time.monotonic()
    findings = examine({"fails": fail, "hangs": hang, "works": lambda: [ok("works", "yes")]}, 0.3)
    blocked.set()
    assert time.monotonic() - began < 10
    assert [(each.topic, each.health) for each in findings] == [
        ("fails", Health.PROBLEM),
        ("hangs", Health.WARNING),
        ("works", Health.OK),
    ]
    assert "OSError: no such device" in findings[0].text


def test_the_command_prints_one_document_and_its_code_is_that_of_the_worst_finding(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "probe_training", lambda _: [ok("training", "loads")])
    assert main(["doctor", "format=json"]) == 0
    found = json.loads(capsys.readouterr().out)
    topics = [finding["topic"] for finding in found["findings"]]
    assert {"python", "libraries", "processor", "memory", "outputs", "database", "data", "tracker"} <= set(topics)
    assert list(tmp_path.iterdir()) == []
    assert main(["doctor", "format=csv", "data=image_folder", "data.path=/absent"]) == 1
    rows = list(csv.reader(capsys.readouterr().out.splitlines()))
    assert [row[:2] for row in rows if row[1] == "problem"] == [["data", "problem"]]


def test_the_report_fits_one_screen(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(machine, "probe_training", lambda _: [ok("training", "loads")])
    main(["doctor"])
    assert len(capsys.readouterr().out.splitlines()) <= 24


def test_a_mistake_in_the_settings_is_one_line(capsys):
    assert main(["doctor", "timeout=0"]) == 2
    assert "timeout must be at least 1, got 0" in capsys.readouterr().err
