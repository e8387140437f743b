"""SVG elements of a drawing: text, boxes, edges, and pictures below one another. `drawing.py` composes them.

Style is in presentation attributes, without ids and style sheets, so that several pictures can stand in one HTML page.
All text is escaped here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

FONT = "Helvetica, Arial, 'DejaVu Sans', sans-serif"
INK, MUTED, EDGE = "#1f2933", "#68737d", "#5f6b76"
WIDE = frozenset("MW×→—%@mw")
ARROW = 5.0
NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Picture:
    """Part of a drawing: data enters at the top and leaves at the bottom, both at `axis`.

    Attributes:
        width: pixels from left to right.
        height: pixels from top to bottom.
        axis: pixels from the left to the data's edge.
        body: SVG elements, in coordinates of the picture.
        anchors: path and vertical middle of every part that has a row of costs.
        solid: whether a box stands at the top, for an arrow to point at.
    """

    width: float
    height: float
    axis: float
    body: str
    anchors: tuple[tuple[str, float], ...] = ()
    solid: bool = True


@dataclass(frozen=True, slots=True)
class Box:
    """Position and style of a box, in pixels."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    stroke: str
    radius: float = 4
    dashed: bool = False


def number(value: float) -> str:
    """Return a coordinate as text, rounded to a tenth of a pixel."""
    return f"{round(value, 1):g}" if abs(value) < 1e5 else str(round(value))


def text_width(text: str, size: float = 11) -> float:
    """Return an upper estimate of the width of `text` in pixels."""
    return size * sum(0.86 if letter in WIDE else 0.58 for letter in text)


def _escaped(label: str) -> str:
    """Return `label` as XML text; characters that XML does not allow become a replacement mark."""
    return escape(NOT_XML.sub("\ufffd", label))


def text(label: str, x: float, y: float, *, size: float = 11, anchor: str = "middle", colour: str = INK) -> str:
    """Return `label` with its baseline at `y`; `anchor` is start, middle or end."""
    return (
        f'<text x="{number(x)}" y="{number(y)}" font-size="{number(size)}" text-anchor="{anchor}" '
        f'fill="{colour}">{_escaped(label)}</text>'
    )


def rectangle(box: Box, kind: str) -> str:
    """Return a rounded rectangle; `kind` is its class, for programs that read the drawing."""
    dash = ' stroke-dasharray="4 3"' if box.dashed else ""
    return (
        f'<rect class="{kind}" x="{number(box.x)}" y="{number(box.y)}" width="{number(box.width)}" '
        f'height="{number(box.height)}" rx="{number(box.radius)}" fill="{box.fill}" stroke="{box.stroke}"{dash}/>'
    )


def group(body: str, tooltip: str = "", path: str = "") -> str:
    """Return elements as one group, with a tooltip, and with the path of a part of the network as `data-path`."""
    title = f"<title>{_escaped(tooltip)}</title>" if tooltip else ""
    place = f' data-path="{_escaped(path)}"' if path else ""
    return f"<g{place}>{title}{body}</g>"


def edge(commands: str, *, dashed: bool = False) -> str:
    """Return a line along SVG path commands."""
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<path class="edge" d="{commands}" fill="none" stroke="{EDGE}" stroke-width="1.2"{dash}/>'


def arrow_head(x: float, y: float) -> str:
    """Return the head of an arrow that points down at (x, y)."""
    points = f"{number(x - 3)},{number(y - ARROW)} {number(x + 3)},{number(y - ARROW)} {number(x)},{number(y)}"
    return f'<polygon points="{points}" fill="{EDGE}"/>'


def line_down(x: float, top: float, bottom: float, *, arrow: bool = True) -> str:
    """Return a straight line down."""
    if bottom <= top:
        return ""
    return edge(f"M{number(x)} {number(top)}V{number(bottom)}") + (arrow_head(x, bottom) if arrow else "")


def curve(x: float, to: float, top: float, bottom: float) -> str:
    """Return a curve from (x, top) to (to, bottom) that is vertical at both ends."""
    if x == to:
        return line_down(x, top, bottom, arrow=False)
    bend = number((top + bottom) / 2)
    return edge(f"M{number(x)} {number(top)}C{number(x)} {bend} {number(to)} {bend} {number(to)} {number(bottom)}")


def place(picture: Picture, x: float, y: float) -> str:
    """Return the picture's elements with its top left corner at (x, y)."""
    return f'<g transform="translate({number(x)} {number(y)})">{picture.body}</g>' if picture.body else ""


def anchors_at(picture: Picture, y: float) -> tuple[tuple[str, float], ...]:
    """Return the picture's anchors with its top at height `y`."""
    return tuple((path, y + middle) for path, middle in picture.anchors)


def stack(pictures: Sequence[Picture], gap: float) -> Picture:
    """Return pictures below one another on one axis, an arrow from each to the next."""
    axis = max((picture.axis for picture in pictures), default=0)
    right = max((picture.width - picture.axis for picture in pictures), default=0)
    body, y = [], 0.0
    anchors: tuple[tuple[str, float], ...] = ()
    for index, picture in enumerate(pictures):
        if index:
            body.append(line_down(axis, y, y + gap, arrow=picture.solid))
            y += gap
        body.append(place(picture, axis - picture.axis, y))
        anchors += anchors_at(picture, y)
        y += picture.height
    return Picture(axis + right, y, axis, "".join(body), anchors, pictures[0].solid if pictures else False)


def widen(picture: Picture, left: float, right: float) -> Picture:
    """Return the picture with at least `left` and `right` pixels on the two sides of its axis."""
    more = max(0.0, left - picture.axis)
    width = picture.axis + more + max(right, picture.width - picture.axis)
    return Picture(width, picture.height, picture.axis + more, place(picture, more, 0), picture.anchors, picture.solid)


def amount(count: int) -> str:
    """Return a count in three digits and a prefix.

    >>> amount(1498376192), amount(84), amount(5096)
    ('1.50 G', '84', '5.10 k')
    """
    for size, prefix in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= 0.9995 * size:
            value = count / size
            digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
            return f"{value:.{digits}f} {prefix}"
    return str(count)
