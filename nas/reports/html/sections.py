"""Sections of the report as HTML: tables and texts, and empty elements that the page's script fills."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nas.objectives.pareto import Axis
from nas.reports.document.context import ReportContext
from nas.reports.document.importance import METHOD, MIN_TRIALS, SHUFFLES, Importance
from nas.reports.html.markup import Child, Markup, tag
from nas.reports.html.overview import axis_text, value_text
from nas.reports.measures import MACS, PARAMS, cost_names, heading, title
from nas.reports.text import SUMMARY_LEGEND, mean_text
from nas.study.trial import Record

CHOICES_SHOWN = 15
GALLERY_SIZE = 24

RETRAINED_COSTS = (PARAMS, MACS)


def section(identity: str, heading: str, *children: Child) -> Markup:
    """Return a section with a heading; `identity` is its anchor."""
    return tag("section", tag("h2", heading), *children, id=identity)


def term_list(facts: Sequence[tuple[str, str]]) -> Markup:
    """Return a list of terms and their texts."""
    return tag("dl", *(tag("div", tag("dt", term), tag("dd", text)) for term, text in facts), class_="facts")


def outcome_text(records: Sequence[Record], axes: Sequence[Axis], figures: Mapping[str, Any]) -> str:
    """Return the outcome of the search in one or two sentences."""
    complete = [record for record in records if record.values]
    if not complete:
        return f"No trial is complete yet; {len(records)} have started."
    *some, last = map(axis_text, axes)
    what = f"{', '.join(some)} and {last}" if some else last
    first = next(record for record in complete if record.number == figures["first"])
    values = {**first.candidate.costs, **(first.values or {})}
    shown = [f"{value_text(name, values[name])} {title(name)}" for name in (figures["y"], figures["x"])[: len(axes)]]
    share = f"{len(figures['front'])} of {len(complete)} trained networks make up the front of {what}. "
    if len(axes) == 1:
        share = f"{len(complete)} networks were trained for {what}. "
    return f"{share}The best reaches {' at '.join(shown)} (trial {first.number})."


def front_section(figures: Mapping[str, Any], axes: Sequence[Axis]) -> Markup:
    """Return the interactive figure of the front, the selected trial and its drawing."""
    single = len(axes) == 1
    menus = tag(
        "div",
        tag("label", "y axis ", tag("select", id="y-axis")),
        tag("label", "x axis ", tag("select", id="x-axis")),
        class_="menus",
    )
    what = "all trials" if single else "the front"
    label = (
        f"Scatter plot of {what}: {title(figures['y'])} over {title(figures['x'])}; the table below has the same data"
    )
    drawing = tag("figure", tag("div", class_="sheet", id="drawing"), tag("figcaption", id="drawing-caption"))
    left = tag(
        "div",
        menus,
        tag("div", id="front-plot", class_="plot tall", role="img", aria_label=label),
        tag("div", id="selected", aria_live="polite", class_="selected"),
    )
    note = "Click a point, or a trial's number in a table, to draw its network here."
    if len(axes) > 2:
        note += f" The front is that of all {len(axes)} objectives, so a member may look dominated in these two."
    return section(
        "front",
        "The networks" if single else "The front",
        tag("p", note, class_="note"),
        tag("div", left, drawing, class_="pair"),
    )


def progress_section(measure: str, axes: Sequence[Axis]) -> Markup:
    """Return the figures of the hypervolume, or the best value, over trials and over seconds of training."""
    if measure == "hypervolume":
        worst = ", ".join(f"{title(axis.name)} {value_text(axis.name, axis.worst)}" for axis in axes)
        best = ", ".join(f"{title(axis.name)} {value_text(axis.name, axis.best)}" for axis in axes)
        logarithmic = ", ".join(title(axis.name) for axis in axes if axis.log)
        text = (
            f"Hypervolume: the share of the box from the reference point ({worst}) to ({best}) that the front dominates"
        )
        text += f", with {logarithmic} on a logarithmic scale." if logarithmic else "."
    else:
        text = f"The best {title(measure)} so far."
    plots = [
        tag("div", id=f"progress-{over}", class_="plot", role="img", aria_label=f"{title(measure)} over {words}")
        for over, words in (("trials", "ended trials"), ("seconds", "seconds of training"))
    ]
    return section("progress", "Progress", tag("p", text, class_="note"), tag("div", *plots, class_="pair"))


def curves_section() -> Markup:
    """Return the figure of learning curves, with those of the front highlighted."""
    menu = tag("div", tag("label", "Show ", tag("select", id="curve")), class_="menus")
    plot = tag("div", id="curves-plot", class_="plot", role="img", aria_label="Learning curves over epochs")
    return section("curves", "Learning curves", menu, plot)


def importance_section(found: Importance) -> Markup:
    """Return the importance of choices, as a table with bars."""
    name = title(found.axis.name)
    if not found.choices:
        text = f"Needs at least {MIN_TRIALS} complete trials, there are {found.trials}."
        return section("choices", "Importance of choices", tag("p", text, class_="note"))
    beyond = sum(choice.share > choice.chance for choice in found.choices)
    text = f"For {name}, from the best {found.best} of n = {found.trials} trials. {METHOD} The mark on a bar is "
    text += f"what chance reaches: the highest of {SHUFFLES} shuffles of the values. Of {len(found.choices)} "
    text += (
        f"choices {beyond} are beyond it; about {round(len(found.choices) / (SHUFFLES + 1))} would be by chance alone."
    )
    head = ("choice", "share of importance", "effect", "trials")
    most = 1.02 * max(max(choice.share, choice.chance) for choice in found.choices[:CHOICES_SHOWN])
    body = []
    for choice in found.choices[:CHOICES_SHOWN]:
        bar = tag(
            "svg",
            tag("rect", width=f"{100 * choice.share / most:.1f}%", height=10, y=2, rx=2),
            tag("line", x1=(tick := f"{100 * choice.chance / most:.1f}%"), x2=tick, y1=0, y2=14),
            class_="bar",
            aria_hidden="true",
        )
        cells = [
            tag("th", choice.path, scope="row"),
            tag("td", bar, tag("span", f"{choice.share:.1%}", class_="number")),
            tag("td", choice.effect),
            tag("td", str(choice.active), class_="number"),
        ]
        body.append(tag("tr", *cells, class_="beyond" if choice.share > choice.chance else "within"))
    left = len(found.choices) - CHOICES_SHOWN
    rest = tag("p", f"… and {left} choices of less importance.", class_="note") if left > 0 else None
    caption = f"Choices by their importance for {name}"
    table = tag("table", tag("caption", caption, class_="hidden"), _head(head), tag("tbody", *body), class_="choices")
    return section("choices", "Importance of choices", tag("p", text, class_="note"), _scroll(table), rest)


def gallery_section(members: Sequence[Record], drawings: Mapping[int, str], names: Sequence[str]) -> Markup | None:
    """Return drawings of the front, cheapest first, evenly spaced if there are many; None if there is no front."""
    if not members:
        return None
    step = max(1.0, (len(members) - 1) / (GALLERY_SIZE - 1))
    shown = [members[round(i * step)] for i in range(min(len(members), GALLERY_SIZE))]
    cards = []
    for record in shown:
        values = {**record.candidate.costs, **(record.values or {})}
        numbers = " · ".join(f"{value_text(name, values[name])} {title(name)}" for name in names)
        button = tag("button", f"Trial {record.number}", type="button", class_="pick", data_trial=record.number)
        caption = tag("figcaption", button, tag("p", numbers), tag("p", record.candidate.summary, class_="code"))
        paper = tag("div", _drawing(drawings[record.number], record), class_="sheet")
        cards.append(tag("figure", caption, paper, class_="card"))
    note = (
        f"{len(shown)} of the {len(members)} networks on the front, evenly spaced."
        if len(shown) < len(members)
        else None
    )
    heading = "Networks of the front" if len(members) > 1 else "The best network"
    return section(
        "gallery", heading, tag("p", note, class_="note") if note else None, tag("div", *cards, class_="gallery")
    )


def retrained_section(results: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Return the table of networks that were retrained over seeds, with their test accuracy; None if there are none."""
    if not results:
        return None
    accuracies = ("test accuracy", "validation accuracy", "in the search")
    head = ("trial", *accuracies, "epochs", *map(heading, RETRAINED_COSTS), "network")
    rows = [_retrained_row(result) for result in results]
    table = tag("table", tag("caption", "Retrained networks", class_="hidden"), _head(head), tag("tbody", *rows))
    note = "Trained again after the search, mean ± standard deviation over seeds. The search never saw the test part; "
    note += (
        "the validation accuracy in the search was selected as the best of many and is therefore too high on average."
    )
    return section("retrained", "Retrained networks", tag("p", note, class_="note"), _scroll(table))


