"""Drawing of a network: a fold over its graph to one self-contained SVG.

Data flows downwards. A block is a frame with its name and output shape; its branches stand side by side, between the
curves from its input and the bar that joins their outputs. Edges run straight down beside or above boxes and bend only
in the free band below a fork or above a sum. Costs stand at the right, one row a block.
"""

from __future__ import annotations

from collections.abc import Callable

from search_space.captions import ACTIVATIONS, COLOURS, Place, kind_of, label_of, remarks_of
from search_space.cost import cost, leaf_macs, leaf_params, rows
from search_space.graph import (
    Concat,
    Graph,
    Node,
    Residual,
    Seq,
    Tap,
    child_path,
)
from search_space.svg import (
    FONT,
    MUTED,
    Box,
    Picture,
    amount,
    anchors_at,
    curve,
    edge,
    group,
    line_down,
    number,
    place,
    rectangle,
    stack,
    text,
    text_width,
    widen,
)

GAP, FORK, MARGIN = 16.0, 30.0, 24.0
LINE, SUM_RADIUS, BAR = 14.0, 9.0, 20.0
FRAMES = ("#f7f9fb", "#ffffff")


def draw(graph: Graph, title: str = "", *, costs: bool = True) -> str:
    """Return the drawing of a network as one self-contained SVG document.

    Args:
        graph: the network.
        title: heading, any text; it is escaped.
        costs: whether the parameters and MACs of each block stand beside it.
    """
    picture = _network(graph)
    table = _cost_column(graph, picture) if costs else Picture(0, 0, 0, "")
    header = _header(graph, title)
    width = max(picture.width + table.width, header.width) + 2 * MARGIN
    height = header.height + picture.height + 2 * MARGIN
    body = (
        rectangle(Box(0, 0, width, height, "#ffffff", "none", radius=0), "paper")
        + place(header, MARGIN, MARGIN)
        + place(picture, MARGIN, MARGIN + header.height)
        + place(table, MARGIN + picture.width, MARGIN + header.height)
    )
    size = f'width="{number(width)}" height="{number(height)}" viewBox="0 0 {number(width)} {number(height)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{FONT}">{body}</svg>\n'


def _network(graph: Graph) -> Picture:
    image = _pill(f"image {graph.input}")
    if isinstance(graph.root, Seq):  # the root is the whole picture and needs no frame
        return stack([image, *_steps(graph.root, Place(graph.input))], GAP)
    return stack([image, _draw(graph.root, Place(graph.input))], GAP)


def _header(graph: Graph, title: str) -> Picture:
    total = cost(graph)
    kib = total.activation_bytes / 1024
    peak = f"{kib:.3g} KiB" if kib < 1000 else f"{kib / 1024:.3g} MiB"
    summary = f"{amount(total.params)} parameters · {amount(total.macs)} MACs · {peak} peak activation memory"
    body, width, y = [], text_width(summary, 12), 0.0
    if title:
        body.append(text(title, 0, 16, size=16, anchor="start"))
        width, y = max(width, text_width(title, 16)), 24.0
    body.append(text(summary, 0, y + 12, size=12, anchor="start", colour=MUTED))
    kinds = sorted(_kinds(graph.root, Place(graph.input)), key=list(COLOURS).index)
    x, y = 0.0, y + 26
    for kind in kinds:
        body.append(rectangle(Box(x, y, 12, 12, *COLOURS[kind], radius=3), "legend"))
        body.append(text(kind, x + 17, y + 10, size=10, anchor="start", colour=MUTED))
        x += 17 + text_width(kind, 10) + 14
    note = "convolutions have batch norm and ReLU unless marked, depthwise ones neither"
    body.append(text(note, 0, y + 28, size=10, anchor="start", colour=MUTED))
    return Picture(max(width, x, text_width(note, 10)), y + 50, 0, "".join(body))


def _kinds(node: Node, at: Place) -> set[str]:
    """Return every kind of leaf below a node."""
    if not node.children:
        return set() if isinstance(node, Seq) else {kind_of(node, at)}
    found, shape = set(), at.shape
    for index, child in enumerate(node.children):
        found |= _kinds(child, _neighbours(node, index, Place(shape)) if isinstance(node, Seq) else Place(shape))
        if isinstance(node, Seq):
            shape = child.output_shape(shape)
    return found


