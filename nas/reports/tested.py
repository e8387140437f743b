"""Tables of what exported networks say: classes of image files, and scores on an image set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Document = Mapping[str, Any]
SHOWN = 15
"""Largest number of classes whose recall is listed."""


def predictions_table(document: Document) -> RenderableType:
    """Return the most probable classes of each image that could be read, one image a row."""
    table = Table(pad_edge=False, box=None, show_header=False)
    for image in document["images"]:
        if "classes" in image:
            found = [f"{each['probability']:.1%} {each['name']}" for each in image["classes"]]
            table.add_row(Text(image["file"], overflow="fold"), Text("   ".join(found)))
    return table


def evaluation_table(document: Document) -> RenderableType:
    """Return the scores, and the recall of each class with what it is taken for most."""
    low, high = document["interval"]
    table = Table(pad_edge=False, box=None, show_header=False)
    rows = {
        "accuracy": f"{document['accuracy']:.4f} (95 % interval {low:.4f} to {high:.4f})",
        "balanced accuracy": f"{document['balanced_accuracy']:.4f}",
        "cross-entropy": f"{document['loss']:.4f}",
        "calibration error": f"{document['calibration_error']:.4f}",
        "images": f"{document['images']:,} of the {document['part']} part of {document['data']}",
    }
    for name, text in rows.items():
        table.add_row(name, Text(text))
    return Group(Text(document["model"]), table, *_recalls(document))


def _recalls(document: Document) -> list[RenderableType]:
    confusion, classes = document.get("confusion"), document.get("classes", ())
    if confusion is None or len(classes) > SHOWN:
        return []
    table = Table("class", "images", "right", "taken for most", pad_edge=False, box=None)
    for row, name in enumerate(classes):
        images, right = sum(confusion[row]), confusion[row][row]
        wrong = {classes[column]: count for column, count in enumerate(confusion[row]) if column != row and count}
        most = max(wrong, key=wrong.__getitem__, default=None)
        share = f"{right / images:.1%}" if images else "–"
        table.add_row(Text(name), str(images), share, Text("" if most is None else f"{most} ({wrong[most]})"))
    return [Text(""), table]
