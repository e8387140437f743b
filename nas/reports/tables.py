"""The JSON documents of the commands as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nas.objectives.costs import built_in_costs, title_of
from nas.objectives.costs.macs import COST as MACS
from nas.objectives.costs.params import COST as PARAMS

Document = Mapping[str, Any]


def front_columns(document: Document) -> list[str]:
    """What `front_numbers` are: objectives, costs that are none of them, and trainings where there was a second one."""
    values = list(document["objectives"])
    costs = list(document["front"][0]["costs"]) if document["front"] else list(built_in_costs().names)
    repeated = any("trainings" in item for item in document["front"])
    return [*values, *(name for name in costs if name not in values), *(["trainings"] if repeated else [])]


def front_numbers(item: Mapping[str, Any], columns: Sequence[str]) -> list[float]:
    """A network's numbers in these columns."""
    known = {"trainings": item.get("trainings", 1), **item["costs"], **item["values"]}
    return [known[name] for name in columns]


def front_table(document: Document) -> RenderableType:
    """The front, one network a line."""
    columns = front_columns(document)
    table = _table(f"Front of {document['study']}")
    for name in ("trial", *columns):
        table.add_column(_title(name), justify="right", no_wrap=True)
    table.add_column("network", overflow="fold", ratio=1)
    for item in document["front"]:
        table.add_row(str(item["trial"]), *map(number, front_numbers(item, columns)), Text(item["summary"]))
    if not document["front"]:
        return Text(f"{document['study']} has no front yet: no trial is complete")
    return table


def status_table(document: Document) -> RenderableType:
    """Where a study stands, one fact a line."""
    table = _table(f"Study {document['study']}")
    table.show_header = False
    table.add_column("what", no_wrap=True)
    table.add_column("value")
    for name, count in document["trials"].items():
        table.add_row(name, Text(number(count)))
    for name, value in document.items():
        if name not in {"study", "trials"}:
            table.add_row(_title(name), Text(_fact(name, value)))
    return table


def architecture_table(document: Document) -> RenderableType:
    """One architecture, block by block, with its sums below."""
    table = _table("")
    for name in ("path", PARAMS.name, MACS.name, "output_shape"):
        table.add_column(_title(name), justify="left" if name == "path" else "right", no_wrap=True)
    for block in document["blocks"]:
        shape = "×".join(map(str, block["output_shape"]))
        table.add_row(Text(block["path"]), number(block[PARAMS.name]), number(block[MACS.name]), shape)
    costs = document["costs"]
    table.add_section()
    table.add_row("sum", number(costs[PARAMS.name]), number(costs[MACS.name]), "")
    others = [f"{title_of(name)}: {number(costs[name])}" for name in costs if name not in {PARAMS.name, MACS.name}]
    identity = f"architecture {document['id']}, network {document['network_id']}"
    lines: list[RenderableType] = [Text(document["summary"]), Text(identity), table, *map(Text, others)]
    if "inherits" in document:
        begun = document["inherits"]
        lines.append(
            Text(
                f"started from the weights of trial {begun['trial']}, {begun['changes']} choices away, "
                f"{begun['skips']} epochs into the schedule"
            )
        )
    if "rewrite" in document:
        lines.append(_rewrite_table(document))
    return Group(*lines)


def _rewrite_table(document: Document) -> RenderableType:
    """What a rewrite did: costs and receptive field before and after."""
    done = document["rewrite"]
    table = _table(f"{done['rule']}: outputs {'stay as they are' if done['keeps_outputs'] else 'change'}")
    table.add_column("")
    for name in ("before", "after"):
        table.add_column(name, justify="right", no_wrap=True)
    for cost, after in document["costs"].items():
        table.add_row(_title(cost), number(done["before"][cost]), number(after))
    fields = done["receptive_field"]
    table.add_row("receptive field", *("×".join(map(str, fields[when])) for when in ("before", "after")))
    return table


def space_table(document: Document) -> RenderableType:
    """A space: how large it is and what its networks cost."""
    table = _table("")
    table.add_column("cost")
    names = ("min", "median", "max")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for cost, spread in document["costs"].items():
        table.add_row(_title(cost), *(number(spread[name]) for name in names))
    share = f"{document['share_within_limits']:.1%} of {document['samples']:,} random ones are within the limits"
    return Group(Text(f"{size_text(document['size'])} architectures"), table, Text(share))


def size_text(size: int) -> str:
    """A count that may be astronomic.

    >>> size_text(1234567), size_text(13 * 10**20)
    ('1,234,567', 'about 1.3e+21')
    """
    return f"{size:,}" if size < 10**12 else f"about {size:.2g}" if size < 10**300 else f"about 10^{len(str(size)) - 1}"


def number(value: float) -> str:
    """A number as a person reads it.

    >>> number(1234567), number(0.91234), number(12.5)
    ('1,234,567', '0.9123', '12.50')
    """
    if isinstance(value, int):
        return f"{value:,}"
    return (
        f"{value:,.0f}" if value == round(value) and abs(value) >= 1000 else f"{value:,.{4 if abs(value) < 10 else 2}f}"
    )


def _table(title: str) -> Table:
    return Table(title=Text(title) if title else None, title_justify="left", pad_edge=False, box=None)


def _title(name: str) -> str:
    columns = {cost.name: cost.column for cost in built_in_costs().members}
    return columns.get(name, name.replace("_", " "))


def _fact(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_fact(key, inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if "seconds" in name and value is not None:
        return duration(value)
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value)) or "none"
    return "–" if value is None else str(value)


def duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds.

    >>> duration(42.31), duration(3725)
    ('42.3 s', '1 h 2 min 5 s')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours} h " if hours else "") + f"{minutes} min {rest} s"
