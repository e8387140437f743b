"""Fixtures of the tests of reports: invented studies, and a headless Chromium without a driver library.

The tests control the browser by its DevTools protocol over two pipes, as JSON documents that end with a zero byte.
"""

from __future__ import annotations

import json
import math
import os
import random
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from engine import begin, propose
from optuna.samplers import RandomSampler

from nas.jobs import Epoch, Failure
from nas.objectives.limits import Limits
from nas.objectives.pareto import Axis
from nas.objectives.requirements import Requirements
from nas.samplers.view import View
from nas.search.proposer import Proposer
from nas.study.study import Study, create_study
from nas.study.training_state import TrainingState
from nas.study.trial import Candidate
from search_space.graph import Shape
from search_space.space import parse_space

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--remote-debugging-pipe",
    "about:blank",
)


class Browser:
    """Browser with one offline page, its network requests, its error messages and its dialogs."""

    def __init__(self, program: str, profile: Path) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        command = shlex.join([program, f"--user-data-dir={profile}", *OPTIONS])
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", f"exec {command} 3<&{to_read} 4>&{to_write}"],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._received = b""
        self._last = 0
        self._session: str | None = None
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.dialogs: list[str] = []

    def start(self) -> None:
        """Attach to the page and take it off the network."""
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.call("Network.emulateNetworkConditions", **offline)

    def open(
        self, page: Path | str, *, width: int = 1400, height: int = 1000, dark: bool = False, fragment: str = ""
    ) -> None:
        """Open a file of the report, or an address, and wait until it is drawn."""
        address = page if isinstance(page, str) else page.as_uri()
        self.requests.clear()
        self.errors.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[theme])
        self.call("Page.navigate", url="about:blank")  # else another fragment is no other page
        self.requests.clear()
        self.call("Page.navigate", url=address + fragment)
        self.until("document.readyState === 'complete' && document.documentElement.dataset.ready !== undefined")

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page, awaited if it is a `Promise`."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def until(self, expression: str, seconds: float = 60.0) -> None:
        """Wait until the expression is true, or fail."""
        assert self.becomes(expression, seconds), f"{expression} must become true; {self.errors}"

    def becomes(self, expression: str, seconds: float) -> bool:
        """Return whether the expression becomes true within `seconds`."""
        deadline = time.monotonic() + seconds
        while not self.evaluate(f"Boolean({expression})"):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def click(self, x: float, y: float) -> None:
        """Move the mouse to a position in the window and click."""
        place = {"x": x, "y": y}
        self.call("Input.dispatchMouseEvent", type="mouseMoved", **place)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag the mouse from one position in the window to another."""
        steps = [(start[0] + (end[0] - start[0]) * i / 4, start[1] + (end[1] - start[1]) * i / 4) for i in range(5)]
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=start[0], y=start[1])
        self.call("Input.dispatchMouseEvent", type="mousePressed", button="left", clickCount=1, x=start[0], y=start[1])
        for x, y in steps:
            self.call("Input.dispatchMouseEvent", type="mouseMoved", button="left", buttons=1, x=x, y=y)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", button="left", clickCount=1, x=end[0], y=end[1])

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            more = os.read(self._read, 1 << 20)
            assert more, "the browser has gone"
            self._received += more
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Runtime.exceptionThrown":
                self.errors.append(json.dumps(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in {"error", "warning", "assert"}:
                self.errors.append(json.dumps(params["args"]))
            case "Log.entryAdded":
                self.errors.append(json.dumps(params["entry"]))
            case "Page.javascriptDialogOpening":
                self.dialogs.append(params["message"])

    def close(self) -> None:
        """End the browser that this test started."""
        self._process.terminate()
        self._process.wait(20)
        os.close(self._write)
        os.close(self._read)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of a Chromium, or skip the test if there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("needs Chromium to look at the page: none of chromium, chromium-browser, google-chrome is there")
    return found


@pytest.fixture(scope="session")
def browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(chromium, tmp_path_factory.mktemp("profile"))
    try:
        opened.start()
        yield opened
    finally:
        opened.close()


CONF = Path(__file__).parents[3] / "conf"
ENDS = {"val_accuracy": ("maximize", False, 1.0, 0.1), "macs": ("minimize", True, 500.0, 4e6)}
LIMIT = 1_500_000
ENDS["params"] = ("minimize", True, 100.0, 1e5)
StudyMaker = Callable[..., Study]


@pytest.fixture(scope="session")
def make_study(tmp_path_factory: pytest.TempPathFactory) -> StudyMaker:
    """Return a function that stores a study of random networks with invented accuracies.

    Every tenth trial from the fourth on failed, from the fifth on was pruned; the last one still runs. Accuracy grows
    with MACs, and most of all with a stem of stride 1.
    """

    def make(
        trials: int = 24,
        *,
        objectives: tuple[str, ...] = ("val_accuracy", "macs"),
        name: str = "invented",
        message: str = "out of memory",
    ) -> Study:
        folder = tmp_path_factory.mktemp("study") / name
        folder.mkdir()
        mapping = yaml.safe_load((CONF / "space" / "quick.yaml").read_text())
        space = parse_space(mapping, Shape(1, 8, 8), 10)
        axes = [Axis(objective, *ENDS[objective]) for objective in objectives]
        augmentation = [{"name": "flip", "module": "flip", "options": {"probability": 0.5}}]
        recipe = {"epochs": 3, "batch_size": 64, "optimizer": "sgd", "learning_rate": 0.3, "schedule": "cosine"}
        made_with = {
            "space": {**mapping, "input": [1, 8, 8], "classes": 10},
            "objectives": [axis.to_json() for axis in axes],
            "data": {"name": "digits", "source": "digits", "val_fraction": 0.2, "split_seed": 0},
            "training": {**recipe, "progressive_resize": 0.75, "augmentation": augmentation},
        }
        study = create_study(folder, made_with)
        view = View(space, axes, lambda seed: RandomSampler(seed=seed), seed=3, worst=False)
        proposer = Proposer(view, Requirements(Limits(max_macs=LIMIT)), seed=1, max_idle_asks=100)
        generator = random.Random(2)
        for index in range(trials):
            candidate = propose(proposer)
            assert candidate is not None
            begin(view, index, candidate.ask, candidate.constraints)
            _train(study, candidate, generator, index, last=index == trials - 1, message=message)
        return study

    return make


def _train(
    study: Study, candidate: Candidate, generator: random.Random, index: int, *, last: bool, message: str
) -> None:
    number = study.add(candidate)
    best = 0.3 + 0.08 * math.log10(candidate.costs["macs"]) + 0.15 * (candidate.params["stem.stride"] == 1)
    best = min(0.99, best + generator.gauss(0, 0.01))
    epochs = {4: 0, 5: 1}.get(index % 10, 3) if not last else 2
    curve = tuple(Epoch(e, 2 / e, 1.9 / e, best * e / 3, best * e / 3 - 0.01, 0.5) for e in range(1, epochs + 1))
    study.store_training(number, curve, TrainingState(attempt=1, clock=2.0 * (index + 1), seconds=0.5 * epochs))
    if last:
        return
    if epochs == 0:
        study.fail(number, Failure("out_of_memory", message))
    elif epochs == 1:
        study.prune(number)
    else:
        known = {"val_accuracy": best, **candidate.costs}
        study.tell(number, {axis.name: known[axis.name] for axis in study.axes})
