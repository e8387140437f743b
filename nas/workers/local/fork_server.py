"""Fork server: a process that loads the heavy libraries once, and forks a process for each request of its driver.

multiprocessing's own imports the driver's main program in every child, which fails for a program on standard input,
and runs a program without an `if __name__ == "__main__"` again; it starts no process in a daemonic one, and needs a
socket in a folder whose path is short. Here driver and server share a pair of sockets, and a child imports the main
program only if it runs something that is defined there.

The server runs one thread, as what is forked from several may never get a lock. It ends when its driver is gone.
"""

from __future__ import annotations

import importlib
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import spawn
from multiprocessing.connection import Connection
from typing import Any, final

REQUEST = b"f"
FILES = 3
"""Files of a request: the child's end of its pipe, the pipe for its status, and the file for its output."""

FAILED = 1
STANDARD = (0, 1, 2)
CAUGHT = (signal.SIGCHLD, signal.SIGTERM)

preparing = False
"""Whether this process is a child that has not finished importing the driver's main program."""


@dataclass(frozen=True)
class Surroundings:
    """State of the driver that a child takes over before it imports anything.

    Attributes:
        path: `sys.path`.
        environment: the environment variables.
        folder: working directory, None if it was deleted.
        main: multiprocessing's preparation by which a child imports the driver's main program, None without need.
    """

    path: Sequence[str]
    environment: dict[str, str]
    folder: str | None
    main: dict[str, Any] | None

    def take_over(self) -> None:
        """Set the state of this process."""
        global preparing  # noqa: PLW0603 - a main program that is imported may ask for processes
        sys.path[:] = self.path
        os.environ.clear()
        os.environ.update(self.environment)
        with suppress(OSError):
            os.chdir(self.folder or "/")
        if self.main is not None:
            preparing = True
            spawn.prepare(self.main)
            preparing = False


def main(control: int, preload: Sequence[str]) -> None:
    """Import the libraries, then fork at every request until the driver is gone.

    Args:
        control: descriptor of this process' end of the pair of sockets.
        preload: names of modules; those that can't be imported are left to the children.
    """
    for name in preload:
        try:
            importlib.import_module(name)
        except Exception:
            traceback.print_exc()
    with socket.socket(fileno=control) as driver:
        child = _Server(driver).run()
    if child is not None:
        child()


@final
class _Server:
    """Loop of the server; leaves it in every child."""

    def __init__(self, driver: socket.socket) -> None:
        self._driver = driver
        self._status: dict[int, int] = {}
        self._wake, self._woken = os.pipe()
        self._before: dict[int, Any] = {}

    def run(self) -> Callable[[], None] | None:
        """Serve until the driver is gone; in a child return what it runs."""
        for end in (self._wake, self._woken):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._woken)
        # The server is told to end by the end of its driver alone: SIGTERM may go to a whole group of processes.
        self._before = {number: signal.signal(number, lambda *_: None) for number in CAUGHT}
        with selectors.DefaultSelector() as selector:
            selector.register(self._driver, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._wake in ready:
                    self._reap()
                if self._driver not in ready:
                    continue
                request, files, *_ = socket.recv_fds(self._driver, len(REQUEST), FILES)
                if not request:
                    return None
                if (child := self._fork(*files)) is not None:
                    return child

    def _reap(self) -> None:
        """Report the exit codes of the children that have ended."""
        with suppress(BlockingIOError):
            os.read(self._wake, 4096)
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._tell(self._status.pop(ended[0]), f"exit {os.waitstatus_to_exitcode(ended[1])}\n", last=True)

    def _fork(self, connection: int, status: int, output: int) -> Callable[[], None] | None:
        try:
            pid = os.fork()
        except OSError as error:  # no memory, or too many processes
            os.write(output, f"no process could be forked: {error.strerror}\n".encode())
            self._tell(status, f"pid 0\nexit {FAILED}\n", last=True)
            pid = -1
        if pid == 0:
            self._leave(status)
            return lambda: _run(connection, output)
        if pid > 0:
            self._status[pid] = status
            self._tell(status, f"pid {pid}\n")
        os.close(connection)
        os.close(output)
        return None

    @staticmethod
    def _tell(status: int, line: str, *, last: bool = False) -> None:
        with suppress(BrokenPipeError):  # the driver no longer wants to know
            os.write(status, line.encode())
        if last:
            os.close(status)

    def _leave(self, status: int) -> None:
        """Close what belongs to the server, in a child: an open end of a pipe would hide the other's end."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        for end in (self._wake, self._woken, status, *self._status.values()):
            os.close(end)


def _run(connection: int, output: int) -> None:
    """Run what the driver sends: its surroundings, then a function with the first of its arguments."""
    try:
        for stream in STANDARD[1:]:
            os.dup2(output, stream)
        os.close(output)
        pipe: Connection[Any, Any] = Connection(connection)
        pipe.recv().take_over()
        function, arguments = pipe.recv()
        function(pipe, *arguments)
    except EOFError:  # the driver is gone
        os._exit(FAILED)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(FAILED)
