"""`nas evaluate`: scores of an exported network, in any of its formats, on a part of an image set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nas.cli.common.exported import exported_networks
from nas.cli.common.fitted import FIXED, fitted_data
from nas.cli.common.printing import Row, print_document
from nas.config.commands import EvaluateConfig
from nas.data import DataSpec, announce, describe
from nas.reports.tested import evaluation_table

if TYPE_CHECKING:
    from nas.exports.predictors import Predictor


def run(config: EvaluateConfig) -> int:
    """Print the scores.

    Raises:
        ValueError: no such model or part, images of another shape or other classes than the model's.
    """
    networks = exported_networks("evaluate")
    predictor, data = _published(config) if config.reference else _exported(config, networks)
    announce(describe(data), counts=False)
    scores = networks.evaluate(predictor, data, config.part)
    document = {"model": str(predictor.file), "data": data.name, "part": config.part, **scores}
    print_document(document, config.format, evaluation_table, evaluation_rows)
    return 0


def _exported(config: EvaluateConfig, networks: ModuleType) -> tuple[Predictor, DataSpec]:
    """Return an exported network and the images in its size."""
    predictor: Predictor = networks.open_predictor(config.path)
    channels, height, width = predictor.shape
    data = config.data
    if data.source in FIXED:
        return predictor, data
    return predictor, replace(data, channels=channels, resolution=height if height == width else data.resolution)


def _published(config: EvaluateConfig) -> tuple[Predictor, DataSpec]:
    """Return a published network and the images in its size, or in the one that is given.

    Raises:
        ValueError: weights of another network, images that it does not run on, or classes that are not its own.
    """
    published = resolve_name("nas.exports.published")
    weights = Path(str(config.weights)).expanduser()
    origin = published.read_published(config.reference, weights)
    data = fitted_data(config.data, origin)
    info = describe(data)
    classes = info.classes if config.classes is None else _named(Path(config.classes).expanduser())
    return published.open_published(origin, weights, classes, info.shape), data


def _named(file: Path) -> tuple[str, ...]:
    """Return the names in a text file, one a line.

    Raises:
        ValueError: it can't be read, or names a class twice.
    """
    try:
        names = tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, ValueError) as error:
        raise ValueError(f"classes must be a text file with a name a line, {file} can't be read: {error}") from error
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"classes must be different, {file} names {twice[0]} twice")
    return names


def evaluation_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row, without the confusion matrix."""
    kept = {name: value for name, value in document.items() if not isinstance(value, (list, dict))}
    return [list(kept), list(kept.values())]
