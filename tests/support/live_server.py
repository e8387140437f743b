"""Live page of some studies' folders, served in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.testclient import TestClient

from nas.reports.document import ReportContext
from nas.reports.live.application import LivePage
from nas.reports.live.entries import Entries
from nas.reports.live.follower import FOLLOWER, SLOW, Source
from nas.reports.live.guard import Guard
from nas.reports.live.library import Library
from nas.reports.live.server import Server, listen
from nas.study.summary import open_for_reading


def library(*folders: Path, only: str | None = None) -> Library:
    """Return the studies of these folders."""
    by_name = {folder.name: folder for folder in folders}

    def source(name: str) -> Source:
        context = ReportContext(f"study={name}", search=f"nas search study={name}")
        return Source(name, lambda: open_for_reading(by_name[name]), lambda _: context)

    entries = Entries(lambda _: None, lambda name: open_for_reading(by_name[name]))
    return Library(lambda: list(by_name), source, entries.entry, only)


PORT = 8765
BASE = f"http://127.0.0.1:{PORT}"


@contextmanager
def pages(*folders: Path, only: str | None = None) -> Iterator[TestClient]:
    """Yield a client of the live page of these folders' studies, without a network."""
    page = LivePage(library(*folders, only=only))
    with TestClient(Guard(page.application, PORT), BASE, follow_redirects=False) as opened:
        yield opened
    page.close()
    join_followers()


@contextmanager
def served(shown: Library) -> Iterator[str]:
    """Serve the live page of a library during the block; yield its address."""
    addresses: queue.SimpleQueue[str] = queue.SimpleQueue()
    with listen(0) as listening:
        server = Server(shown, listening, addresses.put)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield addresses.get(timeout=30)
        finally:
            server.end()
            thread.join()
            join_followers()


def join_followers() -> None:
    """Wait for the ends of the threads of pages that were closed: filters of warnings are of the whole process."""
    for thread in threading.enumerate():
        if thread.name in {FOLLOWER, SLOW}:
            thread.join()
