"""Probe of the network, which calls servers only where the user asks for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from nas.cli.probes.finding import Finding, ok, warning
from nas.jobs.credentials import without_credentials
from nas.tracking.wandb.mode import DEFAULT_URL

SECONDS = 8.0
"""Patience with one server."""
PACKAGES = "https://pypi.org/simple/"
HUB = "https://huggingface.co"

Call = Callable[[str], None]
"""Asks a server for its page, or raises OSError."""


def call(url: str) -> None:
    """Ask for the head of a page; an answer of any kind is one.

    Raises:
        OSError: there is no answer.
    """
    try:
        with urlopen(Request(url, method="HEAD"), timeout=SECONDS):
            pass
    except HTTPError:
        return


def probe(*, network: bool, environ: Mapping[str, str] = os.environ, ask: Call = call) -> list[Finding]:
    """Return which servers answer; without `network` none is called.

    Args:
        network: whether servers may be called.
        environ: the environment, which may name other servers.
        ask: calls one.
    """
    if not network:
        return [ok("network", "no server is called; network=true calls the Hub, W&B and the package index")]
    servers = {
        "the Hugging Face Hub": environ.get("HF_ENDPOINT") or HUB,
        "W&B": environ.get("WANDB_BASE_URL") or DEFAULT_URL,
        "the package index": PACKAGES,
    }
    silent = {name: url for name, url in servers.items() if not _answers(url, ask)}
    if silent:
        named = ", ".join(f"{name} ({without_credentials(url)})" for name, url in silent.items())
        advice = "searches need none of them; images, uploads and packages from there do: see proxy and firewall"
        return [warning("network", f"no answer from {named}", advice)]
    return [ok("network", f"{', '.join(servers)} answer")]


def _answers(url: str, ask: Call) -> bool:
    try:
        ask(url)
    except (OSError, ValueError):
        return False
    return True
