"""The process that records a search in W&B: rows in on standard input, one JSON line of status out at the end.

When standard input ends without an end message, the driver was killed: what it said is recorded all the same.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

from nas.tracking.upload import Uploader
from nas.tracking.wandb_tracker import StudyRun

TICK_SECONDS = 1.0

Message = dict[str, Any]
Inbox = queue.SimpleQueue[Message | None]


def main() -> None:
    """Record until the driver says that the search has ended, or is gone."""
    inbox: Inbox = queue.SimpleQueue()
    threading.Thread(target=_read, args=(inbox,), daemon=True).start()
    start = inbox.get()
    if start is None:
        return
    folder = Path(start["folder"]) / "wandb"
    run = StudyRun(start)
    uploader = Uploader(folder, run.folder) if start["mode"] == "online" else None
    _record(run, inbox, uploader, start["plot_seconds"])
    uploaded = uploader.finish(start["finish_seconds"]) if uploader else False
    print(json.dumps({"uploaded": uploaded, "url": uploader.url(start["id"]) if uploader else None}), flush=True)


def _read(inbox: Inbox) -> None:
    for line in sys.stdin:
        inbox.put(json.loads(line))
    inbox.put(None)


def _record(run: StudyRun, inbox: Inbox, uploader: Uploader | None, plot_seconds: float) -> None:
    """Rows as they come, the front's picture between them when there is time."""
    drawn = time.monotonic()
    end: Message | None = None
    open_ended = True
    while open_ended:
        for message in _waiting(inbox):
            if message is None:
                open_ended = False
            elif message["kind"] == "end":
                end = message
            else:
                run.add(message["row"])
        if open_ended and time.monotonic() - drawn >= plot_seconds:
            run.draw()
            drawn = time.monotonic()
        if uploader:
            uploader.tick()
    run.finish(end)


def _waiting(inbox: Inbox) -> list[Message | None]:
    """What has come, after at most a tick."""
    messages: list[Message | None] = []
    try:
        messages.append(inbox.get(timeout=TICK_SECONDS))
        while True:
            messages.append(inbox.get_nowait())
    except queue.Empty:
        return messages


if __name__ == "__main__":
    main()
