"""Process that records, and the pipe to it, which never blocks its driver.

A tracker's library runs in a process of its own. Measured reasons, with W&B: in the driver, its exit hook waits for
uploads however long they take, a killed driver loses every row since the last flush, and its import takes half a second
of the interpreter lock.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast, final

from nas.jobs.links import open_log

CHUNK_BYTES = 1 << 16
OPTIONAL_BYTES = 1 << 20
"""Unsent bytes from which on a message that a later one repeats is not sent."""


@dataclass(frozen=True)
class Ended:
    """End of a recording process.

    Attributes:
        status: JSON object that it printed last; None if it failed.
    """

    status: Mapping[str, Any] | None


@final
class RecordingProcess:
    """Process that gets JSON messages, one a line, and prints a status at its end.

    It has a session of its own, so that Ctrl-C in a terminal reaches only the driver. If the driver is killed, its
    input ends, and it records what has arrived.
    """

    def __init__(self, module: str, log_file: Path, environment: Mapping[str, str]) -> None:
        """Start the process.

        Args:
            module: module with the recorder.
            log_file: file of its standard error.
            environment: environment variables.
        """
        self.log_file = log_file
        self._buffer = bytearray()
        self._gone = False
        with os.fdopen(open_log(log_file, append=False), "wb") as errors:
            self.process = subprocess.Popen(  # -P: nothing is imported from the working directory
                [sys.executable, "-P", "-m", "nas.tracking.process", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=dict(environment),
                start_new_session=True,
            )
        self._input, self._output = cast("IO[bytes]", self.process.stdin), cast("IO[bytes]", self.process.stdout)
        os.set_blocking(self._input.fileno(), False)

    @property
    def gone(self) -> bool:
        """True once it has ended before its input did."""
        return self._gone

    @property
    def busy(self) -> bool:
        """True while so much is unsent that messages which later ones repeat are better left out."""
        return len(self._buffer) > OPTIONAL_BYTES

    def send(self, **message: Any) -> None:
        """Add a message to the buffer, and write what the pipe takes."""
        if not self._gone:
            self._buffer += json.dumps(message).encode() + b"\n"
            self.flush()

    def flush(self) -> None:
        """Write as much of the buffer as the pipe takes without blocking."""
        while self._buffer and not self._gone:
            try:
                written = os.write(self._input.fileno(), self._buffer[:CHUNK_BYTES])
            except BlockingIOError:
                return
            except BrokenPipeError:
                self._give_up()
                return
            del self._buffer[:written]

    def end(self, seconds: float) -> Ended:
        """Send the rest, end the input, and wait for the process; kill it after `seconds`."""
        deadline = time.monotonic() + seconds
        while self._buffer and not self._gone and time.monotonic() < deadline:
            select.select([], [self._input], [], 0.5)
            self.flush()
        if self._gone:
            return Ended(None)
        self._input.close()
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        with self._output:
            printed = self._output.read()
        failed = self.process.returncode != 0 or not printed
        return Ended(None if failed else json.loads(printed.splitlines()[-1]))

    def last_line(self) -> str:
        """Return the last line of its log."""
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it was killed")

    def _give_up(self) -> None:
        self._gone = True
        self._buffer.clear()
        self._input.close()
        self._output.close()
        self.process.wait()
