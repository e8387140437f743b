"""HTML page of the report, in one file that makes no network request.

The file contains its style sheet, scripts, data and drawings. A content security policy allows scripts by their hashes
only, and no connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from plotly.offline import get_plotlyjs

from nas.objectives.pareto import Axis
from nas.reports.document import ReportContext, study_document
from nas.reports.document.importance import importance
from nas.reports.html import sections
from nas.reports.html.markup import Markup, compressed_script, join, json_script, source_hash, tag
from nas.reports.html.overview import overview
from nas.reports.measures import cost_names
from nas.study.belief.gp import evenly
from nas.study.summary import StudyReader
from nas.study.trial import Record
from search_space.architecture import Architecture
from search_space.drawing import draw
from search_space.lowering import lower

DRAWN = 500
"""Drawings of networks that are not on the front, at most: each takes 20 kB and some milliseconds."""


def render(reader: StudyReader, context: ReportContext) -> str:
    """Return the report as HTML.

    Args:
        reader: the study.
        context: settings, machine, retraining results and commands.
    """
    study, records, axes = reader.study, reader.records, reader.study.axes
    figures = study_document(reader, context)
    drawings = {record.number: _draw(record) for record in drawn(records, reader.front)}
    terms = overview(study.fingerprint, axes, figures["limits"], reader.status_document(), context)
    main = [
        tag("p", sections.outcome_text(records, axes, figures), class_="outcome-text"),
        sections.term_list(list(terms)),
        tag("noscript", tag("p", "The figures need JavaScript; the rest of the report does not.")),
        *_sections(reader, figures, drawings, context),
    ]
    data = [
        json_script("data", figures),
        compressed_script("drawings", drawings),
    ]
    return _page(f"{study.name}: search report", study.name, join(main), data)


def drawn(records: Sequence[Record], front: Sequence[Record]) -> list[Record]:
    """Return the trials that the page has drawings of: all, or the front and `DRAWN` others evenly spaced."""
    members = {record.number for record in front}
    others = [record for record in records if record.number not in members]
    return [*front, *(others[place] for place in evenly(len(others), DRAWN))]


def _draw(record: Record) -> str:
    return draw(lower(Architecture.from_json(record.candidate.architecture)), costs=False)


def _sections(
    reader: StudyReader, figures: Mapping[str, Any], drawings: Mapping[int, str], context: ReportContext
) -> list[Markup]:
    records, axes = reader.records, reader.study.axes
    members = reader.front
    objectives = [axis.name for axis in axes]
    costs = cost_names([record.candidate.costs for record in records])
    names = [*objectives, *(name for name in costs[:2] if name not in objectives)]
    if not records:
        return [sections.commands_section(context, None)]
    parts = [
        sections.front_section(figures, axes),
        sections.progress_section(figures["progress"]["measure"], axes),
        sections.curves_section(),
        sections.importance_section(importance(records, _axis_of(axes, figures["y"]))),
        sections.gallery_section(members, drawings, names),
        sections.retrained_section(context.retrained),
        sections.trials_section(records, figures["front"], axes),
        sections.outcome_section(records, reader.status_document()),
        sections.commands_section(context, figures["first"] if members else None),
    ]
    return [part for part in parts if part is not None]


def _axis_of(axes: Sequence[Axis], name: str) -> Axis:
    return next(axis for axis in axes if axis.name == name)


def _page(heading: str, name: str, main: Markup, data: Sequence[Markup]) -> str:
    style, scripts = _asset("report.css"), [get_plotlyjs(), _asset("report.js")]
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(scripts)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", heading),
        tag("style", Markup(style)),
    ]
    body = [
        tag("a", "Skip to the front", href="#front", class_="skip"),
        tag("header", tag("p", "Architecture search", class_="kicker"), tag("h1", name)),
        tag("main", main),
        *data,
        *(tag("script", Markup(_checked(script))) for script in scripts),
    ]
    return f"<!DOCTYPE html>\n{tag('html', tag('head', *head), tag('body', *body), lang='en')}\n"


def _policy(scripts: Sequence[str]) -> str:
    """Return a policy that allows these scripts, and styles, since Plotly adds its own."""
    allowed = {
        "default-src": "'none'",
        "script-src": " ".join(map(source_hash, scripts)),
        "style-src": "'unsafe-inline'",
        "img-src": "data: blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {sources}" for name, sources in allowed.items())


def _checked(script: str) -> str:
    """Return the script unchanged; nothing in it may end its element."""
    assert "</script" not in script.lower()
    assert "<!--" not in script
    return script


def _asset(name: str) -> str:
    return files("nas.reports.html").joinpath(name).read_text(encoding="utf-8")
