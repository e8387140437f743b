"""Tables for the terminal, from the JSON documents of the commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nas.objectives.pareto import Axis
from nas.reports.latency_table import latency_lines
from nas.reports.measures import MACS, PARAMS, cost_names, heading, title
from nas.reports.retrained import optimism_line
from nas.reports.text import SUMMARY_LEGEND, mean_text, number_text, short_number, size_text

Document = Mapping[str, Any]

TEST = "test_accuracy"
"""Key of the test accuracies of a network of a front that was retrained."""

SHORT_ROWS = 8
"""Rows of a front at the end of a search."""


def front_columns(document: Document) -> list[str]:
    """Return the names of the numbers of a front.

    They are the measured objectives, what is believed of the trained ones and the probability of being on the front,
    other costs, and `trainings` if a network has several.
    """
    values = list(document["objectives"])
    beliefs = [item["believed"] for item in document["front"] if "believed" in item]
    believed = [*(f"believed_{name}" for name in beliefs[0]["values"]), "front_probability"] if beliefs else []
    costs = cost_names([item["costs"] for item in document["front"]])
    repeated = any("trainings" in item for item in document["front"])
    others = [name for name in costs if name not in values]
    return [*values, *believed, *others, *(["trainings"] if repeated else [])]


def front_numbers(item: Mapping[str, Any], columns: Sequence[str]) -> list[float]:
    """Return a network's numbers in these columns."""
    belief = item.get("believed", {"values": item["values"], "front_probability": 1.0})
    believed = {f"believed_{name}": value for name, value in belief["values"].items()}
    probability = {"front_probability": belief["front_probability"]}
    known = {"trainings": item.get("trainings", 1), **item["costs"], **item["values"], **believed, **probability}
    return [known[name] for name in columns]


def front_table(document: Document) -> RenderableType:
    """Return the front, one network a row."""
    if not document["front"]:
        return Text(f"{document['study']} has no front yet: no trial is complete")
    columns = front_columns(document)
    tested = ["test accuracy"] if any(TEST in item for item in document["front"]) else []
    table = _table(f"Front of {document['study']}", ("trial", *map(heading, columns), *tested), text="network")
    for item in document["front"]:
        means = [mean_text(item[TEST]) if TEST in item else "–" for _ in tested]
        numbers = map(number_text, front_numbers(item, columns))
        table.add_row(str(item["trial"]), *numbers, *means, Text(item["summary"]))
    _add_legend(table)
    found = document.get("optimism")
    return table if found is None else Group(table, Text(optimism_line(found)))


def short_front_table(document: Document, axes: Sequence[Axis]) -> RenderableType:
    """Return the best networks of a front by their objectives alone, best first, for the end of a search."""
    if not document["front"]:
        return Text(f"{document['study']} has no front yet: no trial is complete")
    names = list(document["objectives"])
    members = sorted(document["front"], key=lambda item: axes[0].loss(item["values"][axes[0].name]))
    table = _table(f"Front of {document['study']}, best first", ("trial", *map(heading, names)), text="network")
    for item in members[:SHORT_ROWS]:
        table.add_row(
            str(item["trial"]), *(short_number(item["values"][name]) for name in names), Text(item["summary"])
        )
    if len(members) > SHORT_ROWS:
        table.caption, table.caption_justify = Text(f"… and {len(members) - SHORT_ROWS} more"), "left"
    return table


def architecture_table(document: Document) -> RenderableType:
    """Return one architecture, one block a row, with the sums of parameters and MACs, and its other costs below."""
    table = _table("")
    for name in ("path", PARAMS, MACS, "output_shape"):
        table.add_column(heading(name), justify="left" if name == "path" else "right", no_wrap=True)
    for block in document["blocks"]:
        shape = "×".join(map(str, block["output_shape"]))
        table.add_row(Text(block["path"]), number_text(block[PARAMS]), number_text(block[MACS]), shape)
    costs = document["costs"]
    table.add_section()
    table.add_row("sum", number_text(costs[PARAMS]), number_text(costs[MACS]), "")
    others = [f"{title(name)}: {number_text(costs[name])}" for name in costs if name not in {PARAMS, MACS}]
    others += _memory_lines(document)
    others += latency_lines(document.get("latency", ()))
    ids = f"architecture {document['id']}, network {document['network_id']}"
    lines: list[RenderableType] = [Text(document["summary"]), Text(ids), table, *map(Text, others)]
    if "inherits" in document:
        parent = document["inherits"]
        lines.append(
            Text(
                f"started from the weights of trial {parent['trial']}, {parent['changes']} choices away, "
                f"{parent['skips']} epochs into the schedule"
            )
        )
    if "rewrite" in document:
        lines += [_rewrite_table(document), *map(Text, _raised(document))]
    return Group(*lines)


def _raised(document: Document) -> list[str]:
    """Return a line for each cost that a rewrite raises."""
    rewrite, costs = document["rewrite"], document["costs"]
    return [
        f"note: {rewrite['rule']} raises {title(name)} here, by {costs[name] / rewrite['before'][name] - 1:.1%}"
        for name in rewrite["raised"]
        if rewrite["before"][name]
    ]