def _retrained_row(result: Mapping[str, Any]) -> Markup:
    button = tag("button", str(result["trial"]), type="button", class_="pick", data_trial=result["trial"])
    texts = [mean_text(result[name]) for name in ("test_accuracy", "val_accuracy")]
    texts.append(value_text("val_accuracy", result["values"].get("val_accuracy")))
    texts.append(str(result["training"]["epochs"]))
    texts += [value_text(name, result["costs"][name]) for name in RETRAINED_COSTS]
    cells = [tag("td", text, class_="number") for text in texts]
    return tag("tr", tag("th", button, scope="row"), *cells, tag("td", result["summary"], class_="code"))


def _drawing(svg: str, record: Record) -> Markup:
    """Return a drawing, which is escaped already, with a label for screen readers."""
    label = tag("svg", role="img", aria_label=f"Drawing of trial {record.number}: {record.candidate.summary}")
    return Markup(svg.replace("<svg", label.removesuffix("></svg>"), 1))


def trials_section(records: Sequence[Record], front: Sequence[int], axes: Sequence[Axis]) -> Markup:
    """Return the table of all trials, one a row; the page's script sorts it by a click on a heading."""
    values = [axis.name for axis in axes]
    costs = [name for name in cost_names([record.candidate.costs for record in records]) if name not in values]
    repeated = any(record.repeats for record in records)
    counts = ("trainings",) if repeated else ()
    head = ("trial", "state", *map(title, (*values, *costs)), *counts, "epochs", "seconds", "network")
    rows = [_trial_row(record, record.number in front, [*values, *costs], repeated) for record in records]
    table = tag(
        "table",
        tag("caption", "All trials", class_="hidden"),
        _head(head, sortable=True),
        tag("tbody", *rows),
        id="all",
    )
    note = f"Click a heading to sort. Rows of the front are marked. {SUMMARY_LEGEND}"
    if repeated:
        note += " The values of a network with several trainings are means."
    content = _scroll(table) if rows else tag("p", "There is no trial yet.", class_="note")
    return section("trials", "All trials", tag("p", note, class_="note") if rows else None, content)