def _cost_column(graph: Graph, picture: Picture) -> Picture:
    """Return a column with path, output shape, parameters and MACs of each part at the part's height."""
    heights = dict(picture.anchors)
    shown = [row for row in rows(graph) if row.path in heights]
    if not shown:
        return Picture(0, 0, 0, "")
    most = max(row.macs for row in shown)
    path = 30 + max(text_width(row.path, 10) for row in shown)
    output = path + 16 + max(text_width(str(row.output), 10) for row in shown)
    columns = (output, output + 64, output + 124)
    body = [
        text(head, x, -4, size=10, anchor="end", colour=MUTED)
        for head, x in zip(("output", "params", "MACs"), columns, strict=True)
    ]
    for row in shown:
        y = heights[row.path] + 4
        cells = (str(row.output), amount(row.params), amount(row.macs))
        line = [text(row.path, 30, y, size=10, anchor="start", colour=MUTED)]
        line += [text(cell, x, y, size=10, anchor="end") for cell, x in zip(cells, columns, strict=True)]
        if row.macs:
            bar = Box(columns[2] + 8, y - 9, 60 * row.macs / most, 11, "#cfe0fb", "none", radius=2)
            line.append(rectangle(bar, "share"))
        body.append(group("".join(line), f"{row.path}: {row.params:,} parameters, {row.macs:,} MACs"))
    return Picture(columns[2] + 68, 0, 0, "".join(body))


def _draw(node: Node, at: Place) -> Picture:
    match node:
        case Seq():
            return _draw_seq(node, at)
        case Concat():
            return _framed(node, at, _draw_concat)
        case Residual():
            return _framed(node, at, _draw_residual)
        case Tap():
            return _draw_tap(node, at)
    return _draw_leaf(node, at)


def _neighbours(seq: Seq, index: int, at: Place) -> Place:
    before = seq.nodes[index - 1] if index else None
    after = seq.nodes[index + 1] if index + 1 < len(seq.nodes) else None
    return Place(at.shape, at.path, at.depth, before, after)


def _steps(node: Seq, at: Place) -> list[Picture]:
    pictures, shape = [], at.shape
    for index, child in enumerate(node.nodes):
        path = child_path(at.path, child, index)
        pictures.append(_draw(child, _neighbours(node, index, Place(shape, path, at.depth))))
        shape = child.output_shape(shape)
    return pictures


def _draw_seq(node: Seq, at: Place) -> Picture:
    if node.name and not at.branch:
        return _framed(node, at, _draw_steps)
    return _draw_steps(node, at)


def _draw_steps(node: Node, at: Place) -> Picture:
    assert isinstance(node, Seq)
    pictures = _steps(node, at)
    return stack(pictures, GAP) if pictures else Picture(0, GAP, 0, line_down(0, 0, GAP, arrow=False), solid=False)


def _framed(node: Node, at: Place, content: Callable[[Node, Place], Picture]) -> Picture:
    """Return a frame around `content`, with the node's name left of its input and its output shape at the right."""
    name, shape = node.name, str(node.output_shape(at.shape))
    inner = content(node, Place(at.shape, at.path, at.depth + 1))
    inner = widen(inner, text_width(name) + 8, text_width(shape, 10) + 8)
    pad, top = 10.0, 22.0
    width, height = inner.width + 2 * pad, inner.height + top + pad
    axis = inner.axis + pad
    frame = Box(0, 0, width, height, FRAMES[at.depth % 2], "#c5ced6", radius=8)
    body = (
        rectangle(frame, "frame")
        + text(name, 8, 15, anchor="start")
        + text(shape, width - 8, 15, size=10, anchor="end", colour=MUTED)
        + line_down(axis, 0, top, arrow=False)
        + place(inner, pad, top)
        + line_down(axis, top + inner.height, height, arrow=False)
    )
    anchors = anchors_at(inner, top) if isinstance(node, Seq) else ((at.path, height / 2),)
    return Picture(width, height, axis, group(body, at.path, at.path), anchors)


def _draw_concat(node: Node, at: Place) -> Picture:
    assert isinstance(node, Concat)
    columns = [_draw_branch(b, at, i) for i, b in enumerate(node.branches)]
    if len(columns) == 1:
        return columns[0]
    label = f"concat · {node.output_shape(at.shape).channels}"
    width = sum(c.width for c in columns) + GAP * (len(columns) - 1)
    left = max(0.0, (text_width(label) + 16 - width) / 2)
    width += 2 * left
    bottom = FORK + max(c.height for c in columns) + GAP
    body, x = [], left
    for column in columns:
        body.append(curve(width / 2, x + column.axis, 0, FORK))
        body.append(place(column, x, FORK))
        body.append(line_down(x + column.axis, FORK + column.height, bottom))
        x += column.width + GAP
    bar = rectangle(Box(0, bottom, width, BAR, "#3f4c58", "#3f4c58"), "join")
    body.append(bar + text(label, width / 2, bottom + 14, colour="#ffffff"))
    return Picture(width, bottom + BAR, width / 2, "".join(body))


