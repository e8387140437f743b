"""Tests of the start of worker processes: in any program, after kills of the fork server, and deaths before a job."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from processes import gone, wait_until
from toy_runners import ToyRunner

from nas.jobs import Control, Job, Outcome
from nas.workers.local import forked_process
from nas.workers.local.executor import LocalExecutor
from nas.workers.local.forked_process import ForkServer, shared_server
from nas.workers.local.worker_loop import serve

PATIENCE = 120.0


@pytest.fixture
def server() -> Iterator[ForkServer]:
    made = ForkServer(())
    yield made
    made.close()


class Unstartable:
    """Runner that no process can be given."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return __import__, ("no_module_of_this_name",)

    def __call__(self, job: Job, control: Control) -> Outcome:
        raise AssertionError


def drain(executor: LocalExecutor) -> Outcome:
    until = time.monotonic() + PATIENCE
    while not (outcomes := executor.wait(0.2)):
        assert time.monotonic() < until, "no outcome"
    (outcome,) = outcomes
    return outcome


def toy_job(folder: Path, trial: int = 0) -> Job:
    return Job(trial, 1, {}, 0, 0, 2, folder / str(trial))


def test_a_process_that_dies_before_its_first_job_is_told_with_its_last_output(tmp_path: Path) -> None:
    executor = LocalExecutor(Unstartable(), (None,))
    try:
        executor.submit(toy_job(tmp_path), lambda *_: None)
        failure = drain(executor).failure
    finally:
        executor.close()
    assert failure is not None
    assert failure.kind == "start"
    assert failure.message == (
        "the process of trial 0 ended with exit code 1 before it could take a job; "
        "its last output: ModuleNotFoundError: No module named 'no_module_of_this_name'"
    )


def test_a_fork_server_that_is_killed_is_started_again(tmp_path: Path) -> None:
    executor = LocalExecutor(ToyRunner(), (None,))
    server = shared_server(())
    try:
        executor.submit(toy_job(tmp_path), lambda *_: None)
        assert drain(executor).failure is None
        assert server._server is not None
        server._server.kill()
        executor.submit(toy_job(tmp_path, 1), lambda *_: None)
        assert drain(executor).failure is None
    finally:
        executor.close()


