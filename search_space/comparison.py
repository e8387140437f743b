"""Drawing of two networks side by side, with an outline around every part that differs and the changes in words.

The kinds of change differ in colour and in the dashes of the outline, so that no reader needs the colours.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import final
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from search_space.architecture import Architecture
from search_space.differences import Change, differences
from search_space.drawing import draw
from search_space.lowering import lower, normalise
from search_space.svg import FONT, MUTED, Box, number, rectangle, text, text_width

NAMESPACE = "http://www.w3.org/2000/svg"
MARGIN, ROW, GAP = 24.0, 16.0, 8.0
STAGE = re.compile(r"stage\d+")
MOST_WORDS = 24
"""Most changes that are written above the drawings."""


@final
@dataclass(frozen=True, slots=True)
class Outline:
    """Outline of a part that differs.

    Attributes:
        colour: its colour; the three differ for readers with any kind of colour blindness.
        dashes: lengths of dashes and gaps, in pixels.
        words: its meaning.
    """

    colour: str
    dashes: str
    words: str


OUTLINES = {
    "changed": Outline("#d55e00", "7 3", "other setting"),
    "removed": Outline("#882255", "10 3 2 3", "only in the first"),
    "added": Outline("#0072b2", "2 3", "only in the second"),
}


def draw_both(before: Architecture, after: Architecture, titles: tuple[str, str] = ("", "")) -> str:
    """Return two networks side by side as one self-contained SVG document.

    Args:
        before: the first architecture.
        after: the second one.
        titles: headings, any text; they are escaped.
    """
    changes = differences(before, after)
    left, right = (
        _marked(architecture, title, [change for change in changes if change.kind != absent])
        for architecture, title, absent in zip((before, after), titles, ("added", "removed"), strict=True)
    )
    words = _words(changes)
    top = MARGIN + ROW * (len(words) + 2)
    widths = [_extent(picture, "width") for picture in (left, right)]
    legend = _legend(changes)
    width = max(sum(widths) + GAP, *(2 * MARGIN + text_width(line, 12) for line in words), 2 * MARGIN + 420)
    height = top + max(_extent(picture, "height") for picture in (left, right))
    for picture, x in ((left, 0.0), (right, widths[0] + GAP)):
        picture.set("x", number(x))
        picture.set("y", number(top))
    lines = (text(line, MARGIN, MARGIN + 12 + ROW * i, size=12, anchor="start") for i, line in enumerate(words))
    size = f'width="{number(width)}" height="{number(height)}" viewBox="0 0 {number(width)} {number(height)}"'
    return (
        f'<svg xmlns="{NAMESPACE}" {size} font-family="{FONT}">'
        f"{rectangle(Box(0, 0, width, height, '#ffffff', 'none', radius=0), 'paper')}{''.join(lines)}"
        f'<g transform="translate({number(MARGIN)} {number(MARGIN + ROW * (len(words) + 0.5))})">{legend}</g>'
        f"{_text(left)}{_text(right)}</svg>\n"
    )


def _marked(architecture: Architecture, title: str, changes: Sequence[Change]) -> Element:
    """Return the drawing of an architecture with an outline around every part that one of the changes names."""
    root = ElementTree.fromstring(draw(lower(normalise(architecture)), title, costs=False))
    parts = {path: element for element in root.iter() if (path := element.get("data-path"))}
    marks: dict[str, str] = {}
    for change in changes:
        path = drawn_at(change, parts.keys())
        if path is not None and marks.get(path) != "changed":
            marks[path] = change.kind if path == change.place else "changed"
    for path, kind in marks.items():
        _outline(parts[path], OUTLINES[kind], kind)
    return root


def drawn_at(change: Change, parts: Collection[str]) -> str | None:
    """Return the path of the smallest of the drawn parts that holds a change; None if that is a whole stage, or none.

    >>> drawn_at(Change("stage0.block0.k3.width", 8, 16), {"stage0", "stage0.block0", "stage0.block0.k3"})
    'stage0.block0.k3'
    """
    steps = change.place.split(".")
    paths = (".".join(steps[:count]) for count in range(len(steps), 0, -1))
    found = next((path for path in paths if path in parts), None)
    return None if found is None or STAGE.fullmatch(found) else found


def _outline(part: Element, style: Outline, kind: str) -> None:
    """Add an outline to a part, of the size of its first box."""
    box = part.find(f"{{{NAMESPACE}}}rect")
    assert box is not None
    around = {name: box.get(name, "0") for name in ("x", "y", "width", "height", "rx")}
    ElementTree.SubElement(
        part,
        f"{{{NAMESPACE}}}rect",
        {
            "class": kind,
            **around,
            "fill": style.colour,
            "fill-opacity": "0.08",
            "stroke": style.colour,
            "stroke-width": "2.5",
            "stroke-dasharray": style.dashes,
        },
    )


def _words(changes: Sequence[Change]) -> list[str]:
    """Return one line a change, and a count of those that are left out."""
    if not changes:
        return ["no difference"]
    lines = [change.text() for change in changes[:MOST_WORDS]]
    return [*lines, f"and {len(changes) - MOST_WORDS} more"] if len(changes) > MOST_WORDS else lines


def _legend(changes: Sequence[Change]) -> str:
    """Return the outlines of the kinds of change that there are, each with its meaning."""
    x, body = 0.0, ""
    for kind, style in OUTLINES.items():
        if not any(change.kind == kind for change in changes):
            continue
        dashes = f'stroke-width="2.5" stroke-dasharray="{style.dashes}"'
        body += f'<rect x="{number(x)}" width="24" height="12" rx="3" fill="none" stroke="{style.colour}" {dashes}/>'
        body += text(style.words, x + 30, 10, size=10, anchor="start", colour=MUTED)
        x += 30 + text_width(style.words, 10) + 18
    return body


def _extent(picture: Element, name: str) -> float:
    return float(picture.get(name, "nan"))


def _text(element: Element) -> str:
    """Return an element as text, without a prefix of its namespace."""
    for part in element.iter():
        part.tag = part.tag.rpartition("}")[2]
    return ElementTree.tostring(element, encoding="unicode")
