"""Tests of the Ray executor: choice of the cluster, resources of a training, and files sent between machines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from file_runner import ROWS, FileRunner
from processes import session
from rank_runners import ToyRanks
from ray_here import ray_here
from toy_runners import ToyRunner, toy_row

from nas.config.workers import WorkersSpec
from nas.data import DataSpec
from nas.data.transfer import CacheTransfer
from nas.jobs import Epoch, Job, Outcome
from nas.workers.local.worker_loop import LOG_FILE
from nas.workers.ray import executor as ray_executor
from nas.workers.ray.cluster import ClusterError, ResourceRequest, connect, resource_request
from nas.workers.ray.executor import RayExecutor, loss_of
from nas.workers.ray.task import split_gpus

PATIENCE = 180.0
pytestmark = pytest.mark.xdist_group("ray")  # one cluster at a time: each is a dozen processes


@pytest.mark.parametrize(
    ("request_", "resources", "times"),
    [
        (ResourceRequest(1, 0), {"CPU": 3.0}, 3),
        (ResourceRequest(2, 0), {"CPU": 3.0}, 1),
        (ResourceRequest(0.1, 0), {"CPU": 1.0}, 10),
        (ResourceRequest(1, 0), {"memory": 1e9}, 0),
        (ResourceRequest(1, 1), {"CPU": 8.0, "GPU": 2.0}, 2),
        (ResourceRequest(8, 1), {"CPU": 8.0, "GPU": 2.0}, 1),
        (ResourceRequest(1, 2), {"CPU": 8.0, "GPU": 3.0}, 1),
        (ResourceRequest(1, 0.4), {"CPU": 8.0, "GPU": 3.0}, 6),  # no share lies on two GPUs
        (ResourceRequest(0, 0.5), {"GPU": 1.0}, 2),
        (ResourceRequest(1, 1), {"CPU": 8.0}, 0),
    ],
)
def test_a_machine_runs_as_many_trainings_as_its_resources_allow(
    request_: ResourceRequest, resources: dict[str, float], times: int
) -> None:
    assert request_.capacity(resources) == times


@pytest.mark.parametrize(
    ("visible", "devices", "each"),
    [("0,3", 1, ("0,3",)), ("0,3", 2, ("0", "3")), ("", 1, ("",)), ("", 2, ("", "")), ("1,2,5,7", 2, ("1,2", "5,7"))],
)
def test_the_processes_of_a_job_share_out_its_gpus(visible: str, devices: int, each: tuple[str, ...]) -> None:
    assert split_gpus(visible, devices) == each


def test_a_training_asks_for_a_gpu_where_there_are_any() -> None:
    spec = WorkersSpec(name="ray", threads_per_slot=2)
    assert resource_request(spec, [{"CPU": 4.0}]) == ResourceRequest(2, 0)
    assert resource_request(spec, [{"CPU": 4.0}, {"CPU": 4.0, "GPU": 1.0}]) == ResourceRequest(2, 1)
    own = replace(spec, cpus_per_trial=0.5, gpus_per_trial=0.0)
    assert resource_request(own, [{"CPU": 4.0, "GPU": 1.0}]) == ResourceRequest(0.5, 0)


def test_a_request_above_every_machine_is_refused() -> None:
    spec = WorkersSpec(name="ray", gpus_per_trial=4.0)
    with pytest.raises(
        ClusterError, match=r"training, 1 CPUs and 4 GPUs; the 2 machines have 8 CPUs and 2 GPUs at most"
    ):
        resource_request(spec, [{"CPU": 2.0, "GPU": 2.0}, {"CPU": 8.0}])


def test_an_address_that_does_not_answer_is_refused_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(ClusterError, match=r"must name a running Ray cluster, nothing answers at 127\.0\.0\.1:1"):
        connect(WorkersSpec(name="ray", address="127.0.0.1:1"))
    with pytest.raises(ClusterError, match=r"workers\.address must be HOST:PORT of the cluster's head, got ray://"):
        connect(WorkersSpec(name="ray", address="ray://127.0.0.1:10001"))
    assert time.monotonic() - began < PATIENCE


ALONE = textwrap.dedent(
    """
    import json, os, subprocess, sys, time
    from pathlib import Path
    from nas.jobs import Job
    from nas.workers.ray.executor import RayExecutor
    from nas.config.workers import WorkersSpec
    from toy_runners import ToyRunner

    executor = RayExecutor(ToyRunner(), WorkersSpec(name="ray", address="auto", slots=3))
    import ray
    epochs = []
    executor.submit(Job(0, 1, {"does": "hang", "at": 3}, 0, 0, 9, Path(sys.argv[1])), lambda _, row: epochs.append(row))
    while len(epochs) < 2:
        executor.wait(1.0)
    told = {"address": ray.nodes()[0]["NodeManagerAddress"], "slots": executor.slots}
    told["stats"] = os.environ["RAY_USAGE_STATS_ENABLED"]
    told["mode"] = os.environ["RAY_AUTH_MODE"]
    print(json.dumps(told), flush=True)
    while True:
        executor.wait(1.0)
    """
)


def listening(leader: int) -> set[str]:
    """Addresses on which processes of a session listen, as Linux writes them: 0100007F is 127.0.0.1."""
    inodes = {
        os.readlink(link)[8:-1]
        for pid in session(leader)
        for link in Path(f"/proc/{pid}/fd").glob("*")
        if os.path.islink(link) and os.readlink(link).startswith("socket:[")
    }
    rows = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()]
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes}


def title(pid: int) -> bytes:
    """Return the first word of a process' command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].strip()
    except (FileNotFoundError, ProcessLookupError):
        return b""


