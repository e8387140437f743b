"""Recording process of W&B: rows in on standard input, one JSON line of status out at the end.

If standard input ends without an end message, the driver was killed; the rows that arrived are recorded all the same.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

from nas.tracking.wandb.study_run import StudyRun
from nas.tracking.wandb.upload import Uploader

POLL_SECONDS = 1.0

Message = dict[str, Any]
Inbox = queue.SimpleQueue[Message | None]


def main() -> None:
    """Record until the driver sends the end of the search, or is gone."""
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
    """Record rows as they arrive, and the figure of the front every `plot_seconds`."""
    drawn = time.monotonic()
    end: Message | None = None
    open_ended = True
    while open_ended:
        for message in _received(inbox):
            if message is None:
                open_ended = False
            elif message["kind"] == "end":
                end = message
            else:
                run.add(message["row"])
        if open_ended and time.monotonic() - drawn >= plot_seconds:
            run.record_front()
            drawn = time.monotonic()
        if uploader:
            uploader.poll()
    run.finish(end)


def _received(inbox: Inbox) -> list[Message | None]:
    """Return all messages in the queue, after waiting at most `POLL_SECONDS` for the first."""
    messages: list[Message | None] = []
    try:
        messages.append(inbox.get(timeout=POLL_SECONDS))
        while True:
            messages.append(inbox.get_nowait())
    except queue.Empty:
        return messages


if __name__ == "__main__":
    main()
