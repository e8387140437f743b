"""The sections of the report as HTML: what can be read without a script, and the places that the script fills."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nas.objectives.costs.macs import COST as MACS
from nas.objectives.costs.params import COST as PARAMS
from nas.objectives.pareto import Axis
from nas.reports.html.facts import Circumstances, axis_text, value_text
from nas.reports.html.figures import cost_columns, title
from nas.reports.html.importance import METHOD, SHUFFLES, Importance
from nas.reports.html.markup import Child, Markup, tag
from nas.reports.trained import mean_and_spread
from nas.study.trial import Record

CHOICES_SHOWN = 15
GALLERY = 24

SHOWN_COSTS = (PARAMS.name, MACS.name)
COLUMNS = (PARAMS.column, MACS.column)


def section(identity: str, heading: str, *children: Child) -> Markup:
    """A section under a heading that it can be linked by."""
    return tag("section", tag("h2", heading), *children, id=identity)


def fact_list(facts: Sequence[tuple[str, str]]) -> Markup:
    """Terms and their texts."""
    return tag("dl", *(tag("div", tag("dt", term), tag("dd", text)) for term, text in facts), class_="facts")


def lede(records: Sequence[Record], axes: Sequence[Axis], figures: Mapping[str, Any]) -> str:
    """The outcome in a sentence or two."""
    complete = [record for record in records if record.values]
    if not complete:
        return f"No trial is complete yet; {len(records)} were begun."
    *some, last = map(axis_text, axes)
    what = f"{', '.join(some)} and {last}" if some else last
    first = next(record for record in complete if record.number == figures["first"])
    values = {**first.candidate.costs, **(first.values or {})}
    shown = [
        f"{value_text(name, values[name])} {title(name)}" for name in (figures["up"], figures["along"])[: len(axes)]
    ]
    share = f"{len(figures['front'])} of {len(complete)} trained networks make up the front of {what}. "
    if len(axes) == 1:
        share = f"{len(complete)} networks were trained for {what}. "
    return f"{share}The best reaches {' at '.join(shown)} (trial {first.number})."


def front_section(figures: Mapping[str, Any], axes: Sequence[Axis]) -> Markup:
    """The interactive front: the picture, what is selected, and its drawing."""
    single = len(axes) == 1
    menus = tag(
        "div",
        tag("label", "Upright ", tag("select", id="up")),
        tag("label", "Along ", tag("select", id="along")),
        class_="menus",
    )
    what = "all trials" if single else "the front"
    label = (
        f"Scatter plot of {what}: {title(figures['up'])} over {title(figures['along'])}; the table below has the same"
    )
    drawing = tag("figure", tag("div", class_="sheet", id="drawing"), tag("figcaption", id="drawing-caption"))
    left = tag(
        "div",
        menus,
        tag("div", id="front-plot", class_="plot tall", role="img", aria_label=label),
        tag("div", id="selected", aria_live="polite", class_="selected"),
    )
    note = "Click a point, or a number in the tables, and its network is drawn here."
    if len(axes) > 2:
        note += f" The front is that of all {len(axes)} objectives: in one plane, members can seem to be dominated."
    return section(
        "front",
        "The networks" if single else "The front",
        tag("p", note, class_="note"),
        tag("div", left, drawing, class_="pair"),
    )


def progress_section(measure: str, axes: Sequence[Axis]) -> Markup:
    """How the search got on, over trials and over seconds of training."""
    if measure == "hypervolume":
        ends = ", ".join(f"{title(axis.name)} {value_text(axis.name, axis.worst)}" for axis in axes)
        ideal = ", ".join(f"{title(axis.name)} {value_text(axis.name, axis.best)}" for axis in axes)
        text = f"Hypervolume: the share of the box from ({ends}) to ({ideal}) that the front dominates, "
        text += "costs on a logarithmic scale."
    else:
        text = f"The best {title(measure)} so far."
    plots = [
        tag("div", id=f"progress-{over}", class_="plot", role="img", aria_label=f"{title(measure)} over {words}")
        for over, words in (("trials", "ended trials"), ("seconds", "seconds of training"))
    ]
    return section("progress", "Progress", tag("p", text, class_="note"), tag("div", *plots, class_="pair"))


def curves_section() -> Markup:
    """Learning curves, those of the front highlighted."""
    menu = tag("div", tag("label", "Show ", tag("select", id="curve")), class_="menus")
    plot = tag("div", id="curves-plot", class_="plot", role="img", aria_label="Learning curves over epochs")
    return section("curves", "Learning curves", menu, plot)


def importance_section(found: Importance) -> Markup:
    """Which choices matter, as a table with bars."""
    name = title(found.axis.name)
    if not found.choices:
        text = f"Needs at least 20 complete trials to say anything; there are {found.trials}."
        return section("choices", "Which choices matter", tag("p", text, class_="note"))
    beyond = sum(choice.share > choice.chance for choice in found.choices)
    text = f"For {name}, from the best {found.best} of n = {found.trials} trials. {METHOD} The tick marks what chance "
    text += f"reaches: the highest of {SHUFFLES} shuffles of the values. Of {len(found.choices)} choices {beyond} are "
    text += f"beyond it, where about {round(len(found.choices) / (SHUFFLES + 1))} would be by chance alone."
    head = ("choice", "part of all importance", "effect", "trials")
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
    return section("choices", "Which choices matter", tag("p", text, class_="note"), _scroll(table), rest)


def gallery_section(members: Sequence[Record], drawings: Mapping[int, str], names: Sequence[str]) -> Markup | None:
    """Drawings of the front, the cheapest first; of a long one, members at even distances."""
    if not members:
        return None
    step = max(1.0, (len(members) - 1) / (GALLERY - 1))
    shown = [members[round(i * step)] for i in range(min(len(members), GALLERY))]
    cards = []
    for record in shown:
        values = {**record.candidate.costs, **(record.values or {})}
        numbers = " · ".join(f"{value_text(name, values[name])} {title(name)}" for name in names)
        button = tag("button", f"Trial {record.number}", type="button", class_="pick", data_trial=record.number)
        caption = tag("figcaption", button, tag("p", numbers), tag("p", record.candidate.summary, class_="code"))
        paper = tag("div", _drawing(drawings[record.number], record), class_="sheet")
        cards.append(tag("figure", caption, paper, class_="card"))
    note = f"{len(shown)} of the {len(members)} on the front, at even distances." if len(shown) < len(members) else None
    heading = "Networks of the front" if len(members) > 1 else "The best network"
    return section(
        "gallery", heading, tag("p", note, class_="note") if note else None, tag("div", *cards, class_="gallery")
    )


def retrained_section(results: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Networks that were trained again in full over seeds, with their accuracy on the test part; None without any."""
    if not results:
        return None
    head = ("trial", "test accuracy", "validation accuracy", "in the search", "epochs", *COLUMNS, "network")
    rows = [_retrained_row(result) for result in results]
    table = tag("table", tag("caption", "Retrained networks", class_="hidden"), _head(head), tag("tbody", *rows))
    note = "Trained again after the search, mean ± standard deviation over seeds. The search never saw the test part; "
    note += "the accuracy in the search, of one training, is the best of many and so too high on average."
    return section("retrained", "Retrained networks", tag("p", note, class_="note"), _scroll(table))


