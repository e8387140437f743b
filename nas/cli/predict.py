"""`nas predict`: classes of image files by an exported network, in any of its formats."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax

from nas.cli.common.exported import exported_networks
from nas.cli.common.printing import Row, print_document
from nas.config.commands import PredictConfig
from nas.data.decode import Entry, decode_to
from nas.data.errors import DataError
from nas.data.picture_files import LeftOut, pictures
from nas.reports.tested import predictions_table

if TYPE_CHECKING:
    from nas.exports.predictors import Predictor

BATCH = 64


def run(config: PredictConfig) -> int:
    """Print the most probable classes of each image.

    Returns:
        0, or 1 if an image can't be read; a line on standard error names it, and the others follow.

    Raises:
        ValueError: no such model, or no image is named.
    """
    files = list(_files(config.images))
    if not files:
        raise ValueError("images must name image files or folders of them: nas predict model=FOLDER a.png b.png")
    predictor = exported_networks("predict").open_predictor(config.path)
    results: list[dict[str, Any]] = []
    for start in range(0, len(files), BATCH):
        results += _classified(predictor, files[start : start + BATCH], config.topk)
    for result in results:
        if "error" in result:
            sys.stderr.write(f"{result['error']}\n")
    document = {"model": str(predictor.file), "images": results}
    print_document(document, config.format, predictions_table, prediction_rows)
    return int(any("error" in result for result in results))


def _files(images: Sequence[str]) -> Iterator[str]:
    """Yield the named files, and the pictures below the named folders in alphabetical order."""
    for name in images:
        path = Path(name).expanduser()
        if path.is_dir():
            yield from sorted(pictures(path, LeftOut()))
        else:
            yield str(path)


def _classified(predictor: Predictor, files: Sequence[str], count: int) -> list[dict[str, Any]]:
    """Return `file` with `classes`, the most probable first, or with an `error`, for each file."""
    decoded: dict[str, Any] = {}
    for file in files:
        try:
            decoded[file] = decode_to(Entry(file, Path(file)), predictor.shape)
        except DataError as error:
            decoded[file] = str(error)
    pixels = [found for found in decoded.values() if not isinstance(found, str)]
    probabilities = iter(softmax(predictor.predict(np.stack(pixels)), axis=1) if pixels else ())
    results = []
    for file in files:
        if isinstance(decoded[file], str):
            results.append({"file": file, "error": decoded[file]})
            continue
        shares = next(probabilities)
        first = np.argsort(-shares, kind="stable")[:count]
        named = [{"name": predictor.classes[i], "probability": float(shares[i])} for i in first]
        results.append({"file": file, "classes": named})
    return results


def prediction_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row for each image and class."""
    rows: list[Row] = [["file", "class", "probability", "error"]]
    for image in document["images"]:
        if "error" in image:
            rows.append([image["file"], "", "", image["error"]])
        rows += [[image["file"], found["name"], found["probability"], ""] for found in image.get("classes", ())]
    return rows
