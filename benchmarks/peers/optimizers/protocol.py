"""Protocol of a peer: JSON lines between the harness and an optimizer in a process of its own.

The harness writes one request a line to standard input, the process writes one reply a line to what was its standard
output; whatever a library prints goes to standard error instead. Requests:

    {"do": "start", "seed", "epochs", "trainings", "parameters": [{"path", "options", "ordered"}, ...]}
    {"do": "ask"}
    {"do": "tell", "id", "config", "epochs", "losses": [error, log10 MACs], "seconds", "costs": {name: value}}

The reply to `ask` is `{"id", "config": {path: option}, "epochs", "from"}`: train this network to so many epochs, going
on from those of an earlier proposal of it, 0 for none. A tell whose id is null reports a network that the optimizer did
not ask for. Before its reply to `start` or `ask` a process may write `{"costs_of": [config, ...]}`; the
harness answers with `{"costs": [log10 MACs, ...]}`, since costs are known before any training. Every reply carries
`thought`, the processor seconds that the optimizer has used since its libraries were imported.

This file and the optimizers beside it import nothing of the project.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

Option = int | float | str
Config = dict[str, Option]
"""Options by the paths of the choices."""


@dataclass(frozen=True)
class Parameter:
    """One choice of the space.

    Attributes:
        path: its name.
        options: at least two options, in their order if they have one.
        ordered: whether the options are ordered.
    """

    path: str
    options: tuple[Option, ...]
    ordered: bool


@dataclass(frozen=True)
class Problem:
    """Problem that an optimizer is to solve: two objectives, both minimised.

    Attributes:
        parameters: choices of the space, all of them present in every configuration.
        seed: seed of the optimizer.
        epochs: number of epochs of a full training.
        trainings: budget in full-training equivalents.
        costs_of: function that returns log10 MACs of configurations, which are exact before any training.
    """

    parameters: tuple[Parameter, ...]
    seed: int
    epochs: int
    trainings: float
    costs_of: Callable[[Sequence[Config]], list[float]]

    def random_config(self, generator: random.Random) -> Config:
        """Return a configuration with every option drawn uniformly."""
        return {each.path: generator.choice(each.options) for each in self.parameters}


@dataclass(frozen=True)
class Proposal:
    """Training that an optimizer asks for.

    Attributes:
        id: name of the proposal; a training that goes on has the same one.
        config: the network.
        epochs: number of epochs to train to.
        since: number of epochs that the proposal has been trained for already.
    """

    id: str
    config: Config
    epochs: int
    since: int = 0


@dataclass(frozen=True)
class Result:
    """Result of a training.

    Attributes:
        epochs: number of epochs trained.
        losses: validation error after the last of them, and log10 MACs.
        seconds: seconds of the epochs trained just now.
        costs: exact costs of the network by name.
    """

    epochs: int
    losses: tuple[float, float]
    seconds: float
    costs: Mapping[str, float]


class Optimizer(Protocol):
    """Optimizer behind the protocol."""

    def ask(self) -> Proposal:
        """Return the next training."""
        ...

    def tell(self, identity: str, config: Config, result: Result) -> None:
        """Take the result of a training that was asked for."""
        ...

    def note(self, config: Config, result: Result) -> None:
        """Take the result of a training that was not asked for, if the library can."""
        ...


def serve(make: Callable[[Problem], Optimizer]) -> None:
    """Answer the harness until it closes the pipe; `make` builds the optimizer for its problem."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    began = time.process_time()
    optimizer: Optimizer | None = None
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "start":
            optimizer = make(_problem(request, replies))
            reply = {}
        else:
            assert optimizer is not None, "a process is started before it is asked"
            reply = _answer(optimizer, request)
        _write(replies, reply | {"thought": time.process_time() - began})


def _answer(optimizer: Optimizer, request: Mapping[str, Any]) -> dict[str, Any]:
    if request["do"] == "ask":
        proposal = optimizer.ask()
        return {
            "id": proposal.id,
            "config": proposal.config,
            "epochs": proposal.epochs,
            "from": proposal.since,
        }
    result = Result(request["epochs"], tuple(request["losses"]), request["seconds"], request["costs"])
    if request["id"] is None:
        optimizer.note(request["config"], result)
    else:
        optimizer.tell(request["id"], request["config"], result)
    return {}


def _problem(request: Mapping[str, Any], replies: TextIO) -> Problem:
    def costs_of(configs: Sequence[Config]) -> list[float]:
        _write(replies, {"costs_of": list(configs)})
        return list(json.loads(sys.stdin.readline())["costs"])

    parameters = tuple(
        Parameter(each["path"], tuple(each["options"]), each["ordered"]) for each in request["parameters"]
    )
    return Problem(parameters, request["seed"], request["epochs"], request["trainings"], costs_of)


def _write(replies: TextIO, document: Mapping[str, Any]) -> None:
    replies.write(json.dumps(document) + "\n")
    replies.flush()