AGENTS = {b"ray::DashboardAgent", b"ray::RuntimeEnvAgent", b""}
"""Ray's own processes, which try to reach a lost cluster for a minute before they end."""
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


@pytest.mark.slow
def test_a_cluster_of_this_machine_listens_to_it_alone_and_ends_with_its_driver(tmp_path: Path) -> None:
    """Assert that no token is written, no usage statistics are sent, and a killed driver leaves no process."""
    script = tmp_path / "driver.py"
    script.write_text(ALONE)
    support = str(Path(sys.modules["toy_runners"].__file__ or "").parent)
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    path = os.pathsep.join([support, plain.get("PYTHONPATH", "")])
    env = {**plain, "HOME": str(tmp_path), "RAY_TMPDIR": "/tmp", "PYTHONPATH": path}
    command = [sys.executable, str(script), str(tmp_path / "0")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, start_new_session=True) as driver:
        assert driver.stdout is not None
        told = json.loads(driver.stdout.readline())
        assert told == {"address": "127.0.0.1", "slots": 3, "stats": "0", "mode": "token"}
        assert listening(driver.pid) <= LOOPBACK
        assert len(session(driver.pid)) > 3
        assert not (tmp_path / ".ray").exists()
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        until = time.monotonic() + PATIENCE
        while left := {title(pid) for pid in session(driver.pid)} - AGENTS:
            assert time.monotonic() < until, f"{left} outlived the driver"
            time.sleep(0.2)
        for agent in session(driver.pid):
            os.kill(agent, signal.SIGKILL)


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start a cluster whose workers don't see the folder `here`, and keep their images in the folder `there`."""
    root = tmp_path_factory.mktemp("machines")
    (root / "here").mkdir()
    with ray_here(NAS_TEST_HIDDEN=str(root / "here"), NAS_CACHE_DIR=str(root / "there")):
        yield root


@pytest.fixture
def executor(blind: Path) -> Iterator[Callable[..., RayExecutor]]:
    made: list[RayExecutor] = []

    def make(runner: object, transfer: CacheTransfer | None = None, **fields: object) -> RayExecutor:
        spec = WorkersSpec(name="ray", **fields)  # type: ignore[arg-type]  # fields of WorkersSpec
        made.append(RayExecutor(runner, spec, transfer=transfer))  # type: ignore[arg-type]  # runners of many kinds
        return made[-1]

    yield make
    for one in made:
        one.close()


def drain(executor: RayExecutor, count: int = 1) -> list[Outcome]:
    outcomes: list[Outcome] = []
    until = time.monotonic() + PATIENCE
    while len(outcomes) < count:
        assert time.monotonic() < until, "no outcome"
        outcomes += executor.wait(0.2)
    return outcomes


def unheard(_: Job, __: Epoch) -> None:
    """Ignore the epochs."""


