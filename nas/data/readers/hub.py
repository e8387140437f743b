"""Data sets on the Hugging Face Hub."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import datasets
import huggingface_hub.constants as hub
from datasets.exceptions import DatasetsError
from huggingface_hub import get_session

from nas.config.data import DataSpec
from nas.data.errors import DataError
from nas.data.readers import Source
from nas.data.readers.tables import make_source

PATIENCE = 3.0
"""Seconds in which the Hub must answer; else the data set must be in the cache. Its own tools try for a minute."""


@contextmanager
def open_source(spec: DataSpec) -> Iterator[Source]:
    """Open a data set on the Hub, downloaded to the cache of Hugging Face's own tools.

    Another resolution downloads nothing again.

    Raises:
        DataError: no such data set, no network, or no unique column of images or of labels.
    """
    yield make_source(_load_tables(spec), spec, f"{spec.hub} on the Hugging Face Hub")


def _load_tables(spec: DataSpec) -> Mapping[str, Any]:
    reachable = hub.HF_HUB_OFFLINE or datasets.config.HF_HUB_OFFLINE or _answers(hub.ENDPOINT)
    try:
        with nullcontext() if reachable else _offline():
            tables: Mapping[str, Any] = datasets.load_dataset(spec.hub, spec.hub_config, revision=spec.hub_revision)
    except ConnectionError as error:
        reason = _first_line(error) if reachable else f"{hub.ENDPOINT} does not answer"
        raise DataError(
            f"the Hugging Face Hub must be reachable to load {spec.hub} for the first time: {reason}; "
            f"without a network, set data.path=FOLDER to its Parquet files (data=cifar10), or use data=digits"
        ) from error
    except (DatasetsError, OSError, ValueError) as error:
        raise DataError(
            f"data.name must be an image set on the Hugging Face Hub, {spec.hub}: {_first_line(error)}"
        ) from error
    return tables


def _answers(url: str) -> bool:
    """Return whether a server answers within `PATIENCE`, the time to look up its name included, whatever it says."""
    found = []

    def ask() -> None:
        try:
            get_session().head(url, timeout=PATIENCE)
        except Exception:
            return
        found.append(url)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return bool(found)


@contextmanager
def _offline() -> Iterator[None]:
    """Let the Hub's tools look into their cache alone."""
    before = hub.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    hub.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