def test_a_fork_server_that_is_killed_while_a_first_process_starts_is_started_again(
    server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills: list[int] = []
    send = socket.send_fds

    def send_and_kill(*arguments: Any) -> Any:
        sent = send(*arguments)
        if len(kills) < 2:
            assert server._server is not None
            kills.append(server._server.pid)
            server._server.kill()
        return sent

    monkeypatch.setattr(socket, "send_fds", send_and_kill)
    process, connection = server.start(serve, (ToyRunner(), None, None))
    assert connection.recv() == "ready"
    connection.close()
    process.join(PATIENCE)
    assert (process.exitcode, len(set(kills))) == (70, 2)
    process.close()


def test_a_fork_server_that_always_dies_is_one_line(server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked_process, "BOOT", "print('no room'); raise SystemExit(3)")
    with pytest.raises(ValueError, match=r"the fork server of worker processes must run, it died 3 times: no room$"):
        server.start(serve, (ToyRunner(), None, None))


def test_a_program_that_is_its_own_interpreter_is_refused(server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(ValueError, match="worker processes need a Python interpreter, which this program is not"):
        server.start(serve, (ToyRunner(), None, None))


def test_a_process_outlives_its_fork_server_and_can_still_be_killed(server: ForkServer) -> None:
    process, connection = server.start(serve, (ToyRunner(), None, None))
    assert connection.recv() == "ready"
    server.stop()
    assert process.is_alive()
    process.kill()
    process.join(PATIENCE)
    assert gone(process.pid)
    assert process.exitcode == forked_process.UNKNOWN
    connection.close()
    process.close()


def test_a_stopped_process_is_killed_like_any_other(server: ForkServer) -> None:
    process, connection = server.start(serve, (ToyRunner(), None, None))
    assert connection.recv() == "ready"
    os.kill(process.pid, signal.SIGSTOP)
    assert process.is_alive()
    process.kill()
    process.join(PATIENCE)
    assert process.exitcode == -signal.SIGKILL
    connection.close()
    process.close()


def test_sigterm_leaves_the_fork_server_alone(server: ForkServer) -> None:
    """Assert that the server outlives a SIGTERM to its whole group: it still has to tell how its processes ended."""
    first, connection = server.start(serve, (ToyRunner(), None, None))
    assert connection.recv() == "ready"
    assert server._server is not None
    os.kill(server._server.pid, signal.SIGTERM)
    os.kill(first.pid, signal.SIGTERM)
    first.join(PATIENCE)
    assert first.exitcode == 0
    assert server._server.poll() is None
    connection.close()
    first.close()


def test_processes_see_the_drivers_environment_and_path_of_their_own_time(
    server: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("one", "two"):
        monkeypatch.setenv("NAS_TEST_VALUE", value)
        (tmp_path / f"module_{value}.py").write_text(
            "import os\ndef say(pipe): pipe.send((__name__, os.environ['NAS_TEST_VALUE'], os.getcwd()))\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.chdir(tmp_path)
        process, connection = server.start(__import__(f"module_{value}").say, ())
        assert connection.recv() == (f"module_{value}", value, str(tmp_path))
        connection.close()
        process.join(PATIENCE)
        process.close()


def test_a_long_folder_of_temporary_files_is_no_obstacle(
    server: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("t" * 120)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    monkeypatch.setattr("tempfile.tempdir", None)
    process, connection = server.start(serve, (ToyRunner(), None, None))
    assert connection.recv() == "ready"
    connection.close()
    process.join(PATIENCE)
    process.close()


def test_processes_start_in_a_thread(server: ForkServer) -> None:
    said: list[Any] = []

    def work() -> None:
        process, connection = server.start(serve, (ToyRunner(), None, None))
        said.append(connection.recv())
        connection.close()
        process.join(PATIENCE)
        process.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(PATIENCE)
    assert said == ["ready"]


def _start_one(_: int) -> object:
    server = ForkServer(())
    process, connection = server.start(serve, (ToyRunner(), None, None))
    said = connection.recv()
    connection.close()
    process.join(PATIENCE)
    process.close()
    server.close()
    return said


def test_processes_start_in_a_daemonic_process() -> None:
    with get_context("spawn").Pool(1) as pool:
        assert pool.map(_start_one, [0]) == ["ready"]


PROGRAM = textwrap.dedent(
    """
    import sys
    from nas.workers.local.forked_process import ForkServer
    def own(pipe): pipe.send(__name__)
    def go(function):
        server = ForkServer(())
        process, connection = server.start(function, ())
        try: print("SAID", connection.recv(), flush=True)
        except (EOFError, OSError): process.join(); print("DIED", process.last_output(), flush=True)
        process.join(); process.close(); connection.close(); server.close()
    """
)


def _said(words: list[str], text: str | None = None) -> str:
    program = [sys.executable, *words]
    done = subprocess.run(program, input=text, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "Traceback" not in done.stderr or "ValueError" in done.stderr
    return (done.stdout + done.stderr).strip().splitlines()[-1]


def test_a_script_with_a_guard_may_run_its_own_functions(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(PROGRAM + "if __name__ == '__main__': go(own)\n")
    assert _said([str(script)]) == "SAID __mp_main__"


def test_a_script_without_a_guard_is_told_to_have_one_if_its_own_functions_run(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(PROGRAM + "go(own)\n")
    said = _said([str(script)])
    assert said.startswith("DIED ValueError: a program whose own functions run in worker processes must start its")


@pytest.mark.parametrize("how", ["dash", "c"])
def test_a_program_without_a_file_cannot_run_its_own_functions(how: str) -> None:
    text = PROGRAM + "go(own)\n"
    said = _said(["-"], text) if how == "dash" else _said(["-c", text])
    assert said.startswith("ValueError: a function that runs in worker processes must be in a module or a script")


def test_the_server_ends_with_its_driver(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\nfrom nas.workers.local.forked_process import ForkServer\n"
        "from nas.workers.local.worker_loop import serve\n"
        "server = ForkServer(())\nprocess, connection = server.start(serve, (None, None, None))\nconnection.recv()\n"
        "print(server._server.pid, process.pid, flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as driver:
        assert driver.stdout is not None
        pids = [int(pid) for pid in driver.stdout.readline().split()]
        driver.kill()
        wait_until(lambda: all(gone(pid) for pid in pids), "the server or its process outlived the driver")
