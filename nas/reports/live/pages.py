"""Pages that the server sends: the list of studies, a study, and one that can't be read; and the files beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from nas.reports.document import ReportContext
from nas.reports.html.assets import LIVE_POLICY, links, static_files
from nas.reports.html.markup import Child, Markup, tag
from nas.reports.html.overview import value_text
from nas.reports.html.page import live_page
from nas.reports.live.answers import Body
from nas.reports.measures import title
from nas.reports.text import duration_text
from nas.study.overview import DONE
from nas.study.summary import StudyReader

REFRESH_SECONDS = 10
FOREVER = "public, max-age=31536000, immutable"


def assets() -> Mapping[str, Body]:
    """Return the files that the pages refer to, below `/static/`, by names that change with their content."""
    return {
        name: Body.of(file.content, file.media_type, {"Cache-Control": FOREVER})
        for name, file in static_files().items()
    }


def study_page(reader: StudyReader, context: ReportContext, status: Mapping[str, Any], base: str) -> Body:
    """Return the page of a study, whose script fetches its document.

    Args:
        reader: the study.
        context: settings, machine and commands.
        status: status of the study, as in its document.
        base: path of the page.
    """
    return Body.of_html(live_page(reader, context, status, base), LIVE_POLICY)


def trouble_page(name: str, trouble: str) -> Body:
    """Return the page of a study that can't be read."""
    return Body.of_html(
        _page(name, tag("p", trouble, class_="failure"), tag("p", _link("/", "All studies"))), LIVE_POLICY
    )


def index_page(entries: Sequence[Mapping[str, Any]]) -> Body:
    """Return the list of studies.

    Args:
        entries: facts about them.
    """
    names = ("study", "state", "trials", "best", "hypervolume", "searched for")
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in names)))
    table = tag("table", head, tag("tbody", *map(_row, entries)), class_="studies")
    scroll = tag("div", table, class_="scroll", tabindex=0)
    content = scroll if entries else tag("p", "There is no study yet: nas search study=NAME makes one.", class_="note")
    again = tag("meta", http_equiv="refresh", content=REFRESH_SECONDS)
    return Body.of_html(_page("Studies", content, again=again), LIVE_POLICY)


def _row(entry: Mapping[str, Any]) -> Markup:
    heading = tag("th", _link(address(entry["name"]), entry["name"]), scope="row")
    if "error" in entry:
        return tag("tr", heading, tag("td", entry["state"]), tag("td", entry["error"], colspan=4, class_="failure"))
    share, best, goal = entry["share_done"], entry["best"], entry["budget_trials"]
    state = entry["state"] if share is None or entry["state"] == DONE else f"{entry['state']}, {share:.0%}"
    values = {} if best is None else best["values"]
    numbers = (
        f"{entry['trials']:,}" + (f" of {goal:,}" if goal else ""),
        " at ".join(f"{value_text(name, value)} {title(name)}" for name, value in list(values.items())[:2]) or "–",
        f"{entry['hypervolume']:.3f}",
        duration_text(entry["clock_seconds"]),
    )
    return tag("tr", heading, tag("td", state), *(tag("td", number, class_="number") for number in numbers))


def address(name: str) -> str:
    """Return the path of a study's page."""
    return f"/s/{quote(name, safe='', errors='replace')}"


def _link(address: str, text: str) -> Markup:
    return tag("a", text, href=address)


def _page(heading: str, *content: Child, again: Markup | None = None) -> str:
    head = [
        again,
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", heading),
        *(link for link in links() if link.startswith("<link")),
    ]
    body = [tag("header", tag("p", "Architecture search", class_="kicker"), tag("h1", heading)), tag("main", *content)]
    return f"<!DOCTYPE html>\n{tag('html', tag('head', *head), tag('body', *body), lang='en')}\n"
