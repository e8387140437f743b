"""Recording process: messages in on standard input, one JSON line of status out at the end.

If standard input ends without an end message, the driver was killed; the rows that arrived are recorded all the same.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from nas.tracking.recorder import Message, Recorder

POLL_SECONDS = 1.0

Inbox = queue.SimpleQueue[Message | None]


def main(module: str) -> None:
    """Record until the driver sends the end of the search, or is gone.

    Args:
        module: module with the recorder.
    """
    inbox: Inbox = queue.SimpleQueue()
    threading.Thread(target=_read, args=(inbox,), daemon=True).start()
    start = inbox.get()
    if start is None:
        return
    recorder = import_module(module)
    if start["kind"] == "results":
        status = recorder.record_results(start)
    else:
        status = _record(recorder.open_recorder(start), inbox, start["plot_seconds"])
    print(json.dumps(status), flush=True)


def _read(inbox: Inbox) -> None:
    for line in sys.stdin:
        inbox.put(json.loads(line))
    inbox.put(None)


def _record(recorder: Recorder, inbox: Inbox, plot_seconds: float) -> Mapping[str, Any]:
    """Record rows as they arrive, and pictures of the front every `plot_seconds`; return the status."""
    drawn = time.monotonic()
    end: Message | None = None
    open_ended = True
    while open_ended:
        for message in _received(inbox):
            if message is None:
                open_ended = False
            elif message["kind"] == "end":
                end = message
            elif message["kind"] == "epochs":
                recorder.add_epochs(message["part"])
            else:
                recorder.add(message["row"])
        if open_ended and time.monotonic() - drawn >= plot_seconds:
            recorder.show()
            drawn = time.monotonic()
        recorder.poll()
    return recorder.finish(end)


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
    main(sys.argv[1])
