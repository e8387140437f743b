"""Elements of the page: headings, notes and empty places, which the page's script fills."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nas.reports.document import ReportContext
from nas.reports.html.markup import Child, Markup, tag
from nas.reports.html.overview import axis_text, value_text
from nas.reports.measures import title
from nas.reports.text import SUMMARY_LEGEND
from nas.study.summary import StudyReader
from nas.study.trial import Record

PARTS = (
    ("front", "Front"),
    ("compare", "Compare"),
    ("network", "Network"),
    ("progress", "Progress"),
    ("choices", "Choices"),
    ("trials", "Trials"),
    ("next", "Go on"),
)
"""Sections that the bar at the top leads to."""
SEVERAL = "The values of a network with several trainings are means."


def place(identity: str, kind: str = "", **attributes: str | int | bool) -> Markup:
    """Return an empty element for the script to fill."""
    return tag("div", id=identity, class_=kind or False, **attributes)


def note(identity: str, text: str = "") -> Markup:
    """Return a muted paragraph that the script may fill."""
    return tag("p", text, id=identity, class_="note")


def section(identity: str, heading: Child, *children: Child) -> Markup:
    """Return a section with a heading; `identity` is its anchor."""
    return tag("section", tag("h2", heading), *children, id=identity)


def _filled(identity: str, heading: str, *children: Child) -> Markup:
    """Return a section that the script shows once there is something in it."""
    return tag("section", tag("h2", heading), *children, id=identity, hidden=True)


def term_list(facts: Sequence[tuple[str, str]], kind: str = "facts") -> Markup:
    """Return a list of terms and their texts."""
    return tag("dl", *(tag("div", tag("dt", term), tag("dd", text)) for term, text in facts), class_=kind)


def header(name: str, *, home: bool) -> Markup:
    """Return the bar at the top and the head of the page.

    Args:
        name: name of the study.
        home: whether a page of all studies stands at `/`.
    """
    back = tag("a", "All studies", href="/", class_="home") if home else None
    links = [tag("a", text, href=f"#{identity}", hidden=identity == "compare") for identity, text in PARTS]
    keys = tag("button", "?", type="button", id="help-button", aria_label="Keys", title="Keys")
    bar = tag("nav", back, tag("div", *links, class_="parts"), keys, aria_label="Sections")
    lost = tag(
        "p", "The server is not heard; the page shows what it last knew.", id="lost", class_="warning", hidden=True
    )
    return tag(
        "header",
        bar,
        tag("p", "Architecture search", class_="kicker"),
        tag("h1", name),
        tag("p", id="headline", class_="headline", aria_live="polite"),
        tag("p", lost, id="lost", class_="warning", hidden=True),
        tag("p", id="failed", class_="warning", hidden=True),
        tag("dl", id="counts", class_="counts"),
        tag("ul", id="slots", class_="slots", hidden=True, aria_label="Running trials"),
    )


def main(context: ReportContext, facts: Sequence[tuple[str, str]], rejected: Mapping[str, int]) -> list[Markup]:
    """Return the sections of the page.

    Args:
        context: settings, machine and commands.
        facts: terms of the search with their texts.
        rejected: counts of asks that were rejected before training, by the cost that was over its limit.
    """
    return [
        _front(),
        _compare(),
        _network(),
        _progress(),
        _curves(),
        _choices(),
        _filled("gallery", "Networks of the front", note("gallery-note"), place("gallery-cards", "gallery")),
        _filled("retrained", "Retrained networks", note("retrained-note", RETRAINED), place("retrained-table")),
        _trials(),
        _outcome(rejected),
        _next(context),
        _about(context, facts),
    ]


RETRAINED = (
    "Trained again after the search, mean ± standard deviation over n seeds, with a 90 % interval of the mean. The "
    "search never saw the test part; its validation accuracies were selected as the best of many."
)


def _front() -> Markup:
    left = tag(
        "div",
        place("front-menus", "menus"),
        place("front-legend", "legend"),
        place("front-plot", "plot tall"),
        note("front-note"),
        tag("div", place("filters"), place("filters-note"), class_="filters"),
    )
    return section(
        "front", "The front", tag("div", left, place("selected", "selected", aria_live="polite"), class_="front-pair")
    )


def _compare() -> Markup:
    return _filled("compare", "Two networks", place("compare-text"), place("compare-drawings", "pair"))


def _network() -> Markup:
    sheet = tag("figure", place("drawing", "sheet", tabindex=0))
    side = tag("div", place("blocks"), place("own-curve", "plot"), place("own-choices"))
    heading = Markup(tag("span", "Network", id="network-title"))
    return section("network", heading, tag("div", sheet, side, class_="pair"))


def _progress() -> Markup:
    return section("progress", "Progress", place("progress-menus", "menus"), place("progress-plot", "plot"))


def _curves() -> Markup:
    return section(
        "curves", "Learning curves", place("curves-menus", "menus"), place("curves-plot", "plot"), note("curves-note")
    )


def _choices() -> Markup:
    return section(
        "choices",
        "Choices that matter",
        place("choices-menus", "menus"),
        note("choices-note"),
        place("choices-table"),
    )


def _trials() -> Markup:
    words = tag("input", type="search", id="trials-filter", placeholder="number, id, state, words of the network")
    menus = tag("div", place("trials-kinds"), tag("label", tag("span", "filter"), words, class_="menu"), class_="menus")
    table = tag(
        "table",
        tag("caption", "All trials", class_="hidden"),
        tag("thead", tag("tr", id="trials-head")),
        tag("tbody", id="trials-body"),
        id="all",
    )
    scroll = tag("div", table, class_="scroll tall", id="trials-scroll", tabindex=0)
    return section(
        "trials",
        "All trials",
        menus,
        note("trials-count"),
        scroll,
        tag("p", f"{SUMMARY_LEGEND} {SEVERAL}", class_="note"),
    )


def _outcome(rejected: Mapping[str, int]) -> Markup:
    broken = ", ".join(f"{title(name)} {count:,}" for name, count in rejected.items())
    text = f"Rejected before training, by the limit that was exceeded (as stored): {broken}." if broken else ""
    return section(
        "outcome", "Trials by state", tag("dl", id="states", class_="counts"), note("rejected", text), place("failures")
    )


def rejected_by_limit(records: Sequence[Record]) -> dict[str, int]:
    """Return counts of asks that were rejected before training, by the cost that was over its limit."""
    broken = [
        name.removeprefix("max_")
        for record in records
        for rejected in record.candidate.rejected
        for name, excess in rejected.constraints.items()
        if excess > 0
    ]
    return dict(Counter(broken))


def _next(context: ReportContext) -> Markup:
    inexact = "The commands of a search do not contain all its settings, which are listed below."
    again = None
    if context.search is not None:
        renamed = context.search.replace(context.named or context.reference, "study=again", 1)
        command = tag("div", tag("code", renamed), class_="command")
        again = tag(
            "dl", tag("div", tag("dt", "Repeat this search under another name"), tag("dd", command)), class_="commands"
        )
    return section(
        "next",
        "How to go on",
        tag("dl", id="next-commands", class_="commands"),
        note("next-count"),
        again,
        None if context.exact else tag("p", inexact, class_="note"),
    )


def _about(context: ReportContext, facts: Sequence[tuple[str, str]]) -> Markup:
    texts = (("All settings (config.yaml)", context.settings), ("Environment", _lines(context.environment)))
    details = [tag("details", tag("summary", name), tag("pre", text, tabindex=0)) for name, text in texts if text]
    return section("about", "This search", term_list(facts), *details)


def help_dialog() -> Markup:
    """Return the dialog that lists the keys."""
    close = tag("button", "Close", type="button", id="help-close", class_="plain")
    text = "Every state of the page stands in its address: a copied link shows the same trial, pins, axes and limits."
    return tag("dialog", tag("h2", "Keys"), tag("dl", id="keys"), tag("p", text, class_="note"), close, id="help")


def needs_script() -> Markup:
    """Return the text for a browser without scripts."""
    return tag("noscript", tag("p", "This page needs JavaScript."))


def front_without_script(reader: StudyReader) -> Markup:
    """Return the front as a table, for a browser without scripts."""
    names = [axis.name for axis in reader.study.axes]
    head = [tag("th", text, scope="col") for text in ("trial", *map(axis_text, reader.study.axes), "network")]
    body = []
    for record in reader.front:
        values = record.values or {}
        cells = [tag("td", value_text(name, values.get(name)), class_="number") for name in names]
        summary = tag("td", record.candidate.summary, class_="code")
        body.append(tag("tr", tag("th", str(record.number), scope="row"), *cells, summary))
    table = tag("table", tag("caption", "The front"), tag("thead", tag("tr", *head)), tag("tbody", *body))
    return tag("noscript", tag("p", "The figures need JavaScript."), table)


def _lines(mapping: Mapping[str, Any], indent: str = "") -> str:
    return "".join(_line(key, value, indent) for key, value in mapping.items())


def _line(key: str, value: Any, indent: str) -> str:
    if isinstance(value, Mapping):
        return f"{indent}{key}:\n{_lines(value, indent + '  ')}"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"{indent}{key}: {text or 'none'}\n"