def _trial_row(record: Record, on_front: bool, names: Sequence[str], repeated: bool) -> Markup:
    values = {**record.candidate.costs, **(record.values or {})}
    button = tag("button", str(record.number), type="button", class_="pick", data_trial=record.number)
    cells = [tag("th", button, scope="row", data_value=record.number), tag("td", "front" if on_front else record.state)]
    cells += [_number_cell(values.get(name), value_text(name, values.get(name))) for name in names]
    counts = [record.trainings, len(record.curve)] if repeated else [len(record.curve)]
    cells += [_number_cell(count, str(count)) for count in counts]
    cells.append(_number_cell(round(record.spent, 3), f"{record.spent:.1f}"))
    failure = f"{record.failure.kind}: {record.failure.message}" if record.failure else None
    network = [tag("span", record.candidate.summary), tag("span", failure, class_="failure") if failure else None]
    cells.append(tag("td", *network, class_="code"))
    return tag("tr", *cells, class_="on-front" if on_front else record.state, id=f"trial-{record.number}")


def _number_cell(value: float | None, text: str) -> Markup:
    return tag("td", text, class_="number", data_value="" if value is None else repr(value))


def _head(names: Sequence[str], *, sortable: bool = False) -> Markup:
    cells = [tag("button", name, type="button", class_="sort") if sortable else name for name in names]
    return tag("thead", tag("tr", *(tag("th", cell, scope="col") for cell in cells)))


