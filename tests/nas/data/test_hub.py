"""A Hub that does not answer is given up after a few seconds, and its cache is read."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import datasets
import pytest
from huggingface_hub import constants

from nas.data import DataError, DataSpec, load
from nas.data.readers import hub


class Missing(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_error(404)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def answering() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Missing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, bool]]:
    """Whether the Hub's tools were offline at each load of a data set, which finds none."""
    seen: list[tuple[bool, bool]] = []

    def load_dataset(*_: Any, **__: Any) -> None:
        seen.append((constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE))
        raise ConnectionError("nothing here")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "PATIENCE", 0.3)
    return seen


def test_a_hub_that_does_not_answer(
    silent: str, asked: list[tuple[bool, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", silent)
    with pytest.raises(DataError, match=rf"for the first time: {silent} does not answer; .*set data.path=FOLDER"):
        load(DataSpec(name="owner/set", source="hub"))
    assert asked == [(True, True)]
    assert (constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE) == (False, False)


def test_a_hub_that_answers(answering: str, asked: list[tuple[bool, bool]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "PATIENCE", 60.0)
    monkeypatch.setattr(constants, "ENDPOINT", answering)
    with pytest.raises(DataError, match="for the first time: nothing here; "):
        load(DataSpec(name="owner/set", source="hub"))
    assert asked == [(False, False)]