def _draw_branch(branch: Node, at: Place, index: int) -> Picture:
    """Return a branch below its name, which stands beside the edge that leads to it."""
    path = child_path(at.path, branch, index)
    inner = _draw(branch, Place(at.shape, path, at.depth, branch=True))
    titled = isinstance(branch, Concat | Residual)
    label = "" if titled else branch.name
    inner = widen(inner, 6, text_width(label, 9) + 10)
    caption = text(label, inner.axis + 6, 8, size=9, anchor="start", colour=MUTED) if label else ""
    lead = line_down(inner.axis, 0, LINE, arrow=inner.solid) + caption
    body = lead + place(inner, 0, LINE)
    if isinstance(branch, Seq) and branch.nodes:  # any other branch is a group with its path itself
        extent = Box(0, 0, inner.width, inner.height + LINE, "none", "none", radius=6)
        body = group(rectangle(extent, "branch") + body, path=path)
    return Picture(inner.width, inner.height + LINE, inner.axis, body)


def _draw_residual(node: Node, at: Place) -> Picture:
    """Return body and shortcut side by side, the body straight above the sum."""
    assert isinstance(node, Residual)
    body = _draw_branch(node.body, at, 0)
    shortcut = _draw_branch(node.shortcut, at, 1)
    x = body.width + GAP
    far = x + shortcut.axis
    free = FORK + max(body.height, shortcut.height)  # no box stands below
    middle = free + GAP + SUM_RADIUS
    turn = number(middle)
    elements = [
        line_down(body.axis, 0, FORK, arrow=False),
        curve(body.axis, far, 0, FORK),
        place(body, 0, FORK),
        place(shortcut, x, FORK),
        line_down(body.axis, FORK + body.height, middle - SUM_RADIUS),
        line_down(far, FORK + shortcut.height, free, arrow=False),
        edge(f"M{number(far)} {number(free)}Q{number(far)} {turn} {number(body.axis + SUM_RADIUS)} {turn}"),
        f'<circle class="join" cx="{number(body.axis)}" cy="{turn}" r="{number(SUM_RADIUS)}" fill="#3f4c58"/>',
        text("+", body.axis, middle + 5, size=15, colour="#ffffff"),
    ]
    summed = Picture(x + shortcut.width, middle + SUM_RADIUS, body.axis, "".join(elements))
    return stack([summed, _pill(ACTIVATIONS[node.activation])], GAP) if node.activation else summed


def _draw_tap(node: Tap, at: Place) -> Picture:
    """Return the main line at the left and an auxiliary head at its right."""
    head = _draw(node.head, Place(at.shape, f"{at.path}.head" if at.path else "head", at.depth + 1, branch=True))
    label = f"auxiliary head × {node.weight:g}, training only"
    half = text_width(label, 9) / 2
    head = widen(head, half, half)
    pad, top = 10.0, 42.0
    width = head.width + 2 * pad
    x, height = 26.0, head.height + top + pad
    axis = x + pad + head.axis
    frame = Box(x, 18, width, height - 18, "#ffffff", "#98a2ab", radius=8, dashed=True)
    body = (
        rectangle(frame, "frame")
        + text(label, x + pad, 31, size=9, anchor="start", colour=MUTED)
        + edge(f"M0 6H{number(axis - 8)}Q{number(axis)} 6 {number(axis)} 14V18", dashed=True)
        + line_down(axis, 34, top)
        + place(head, x + pad, top)
        + line_down(0, 0, height, arrow=False)
    )
    return Picture(x + width, height, 0, group(body, at.path, at.path), solid=False)


def _pill(label: str) -> Picture:
    """Return a rounded box for what is no leaf: the image, the activation after a sum."""
    width = text_width(label, 10) + 16
    body = rectangle(Box(0, 0, width, 18, "#ffffff", "#98a2ab", radius=9), "pill") + text(label, width / 2, 13, size=10)
    return Picture(width, 18, width / 2, body)


def _draw_leaf(leaf: Node, at: Place) -> Picture:
    label, remarks = label_of(leaf, at), remarks_of(leaf, at)
    width = max(text_width(label), text_width(remarks, 9), 36) + 14
    height = 24.0 if not remarks else 35.0
    output = leaf.output_shape(at.shape)
    fill, stroke = COLOURS[kind_of(leaf, at)]
    body = rectangle(Box(0, 0, width, height, fill, stroke), "leaf") + text(label, width / 2, 16)
    body += text(remarks, width / 2, 28, size=9, colour=MUTED) if remarks else ""
    facts = f"{at.path}: {at.shape} → {output}"
    facts += f", {leaf_params(leaf, at.shape):,} parameters, {leaf_macs(leaf, at.shape):,} MACs"
    return Picture(width, height, width / 2, group(body, facts, at.path), ((at.path, height / 2),))
