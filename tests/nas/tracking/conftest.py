"""Fake W&B server on the loopback address, with what recording, uploading and resuming need."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class FakeWandb(ThreadingHTTPServer):
    """Server that keeps the history of every run as the real one does: line by line, each upload from its offset.

    `mode` is `ok`, `hang` (no answer until `release`) or `broken` (500 to everything).
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, mode: str = "ok") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.mode = mode
        self.released = threading.Event()
        self.asked = threading.Event()
        self.operations: list[str] = []
        self.bodies: list[str] = []
        self.uploads: dict[str, bytes] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.history: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.artifacts: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do nothing: clients are killed in these tests."""

    def answer(self, path: str, body: bytes) -> dict[str, Any]:
        self.bodies.append(body.decode("utf-8", "replace"))
        if path == "/graphql":
            document = json.loads(body)
            return {"data": self._operation(document["query"], document.get("variables") or {})}
        if path.endswith("/file_stream"):
            self._stream(path.split("/")[-2], json.loads(body))
        elif path.startswith("/upload/"):
            self.uploads[path.removeprefix("/upload/")] = body
        return {}

    def _operation(self, query: str, given: dict[str, Any]) -> dict[str, Any]:
        name = re.split(r"[\s({]+", query.strip())[1]
        self.operations.append(name)
        known = getattr(self, f"_{name}", None)
        return known(given) if known else {}

    def _stream(self, run: str, document: dict[str, Any]) -> None:
        part = document.get("files", {}).get("wandb-history.jsonl")
        if part:
            self.history[run][part["offset"] :] = [json.loads(line) for line in part["content"]]

    def _Viewer(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - names of the operations
        return {"viewer": {"id": "u", "entity": "tester", "username": "tester", "flags": "{}", "teams": {"edges": []}}}

    def _ServerFeaturesQuery(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"serverInfo": {"features": []}}

    def _RunResumeStatus(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        project = {"id": "p", "name": given["project"], "entity": {"id": "e", "name": "tester"}}
        lines = self.history[given["name"]]
        bucket = {
            "id": "b",
            "name": given["name"],
            "displayName": given["name"],
            "summaryMetrics": "{}",
            "logLineCount": 0,
            "eventsLineCount": 0,
            "historyLineCount": len(lines),
            "historyTail": json.dumps([json.dumps(line) for line in lines[-1:]]),
            "eventsTail": "[]",
            "config": "{}",
            "tags": [],
            "wandbConfig": '{"t": 1}',
        }
        return {"model": {**project, "bucket": bucket if given["name"] in self.runs else None}}

    def _UpsertBucket(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = given["name"]
        self.runs.setdefault(name, {}).update({key: value for key, value in given.items() if value is not None})
        project = {"id": "p", "name": given["project"], "entity": {"id": "e", "name": "tester"}}
        shown = {"id": "b", "name": name, "displayName": name, "description": "", "config": "{}", "sweepName": None}
        bucket = {**shown, "project": project, "historyLineCount": len(self.history[name])}
        return {"upsertBucket": {"bucket": bucket, "inserted": True}}

    def _CreateRunFiles(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        files = [{"name": name, "uploadUrl": f"{self.url}/upload/{given['run']}/{name}"} for name in given["files"]]
        return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": files}}

    def _CreateArtifact(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self.artifacts.append(given["input"])
        sequence = {"id": "q", "latestArtifact": {"id": "a", "versionIndex": 0}}
        return {"createArtifact": {"artifact": {"id": "a", "state": "COMMITTED", "artifactSequence": sequence}}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeWandb

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.asked.set()
        if self.server.mode == "hang":
            self.server.released.wait()
        if self.server.mode == "broken":
            self._reply(500, {"error": "out of order"})
        else:
            self._reply(200, self.server.answer(self.path, body))

    do_PUT = do_GET = do_POST  # noqa: N815

    def _reply(self, code: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing into the output of a test."""


@pytest.fixture
def server() -> Iterator[FakeWandb]:
    fake = FakeWandb()
    thread = threading.Thread(target=fake.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield fake
    fake.released.set()
    fake.shutdown()
    fake.server_close()