def _rewrite_table(document: Document) -> RenderableType:
    """Return costs and receptive field before and after a rewrite."""
    rewrite = document["rewrite"]
    table = _table(f"{rewrite['rule']}: outputs {'do not change' if rewrite['keeps_outputs'] else 'change'}")
    table.add_column("")
    for name in ("before", "after"):
        table.add_column(name, justify="right", no_wrap=True)
    for cost, after in document["costs"].items():
        table.add_row(heading(cost), number_text(rewrite["before"][cost]), number_text(after))
    fields = rewrite["receptive_field"]
    table.add_row("receptive field", *("×".join(map(str, fields[when])) for when in ("before", "after")))
    return table


def space_table(document: Document) -> RenderableType:
    """Return the size of a space, the range of its costs and the share within the limits."""
    table = _table("")
    table.add_column("cost")
    names = ("min", "median", "max")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for cost, spread in document["costs"].items():
        table.add_row(heading(cost), *(number_text(spread[name]) for name in names))
    share = f"{document['share_within_limits']:.1%} of {document['samples']:,} random ones are within the limits"
    images = f"for {'×'.join(map(str, document['input']))} images and {document['classes']:,} classes"
    lines = [Text(line) for line in _memory_lines(document)]
    return Group(Text(f"{size_text(document['size'])} architectures, {images}"), table, *lines, Text(share))


def _memory_lines(document: Document) -> list[str]:
    """Return what the memory counts, and the memory in eager PyTorch, of a network or of a space."""
    memory = document["memory"]
    eager, weights = memory["eager_mib"], memory.get("weights_mib")
    if isinstance(eager, Mapping):
        eager_text = f"median {number_text(eager['median'])} MiB, up to {number_text(eager['max'])} MiB"
    else:
        eager_text = f"{number_text(eager)} MiB, and {number_text(weights)} MiB of weights"
    return [f"memory counts {memory['counted']}", f"in eager PyTorch: {eager_text}"]


def retrain_table(document: Document) -> RenderableType:
    """Return the retrained networks, one a row, with accuracies as mean ± standard deviation over seeds."""
    title = f"Retrained from {document['study']}, {document['training']['epochs']} epochs, mean ± sd over seeds"
    accuracies = ("test accuracy", "validation accuracy", "in the search")
    table = _table(title, ("trial", *accuracies, heading(PARAMS), heading(MACS)), text="network")
    for network in [*document["networks"], *document["baselines"]]:
        means = (mean_text(network[name]) for name in ("test_accuracy", "val_accuracy"))
        searched = network["values"].get("val_accuracy")
        costs = (number_text(network["costs"][name]) for name in (PARAMS, MACS))
        table.add_row(
            str(network.get("trial", "baseline")),
            *means,
            "–" if searched is None else f"{searched:.4f}",
            *costs,
            Text(network["summary"]),
        )
    _add_legend(table)
    return table


def export_table(document: Document) -> RenderableType:
    """Return the exported files, one a row, with their difference from the network, accuracy, size and speed."""
    headings = ("trial", "file", "largest difference", "same class", "accuracy", "size", "one image")
    table = _table(f"Exported from {document['study']}", headings, text="path")
    for bundle in document["exported"]:
        for name, check in bundle["checks"].items():
            shares = (f"{check[key]:.2%}" if key in check else "–" for key in ("argmax_agreement", "val_accuracy"))
            speed = f"{check['milliseconds']:.3g} ms" if "milliseconds" in check else "–"
            cells = (name, f"{check['max_difference']:.2g}", *shares, f"{check['bytes'] / 1000:.1f} kB", speed)
            table.add_row(str(bundle["trial"]), *map(Text, cells), Text(f"{bundle['output']}/{name}"))
    return table


def tabulated_table(document: Document) -> RenderableType:
    """Return the size, training time and accuracies of a table of learning curves."""
    accuracy = document["test_accuracy"]
    table = _table(f"Table {document['table']}")
    table.show_header = False
    table.add_row("space", str(document["space"]))
    table.add_row("architectures", str(document["architectures"]))
    table.add_row("different networks", str(document["networks"]))
    table.add_row("trainings", f"{document['trainings']}, of {document['epochs']} epochs")
    table.add_row("seeds", ", ".join(map(str, document["seeds"])))
    table.add_row("mean full training", f"{document['mean_seconds']:.2f} s")
    table.add_row("mean test accuracy", f"{accuracy['min']:.4f} to {accuracy['max']:.4f}")
    return table


def _table(title: str, numbers: Sequence[str] = (), *, text: str = "") -> Table:
    """Return an empty table with columns of numbers, and a last one of text if it has a heading."""
    table = Table(title=Text(title) if title else None, title_justify="left", pad_edge=False, box=None)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    if text:
        table.add_column(text, overflow="fold", ratio=1)
    return table


def _add_legend(table: Table) -> None:
    table.caption, table.caption_justify = Text(SUMMARY_LEGEND), "left"