def test_files_and_images_reach_a_machine_that_sees_neither_folder(
    executor: Callable[..., RayExecutor], blind: Path
) -> None:
    transfer = CacheTransfer.of(DataSpec(cache=str(blind / "here" / "cache")))
    elsewhere = replace(transfer, spec=DataSpec())  # so that the other machine keeps them where its own cache is
    running = executor(FileRunner(), elsewhere, gpus_per_trial=0.0)
    folder = blind / "here" / "0"
    heard: list[tuple[int, list[str]]] = []

    def on_epoch(_: Job, row: Epoch) -> None:
        heard.append((row.epoch, sorted(path.name for path in folder.glob("*.pt"))))

    running.submit(Job(0, 1, {}, 0, 0, 2, folder), on_epoch)
    (first,) = drain(running)
    path = folder / "attempt1-epoch002.pt"
    assert first == Outcome(first.job, (toy_row(1), toy_row(2)), path)
    assert [epoch for epoch, _ in heard] == [1, 2]
    assert all(names for _, names in heard), "a checkpoint is there before its epoch is reported"
    (folder / "attempt0-epoch001.pt").write_text("left by another attempt")

    running.submit(Job(0, 2, {}, 0, 2, 3, folder, path), on_epoch)
    (second,) = drain(running)
    assert second == Outcome(second.job, tuple(map(toy_row, (1, 2, 3))), folder / "attempt2-epoch003.pt")
    assert {p.name for p in folder.glob("*.pt")} == {"attempt0-epoch001.pt", "attempt2-epoch003.pt"}
    assert second.checkpoint is not None
    assert second.checkpoint.read_text() == "3"
    lines = [line.split(maxsplit=1) for line in (folder / ROWS).read_text().splitlines()]
    assert [epoch for epoch, _ in lines] == ["1", "2", "3"]
    (images,) = {Path(images) for _, images in lines}
    assert images.parent == blind / "there"
    assert {p.name for p in images.iterdir()} == set(transfer.sizes)
    log = (folder / LOG_FILE).read_text()
    assert [line.split()[1] for line in log.splitlines() if line.startswith("epoch")] == ["1", "2", "3"]
    assert str(folder) not in log
    assert not list(folder.glob(".token*"))