def _retrained_row(result: Mapping[str, Any]) -> Markup:
    button = tag("button", str(result["trial"]), type="button", class_="pick", data_trial=result["trial"])
    texts = [mean_and_spread(result[name]) for name in ("test_accuracy", "val_accuracy")]
    texts.append(value_text("val_accuracy", result["values"].get("val_accuracy")))
    texts.append(str(result["training"]["epochs"]))
    texts += [value_text(name, result["costs"][name]) for name in SHOWN_COSTS]
    cells = [tag("td", text, class_="number") for text in texts]
    return tag("tr", tag("th", button, scope="row"), *cells, tag("td", result["summary"], class_="code"))


def _drawing(svg: str, record: Record) -> Markup:
    """A drawing, which is escaped already, as a picture with a name."""
    label = tag("svg", role="img", aria_label=f"Drawing of trial {record.number}: {record.candidate.summary}")
    return Markup(svg.replace("<svg", label.removesuffix("></svg>"), 1))


def trials_section(records: Sequence[Record], front: Sequence[int], axes: Sequence[Axis]) -> Markup:
    """Every trial, one a row; the page's script sorts it by a click on a heading."""
    values = [axis.name for axis in axes]
    costs = [name for name in cost_columns(records) if name not in values]
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
    note = "Click a heading to sort. Rows of the front are marked."
    if repeated:
        note += " Networks that were trained several times count with their mean."
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
    """A table that is wider than the page scrolls on its own, by keyboard too."""
    return tag("div", table, class_="scroll", tabindex=0)


