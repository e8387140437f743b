"""Processes that a fork server makes, and the server itself, on the driver's side."""

from __future__ import annotations

import atexit
import math
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe, spawn
from multiprocessing.connection import Connection
from typing import IO, Any, final

from nas.workers.local import fork_server
from nas.workers.local.fork_server import REQUEST, Surroundings

START_SECONDS = 600.0
"""Limit on the time from a request to its process, in which a fresh server loads its libraries."""

STARTS = 3
"""Servers that are started for one process, if something kills them."""

UNKNOWN = 255
"""Exit code of a process whose server died before it."""

OUTPUT_BYTES = 4096
POLL_SECONDS = 0.01
MAIN = b"__main__"
BOOT = """
import sys
sys.path[:] = sys.argv[1].split("\\n")
from nas.workers.local.fork_server import main
main(int(sys.argv[2]), sys.argv[3:])
"""


@final
@dataclass(eq=False)
class ForkedProcess:
    """A process of a fork server.

    Attributes:
        pid: its number, 0 if it could not be forked.
        status: the server's pipe, which tells its exit code.
        output: what it prints outside of jobs.
    """

    pid: int
    status: int
    output: IO[bytes]
    _handle: int | None = field(init=False)
    _read: bytes = field(default=b"", init=False)
    _exitcode: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._handle = None
        with suppress(OSError, AttributeError):  # a number may be another process' later; only Linux has handles
            self._handle = os.pidfd_open(self.pid)

    @property
    def exitcode(self) -> int | None:
        """The exit code, minus the signal's number after a signal, None while the process runs."""
        if self._exitcode is None and _ready(self.status, 0.0):
            piece = os.read(self.status, 64)
            self._read += piece
            if self._read.endswith(b"\n"):
                self._exitcode = int(self._read.split()[1])
            elif not piece and not self._survives():
                self._exitcode = UNKNOWN
        return self._exitcode

    def _survives(self) -> bool:
        """Return whether the process outlives its server."""
        if self._handle is not None:
            return not _ready(self._handle, 0.0)
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def is_alive(self) -> bool:
        """Return whether the process runs."""
        return self.exitcode is None

    def kill(self) -> None:
        """Kill the process, if it runs."""
        if not self.is_alive():
            return
        with suppress(ProcessLookupError):
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)

    def join(self, timeout: float = math.inf) -> None:
        """Wait until the process has ended, for at most `timeout` seconds."""
        until = time.monotonic() + timeout
        while self.is_alive() and time.monotonic() < until:
            time.sleep(POLL_SECONDS)

    def last_output(self) -> str:
        """Return the last line that it has printed outside of jobs, empty if there is none."""
        return _last_line(self.output)

    def close(self) -> None:
        """Close the files of a process that has ended."""
        os.close(self.status)
        self.output.close()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


Started = tuple[ForkedProcess, "Connection[Any, Any]"]
"""A process, and the driver's end of the pipe to it."""


