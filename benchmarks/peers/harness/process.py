"""Process of a peer, as the harness sees it: requests and replies as JSON lines."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from harness.catalogue import Peer

CostsOf = Callable[[Sequence[Mapping[str, Any]]], list[float]]
"""Returns log10 MACs of configurations."""

LINES_OF_A_FAILURE = 15


class PeerError(RuntimeError):
    """A peer's process that ended, with the last lines that it printed."""


@final
class PeerProcess:
    """Running peer; a context manager that ends the process.

    Attributes:
        thought: processor seconds that the optimizer has used since its libraries were imported.
    """

    def __init__(self, peer: Peer, costs_of: CostsOf) -> None:
        """Start the process in an empty folder of its own, so that what its library writes is gone with it."""
        self._name = peer.name
        self._costs_of = costs_of
        self._folder = tempfile.TemporaryDirectory(prefix=f"peer-{peer.name}-", ignore_cleanup_errors=True)
        self._log = Path(self._folder.name) / "stderr.txt"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                peer.command,
                cwd=self._folder.name,
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.thought = 0.0

    def __enter__(self) -> PeerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def request(self, **document: Any) -> dict[str, Any]:
        """Return the reply to a request.

        Raises:
            PeerError: the process has ended.
        """
        self._write(document)
        while "costs_of" in (reply := self._read()):
            self._write({"costs": self._costs_of(reply["costs_of"])})
        self.thought = reply["thought"]
        return reply

    def _write(self, document: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(document) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._failure() from None

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._failure()
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _failure(self) -> PeerError:
        code = self._process.wait()
        said = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES_OF_A_FAILURE:]
        return PeerError("\n".join([f"{self._name} ended with exit code {code}:", *said]))


def _environment() -> dict[str, str]:
    """Return our environment without ways to our modules, and with one thread for linear algebra."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    return kept | dict.fromkeys(threads, "1") | {"PYTHONHASHSEED": "0"}
