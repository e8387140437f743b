"""Server of the live page on the loopback address, until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from os import strerror
from types import FrameType
from typing import final

import uvicorn
from threadpoolctl import threadpool_limits

from nas.reports.live.application import LivePage
from nas.reports.live.guard import Guard
from nas.reports.live.library import Library

HOST = "127.0.0.1"
GRACE_SECONDS = 1
"""Seconds for which answers under way may go on after Ctrl-C."""


def serve(library: Library, port: int, started: Callable[[str], None]) -> int:
    """Serve studies on 127.0.0.1 until Ctrl-C or SIGTERM; return the number of the signal.

    Args:
        library: the studies.
        port: port to listen on, 0 for a free one.
        started: called with the page's address once it can be opened.

    Raises:
        ValueError: the port is taken.
    """
    with listen(port) as listening, threadpool_limits(limits=1, user_api="blas"):
        server = Server(library, listening, started)
        with suppress(KeyboardInterrupt):  # uvicorn raises the signal once more at its end
            server.run(sockets=[listening])
        return server.signal or signal.SIGINT


def listen(port: int) -> socket.socket:
    """Return a socket that listens on 127.0.0.1.

    Args:
        port: the port, 0 for a free one.

    Raises:
        ValueError: the port is taken.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise ValueError(
            f"port must be free on {HOST}, {port} is not ({strerror(error.errno or 0)}); take another port="
        ) from error


@final
class Server(uvicorn.Server):
    """Server of the live page that ends its streams before it waits for their end."""

    def __init__(self, library: Library, listening: socket.socket, started: Callable[[str], None]) -> None:
        """Serve nothing yet; `run` does.

        Args:
            library: the studies.
            listening: socket that it is served on.
            started: called with the page's address once it can be opened.
        """
        port = listening.getsockname()[1]
        self._page, self._started = LivePage(library), started
        self._address = f"http://{HOST}:{port}/"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._announcing: asyncio.Task[None] | None = None
        self.signal: int | None = None
        super().__init__(
            uvicorn.Config(
                Guard(self._page.application, port),
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell the address."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._announcing = self._loop.create_task(self._announce())

    async def _announce(self) -> None:
        await self._page.preload()
        if not self.should_exit:
            self._started(self._address)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End on a signal, and remember the first."""
        self.signal = self.signal or sig
        super().handle_exit(sig, frame)
        self.end()

    def end(self) -> None:
        """End soon; called in any thread."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._page.close)