def outcome_section(records: Sequence[Record], status: Mapping[str, Any]) -> Markup:
    """Trials by state, asks that led to none, and failures by kind."""
    counts = [(name, f"{count:,}") for name, count in status["trials"].items()]
    rejected = _rejected_by_limit(records)
    children: list[Child] = [fact_list(counts)]
    if rejected:
        told = ", ".join(f"{title(name)} {count:,}" for name, count in rejected.items())
        children.append(tag("p", f"Rejected before training, by the limit that was exceeded (as stored): {told}."))
    failed = [record for record in records if record.failure]
    if failed:
        children.append(_scroll(_failures(failed)))
    else:
        children.append(tag("p", "No trial failed.", class_="note"))
    return section("outcome", "What became of the trials", *children)


def _failures(failed: Sequence[Record]) -> Markup:
    rows = []
    for kind in sorted({record.failure.kind for record in failed if record.failure}):
        those = [record for record in failed if record.failure and record.failure.kind == kind]
        message = those[-1].failure.message if those[-1].failure else ""
        numbers = ", ".join(str(record.number) for record in those[:20]) + (" …" if len(those) > 20 else "")
        cells = [tag("td", str(len(those)), class_="number"), tag("td", numbers), tag("td", message)]
        rows.append(tag("tr", tag("th", kind, scope="row"), *cells))
    head = _head(("kind", "times", "trials", "last message"))
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


def commands_section(around: Circumstances, first: int | None) -> Markup:
    """The exact commands to go on with, and the settings in full."""
    pick = "best" if first is None else str(first)
    commands = [
        ("Search the same again, under another name", _renamed(around)),
        ("Go on with this search", around.search),
        ("Train a picked network in full, over several seeds", f"nas retrain {around.reference} pick={pick}"),
        ("Export it: weights, source, ONNX", f"nas export {around.reference} pick={pick}"),
        ("Train and export other ones: best, knee, front, or a trial", f"nas retrain {around.reference} pick=knee"),
    ]
    listed = [tag("div", tag("dt", what), tag("dd", tag("code", command))) for what, command in commands if command]
    notes = [] if around.exact else [tag("p", "The settings cannot be said in full by such a command; see below.")]
    details = [
        tag("details", tag("summary", name), tag("pre", text))
        for name, text in (("All settings (config.yaml)", around.settings), ("Environment", _lines(around.environment)))
        if text
    ]
    return section("commands", "Go on from here", tag("dl", *listed, class_="commands"), *notes, *details)


def _renamed(around: Circumstances) -> str | None:
    if around.search is None:
        return None
    return around.search.replace(around.named or around.reference, "study=again", 1)


def _lines(mapping: Mapping[str, Any], indent: str = "") -> str:
    return "".join(_line(key, value, indent) for key, value in mapping.items())


def _line(key: str, value: Any, indent: str) -> str:
    if isinstance(value, Mapping):
        return f"{indent}{key}:\n{_lines(value, indent + '  ')}"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"{indent}{key}: {text or 'none'}\n"
