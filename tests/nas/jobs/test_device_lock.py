"""Lock by which a measurement has the machine for itself: trainings wait for it, and it never starts beside them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nas.cli import main
from nas.jobs.device_lock import DeviceBusyError, SharedDevices, exclusive_devices, lock_path
from nas.workers.local.executor import LocalExecutor

HOLD = """
import sys
from nas.jobs.device_lock import SharedDevices
share = SharedDevices()
share.take()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the lock be the test's own."""
    monkeypatch.setenv("NAS_LOCK_DIR", str(tmp_path / "new"))


def test_trainings_share_and_a_measurement_is_alone() -> None:
    shares = [SharedDevices(), SharedDevices()]
    for share in shares:
        share.take()
    shares[0].release()
    with pytest.raises(DeviceBusyError, match="neither trains nor measures"), exclusive_devices():
        pass
    shares[1].release()
    with exclusive_devices(), pytest.raises(DeviceBusyError), exclusive_devices():
        pass


def test_a_share_ends_with_its_holder() -> None:
    share = SharedDevices()
    share.take()
    del share
    with exclusive_devices():
        pass


def test_the_holder_is_named_and_its_death_releases_the_lock() -> None:
    command = [sys.executable, "-c", HOLD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        known = rf"\(process {process.pid}\)" if Path("/proc/locks").is_file() else "it does"
        with pytest.raises(DeviceBusyError, match=known), exclusive_devices():
            pass
        process.kill()
    with exclusive_devices():
        pass


def test_a_training_waits_for_the_end_of_a_measurement(caplog: pytest.LogCaptureFixture) -> None:
    share, taken = SharedDevices(), threading.Event()

    def train() -> None:
        share.take()
        taken.set()

    thread = threading.Thread(target=train)
    with caplog.at_level(logging.WARNING), exclusive_devices():
        thread.start()
        assert not taken.wait(0.5)
    assert taken.wait(10)
    thread.join()
    assert "trainings wait for the end of a measurement" in caplog.text
    share.release()


def test_an_executor_shares_the_devices_until_it_is_closed(capsys: pytest.CaptureFixture[str]) -> None:
    executor = LocalExecutor(print, [None])  # type: ignore[arg-type]  # nothing is run
    assert main(["measure", "reference=resnet20", "seconds=0.1"]) == 2
    assert "latency must be measured while this machine neither trains nor measures" in capsys.readouterr().err
    executor.close()
    with exclusive_devices():
        pass


def test_trainings_go_on_where_the_lock_can_not_be_opened(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with exclusive_devices():
        pass
    lock_path().unlink()
    os.symlink(tmp_path / "elsewhere", lock_path())
    share = SharedDevices()
    with caplog.at_level(logging.WARNING):
        share.take()
        share.take()
    assert caplog.text.count("can't tell that this machine trains") == 1
    share.release()


def test_the_file_may_be_anothers_but_no_link(tmp_path: Path) -> None:
    with exclusive_devices():
        pass
    lock_path().chmod(0o444)
    with exclusive_devices():
        pass
    lock_path().unlink()
    os.symlink(tmp_path / "elsewhere", lock_path())
    with pytest.raises(DeviceBusyError, match=r"under a lock, .*symbolic links.*set NAS_LOCK_DIR"), exclusive_devices():
        pass
    assert not (tmp_path / "elsewhere").exists()