def _scroll(table: Markup) -> Markup:
    """Return a table in a box that scrolls, by keyboard too, if it is wider than the page."""
    return tag("div", table, class_="scroll", tabindex=0)


def outcome_section(records: Sequence[Record], status: Mapping[str, Any]) -> Markup:
    """Return counts of trials by state and of rejected asks, and failures by kind."""
    counts = [(name, f"{count:,}") for name, count in status["trials"].items()]
    rejected = _rejected_by_limit(records)
    children: list[Child] = [term_list(counts)]
    if rejected:
        counts_text = ", ".join(f"{title(name)} {count:,}" for name, count in rejected.items())
        children.append(
            tag("p", f"Rejected before training, by the limit that was exceeded (as stored): {counts_text}.")
        )
    failed = [record for record in records if record.failure]
    if failed:
        children.append(_scroll(_failures(failed)))
    else:
        children.append(tag("p", "No trial failed.", class_="note"))
    return section("outcome", "Trials by state", *children)


def _failures(failed: Sequence[Record]) -> Markup:
    rows = []
    for kind in sorted({record.failure.kind for record in failed if record.failure}):
        those = [record for record in failed if record.failure and record.failure.kind == kind]
        message = those[-1].failure.message if those[-1].failure else ""
        numbers = ", ".join(str(record.number) for record in those[:20]) + (" …" if len(those) > 20 else "")
        cells = [tag("td", str(len(those)), class_="number"), tag("td", numbers), tag("td", message)]
        rows.append(tag("tr", tag("th", kind, scope="row"), *cells))
    head = _head(("kind", "count", "trials", "last message"))
    return tag("table", tag("caption", "Failures by kind"), head, tag("tbody", *rows))


def _rejected_by_limit(records: Sequence[Record]) -> dict[str, int]:
    broken = [
        name.removeprefix("max_")
        for record in records
        for rejected in record.candidate.rejected
        for name, excess in rejected.constraints.items()
        if excess > 0
    ]
    return dict(Counter(broken))


def commands_section(context: ReportContext, first: int | None) -> Markup:
    """Return the commands that continue from the study, and its settings in full."""
    pick = "best" if first is None else str(first)
    commands = [
        ("Repeat this search under another name", _renamed(context)),
        ("Resume this search", context.search),
        ("Retrain a network over several seeds", f"nas retrain {context.reference} pick={pick}"),
        ("Export it as weights, source and ONNX", f"nas export {context.reference} pick={pick}"),
        ("Pick another: best, knee, front or a trial's number", f"nas retrain {context.reference} pick=knee"),
    ]
    listed = [
        tag("div", tag("dt", purpose), tag("dd", tag("code", command))) for purpose, command in commands if command
    ]
    notes = [] if context.exact else [tag("p", "These commands do not contain all settings, which are listed below.")]
    details = [
        tag("details", tag("summary", name), tag("pre", text))
        for name, text in (
            ("All settings (config.yaml)", context.settings),
            ("Environment", _lines(context.environment)),
        )
        if text
    ]
    return section("commands", "Commands", tag("dl", *listed, class_="commands"), *notes, *details)


def _renamed(context: ReportContext) -> str | None:
    if context.search is None:
        return None
    return context.search.replace(context.named or context.reference, "study=again", 1)


def _lines(mapping: Mapping[str, Any], indent: str = "") -> str:
    return "".join(_line(key, value, indent) for key, value in mapping.items())


def _line(key: str, value: Any, indent: str) -> str:
    if isinstance(value, Mapping):
        return f"{indent}{key}:\n{_lines(value, indent + '  ')}"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"{indent}{key}: {text or 'none'}\n"