@final
class ForkServer:
    """A fork server, started with its first process and again if it was killed."""

    def __init__(self, preload: Sequence[str]) -> None:
        """Name what it imports.

        Args:
            preload: modules that it imports once for all of its processes.
        """
        self._preload = tuple(preload)
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._output: IO[bytes] | None = None
        self._lock = threading.Lock()
        self._interpreter = ""

    def prepare(self) -> None:
        """Start the server before its first process, so that it loads its libraries meanwhile.

        An error is left to `start`, which tells it.
        """
        with suppress(ValueError, OSError), self._lock:
            self._interpreter = _interpreter()
            self._running()

    def start(self, function: Callable[..., None], arguments: tuple[Any, ...]) -> Started:
        """Start a process that calls `function(pipe, *arguments)`; return it with the other end of that pipe.

        Args:
            function: found by its name in the process.
            arguments: picklable.

        Raises:
            ValueError: there is no interpreter for it, the main program can't be imported where it is needed, or the
                server dies at every start.
        """
        if fork_server.preparing:
            raise ValueError(
                "a program whose own functions run in worker processes must start its search below "
                "`if __name__ == '__main__':`, as each of the processes imports it"
            )
        self._interpreter = _interpreter()
        message = pickle.dumps((function, arguments))
        surroundings = _surroundings(main=MAIN in message)
        with self._lock:
            requests = (self._request() for _ in range(STARTS))
            started = next((answer for answer in requests if answer is not None), None)
        if started is None:
            last = _last_line(self._output) if self._output else ""
            raise ValueError(
                f"the fork server of worker processes must run, it died {STARTS} times: {last or 'killed'}"
            )
        process, connection = started
        with suppress(BrokenPipeError, ConnectionResetError):  # the end of the pipe tells of its death
            connection.send(surroundings)
            connection.send_bytes(message)
        return process, connection

    def _request(self) -> Started | None:
        """Ask the server for a process; return None if the server died."""
        control = self._running()
        ours, theirs = Pipe()
        read, write = os.pipe()
        output = _unnamed_file()
        pid = None
        with theirs:
            try:
                socket.send_fds(control, [REQUEST], [theirs.fileno(), write, output.fileno()])
                os.close(write)
                write = -1
                pid = _first_line(read)
            except (BrokenPipeError, ConnectionResetError):
                pass
            finally:
                if write >= 0:
                    os.close(write)
        if pid is not None:
            return ForkedProcess(pid, read, output), ours
        os.close(read)
        ours.close()
        output.close()
        self.stop()
        return None

    def _running(self) -> socket.socket:
        """Return the socket to the server, which is started if none runs."""
        if self._control is not None and self._server is not None and self._server.poll() is None:
            return self._control
        self.stop()
        self._control, theirs = socket.socketpair()
        self._output = self._output or _unnamed_file()
        path = "\n".join(_search_path())
        words = [self._interpreter, "-c", BOOT, path, str(theirs.fileno()), *self._preload]
        with theirs, interrupts_blocked():
            self._server = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._output, pass_fds=[theirs.fileno()]
            )
        return self._control

    def stop(self) -> None:
        """Stop the server; its processes go on."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None

    def close(self) -> None:
        """Stop the server, and forget what it printed."""
        self.stop()
        if self._output is not None:
            self._output.close()
            self._output = None


_SERVERS: dict[tuple[int, tuple[str, ...]], ForkServer] = {}


def shared_server(preload: Sequence[str]) -> ForkServer:
    """Return this process' fork server with these modules; it runs until the process ends."""
    return _SERVERS.setdefault((os.getpid(), tuple(preload)), ForkServer(preload))


@atexit.register
def _stop_servers() -> None:
    """Stop this process' servers at its end; copies of it may end at other times."""
    for (pid, _), server in _SERVERS.items():
        if pid == os.getpid():
            server.close()


def _unnamed_file() -> IO[bytes]:
    """Return a new file without a name, in memory if possible: the disk may be full."""
    try:
        return os.fdopen(os.memfd_create("nas output"), "w+b")
    except (AttributeError, OSError):  # other systems than Linux
        return tempfile.TemporaryFile()


def _last_line(file: IO[bytes]) -> str:
    """Return the last line of what was written to a file, whose position belongs to the writer."""
    size = os.fstat(file.fileno()).st_size
    text = os.pread(file.fileno(), OUTPUT_BYTES, max(0, size - OUTPUT_BYTES)).decode(errors="replace")
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _first_line(status: int) -> int | None:
    """Return the number of the process that the server has forked, None if the server died."""
    read, until = b"", time.monotonic() + START_SECONDS
    while not read.endswith(b"\n"):
        if not _ready(status, until - time.monotonic()):
            return None
        piece = os.read(status, 1)  # what follows is the exit code, for later
        if not piece:
            return None
        read += piece
    return int(read.split()[1])


def _ready(descriptor: int, timeout: float) -> bool:
    poll = select.poll()  # select() refuses descriptors from 1024
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, timeout) * 1000))


def _folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def _search_path() -> list[str]:
    """Return `sys.path` with the working directory, which an empty entry stands for, by its name."""
    folder = _folder() or "/"
    return [entry or folder for entry in sys.path]


def _interpreter() -> str:
    """Return the path of the Python interpreter.

    Raises:
        ValueError: this program is its own interpreter.
    """
    named = os.fsdecode(spawn.get_executable() or "")
    if not named or (getattr(sys, "frozen", False) and named == sys.executable):
        raise ValueError(
            "worker processes need a Python interpreter, which this program is not: "
            "name one by multiprocessing.set_executable(...) before the search"
        )
    return named


def _surroundings(*, main: bool) -> Surroundings:
    """Return this process' state, with the way to its main program if a child needs that.

    Raises:
        ValueError: it needs it, and no file holds it.
    """
    found: dict[str, Any] | None = None
    if main:
        data = spawn.get_preparation_data("nas slot")
        found = {name: value for name, value in data.items() if name.startswith("init_main")}
        file = found.get("init_main_from_path")
        if not found or (file is not None and not os.path.isfile(file)):
            raise ValueError(
                "a function that runs in worker processes must be in a module or a script, as they import it; "
                "the main program is neither"
            )
    return Surroundings(_search_path(), dict(os.environ), _folder(), found)


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: it goes to the whole process group, and the driver acts on it.

    A blocked signal stays blocked in the fork server and in all processes that it forks. In the driver itself an
    interrupt is delivered at the end of the block.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