@pytest.mark.slow
def test_where_the_folder_is_the_same_the_job_trains_in_it(
    executor: Callable[..., RayExecutor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = executor(FileRunner(), gpus_per_trial=0.0)
    monkeypatch.chdir(tmp_path)
    folder = Path("0")
    running.submit(Job(0, 1, {}, 0, 0, 2, folder), unheard)
    (outcome,) = drain(running)
    assert outcome.checkpoint == folder / "attempt1-epoch002.pt"
    assert f"epoch 2 in {tmp_path / folder}" in (folder / LOG_FILE).read_text()
    assert sorted(path.name for path in folder.iterdir()) == ["attempt1-epoch002.pt", LOG_FILE, ROWS]


def test_a_training_sees_the_gpu_that_ray_gives_it_or_none(
    executor: Callable[..., RayExecutor], tmp_path: Path
) -> None:
    running = executor(ToyRunner(0.3))  # a GPU each, since the cluster has some
    assert running.slots == 2
    for trial in (0, 1):
        running.submit(Job(trial, 1, {"does": "tell"}, 0, 0, 1, tmp_path / str(trial)), unheard)
    drain(running, 2)
    without = executor(ToyRunner(), gpus_per_trial=0.0)
    without.submit(Job(2, 1, {"does": "tell"}, 0, 0, 1, tmp_path / "2"), unheard)
    drain(without)
    logs = [(tmp_path / str(trial) / LOG_FILE).read_text() for trial in range(3)]
    seen = [log.splitlines()[0].removeprefix("device ").removesuffix(" deaf True") for log in logs]
    assert sorted(seen[:2]) == ["0", "1"]
    assert seen[2] == ""


@pytest.mark.slow
def test_a_job_over_two_devices_has_a_process_on_each(executor: Callable[..., RayExecutor], tmp_path: Path) -> None:
    """Use ranks that exchange numbers: a job ends with rank zero, and its other ranks are cut off."""
    running = executor(ToyRanks(), devices_per_trial=2)
    running.submit(Job(0, 1, {}, 0, 0, 1, tmp_path / "0", devices=2), unheard)
    (outcome,) = drain(running)
    assert outcome.failure is None
    lines = (tmp_path / "0" / LOG_FILE).read_text().splitlines()
    assert sorted(line for line in lines if line.startswith("rank")) == ["rank 0 of 2 sees 0", "rank 1 of 2 sees 1"]
    with pytest.raises(ClusterError, match="3 CPUs and 3 GPUs; the 1 machines have 2 CPUs and 2 GPUs at most"):
        executor(ToyRunner(), devices_per_trial=3)


@pytest.mark.parametrize(
    ("loaded", "spared"), [("nas.workers.ray.task", "torch"), ("nas.workers.ray.packed_runner", "ray")]
)
def test_a_training_does_not_load_ray_nor_a_ray_worker_torch(loaded: str, spared: str) -> None:
    """Assert that no training loads Ray (half a second), and none of Ray's workers torch (seconds, and memory)."""
    script = f"import sys, {loaded}; sys.exit('{spared}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_job_that_waits_for_a_machine_is_taken_back(executor: Callable[..., RayExecutor], tmp_path: Path) -> None:
    running = executor(ToyRunner(), slots=3)
    for trial in range(2):
        running.submit(Job(trial, 1, {"does": "hang"}, 0, 0, 1, tmp_path / str(trial)), unheard)
    waiting = running.submit(Job(2, 1, {}, 0, 0, 1, tmp_path / "2"), unheard)
    assert list(running.wait(1.0)) == []
    waiting.stop_after_epoch()
    (outcome,) = drain(running)
    assert (outcome.job.trial, outcome.failure and outcome.failure.kind) == (2, "died")


def test_a_cluster_without_a_machine_for_a_training_ends_the_search(
    executor: Callable[..., RayExecutor], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = executor(ToyRunner())
    monkeypatch.setattr(ray_executor, "machines", lambda: [{"CPU": 8.0}])
    monkeypatch.setattr(ray_executor, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(ray_executor, "PATIENCE_SECONDS", 0.2)
    with pytest.raises(ClusterError, match="none has had them for 0 s, 1 machines are left"):
        running.wait(5.0)
    assert running.slots == 1, "and until then one job may wait"


def test_machines_that_come_and_go_change_the_slots(
    executor: Callable[..., RayExecutor], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = executor(ToyRunner(), gpus_per_trial=0.0)
    assert running.slots == 2
    monkeypatch.setattr(ray_executor, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(ray_executor, "machines", lambda: [{"CPU": 2.0}, {"CPU": 3.0}])
    assert running.slots == 5


def test_a_request_that_no_machine_can_meet_is_refused_before_anything_waits(
    executor: Callable[..., RayExecutor],
) -> None:
    with pytest.raises(ClusterError, match="1 CPUs and 3 GPUs; the 1 machines have 2 CPUs and 2 GPUs at most"):
        executor(ToyRunner(), gpus_per_trial=3.0)


@pytest.mark.slow
def test_a_full_disk_is_a_failure_of_that_kind(
    executor: Callable[..., RayExecutor], blind: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert the failure's kind if a checkpoint from another machine does not fit on this disk."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr("nas.workers.ray.driver_mailbox.apply_changes", full)
    running = executor(FileRunner(), gpus_per_trial=0.0)
    running.submit(Job(7, 1, {}, 0, 0, 2, blind / "here" / "7"), unheard)
    (outcome,) = drain(running)
    assert outcome.failure is not None
    assert outcome.failure.kind == "disk_full"


def test_losses_are_classified() -> None:
    import ray  # noqa: PLC0415 - half a second

    job = Job(3, 1, {}, 0, 0, 1, Path("x"))
    crashed = loss_of(ray.exceptions.WorkerCrashedError(), job)
    assert (crashed.failure.kind, crashed.fatal) == ("died", False)
    assert crashed.failure.message.startswith("the task of trial 3 ended without an outcome: ")
    version = loss_of(ray.exceptions.RayTaskError("f", "", RuntimeError("all machines must")), job)
    assert version.fatal
    assert "RuntimeError: all machines must" in version.failure.message
    full = loss_of(ray.exceptions.RayTaskError("f", "", OSError(28, "No space left on device")), job)
    assert (full.failure.kind, full.fatal) == ("disk_full", False)
    away = loss_of(ray.exceptions.RayTaskError("f", "", ray.exceptions.RayActorError()), job)
    assert (away.failure.kind, away.fatal) == ("died", False)
