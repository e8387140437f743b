"""Data sets on the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import datasets
from datasets.exceptions import DatasetsError

from nas.config.data import DataSpec
from nas.data.errors import DataError
from nas.data.readers import Source
from nas.data.readers.tables import make_source


@contextmanager
def open_source(spec: DataSpec) -> Iterator[Source]:
    """Open a data set on the Hub, downloaded to the cache of Hugging Face's own tools.

    Another resolution downloads nothing again.

    Raises:
        DataError: no such data set, no network, or no unique column of images or of labels.
    """
    yield make_source(_load_tables(spec), spec, f"{spec.hub} on the Hugging Face Hub")


def _load_tables(spec: DataSpec) -> Mapping[str, Any]:
    try:
        tables: Mapping[str, Any] = datasets.load_dataset(spec.hub, spec.hub_config, revision=spec.hub_revision)
    except ConnectionError as error:
        raise DataError(
            f"the Hugging Face Hub must be reachable to load {spec.hub} for the first time: {_first_line(error)}; "
            f"without a network, set data.path=FOLDER to its Parquet files (data=cifar10), or use data=digits"
        ) from error
    except (DatasetsError, OSError, ValueError) as error:
        raise DataError(
            f"data.name must be an image set on the Hugging Face Hub, {spec.hub}: {_first_line(error)}"
        ) from error
    return tables


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
