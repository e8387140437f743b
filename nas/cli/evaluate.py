"""`nas evaluate`: scores of an exported network, in any of its formats, on a part of an image set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nas.cli.common.exported import exported_networks
from nas.cli.common.printing import Row, print_document
from nas.config.commands import EvaluateConfig
from nas.data import announce, describe
from nas.reports.tested import evaluation_table


def run(config: EvaluateConfig) -> int:
    """Print the scores.

    Raises:
        ValueError: no such model or part, images of another shape or other classes than the model's.
    """
    networks = exported_networks("evaluate")
    predictor = networks.open_predictor(config.path)
    channels, height, width = predictor.shape
    data = config.data
    if data.source not in {"digits", "tensors"}:  # other sources are decoded to the network's images
        data = replace(data, channels=channels, resolution=height if height == width else data.resolution)
    announce(describe(data), counts=False)
    scores = networks.evaluate(predictor, data, config.part)
    document = {"model": str(predictor.file), "data": data.name, "part": config.part, **scores}
    print_document(document, config.format, evaluation_table, evaluation_rows)
    return 0


def evaluation_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row, without the confusion matrix."""
    kept = {name: value for name, value in document.items() if not isinstance(value, (list, dict))}
    return [list(kept), list(kept.values())]
