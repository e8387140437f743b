"""The report as one HTML file that asks nothing of any network.

Style sheet, scripts, data and drawings stand in the file. A content security policy lets nothing else run: scripts
are allowed by their hashes, connections not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from plotly.offline import get_plotlyjs

from nas.objectives.pareto import Axis
from nas.reports.html import sections
from nas.reports.html.facts import Circumstances, facts
from nas.reports.html.figures import cost_columns, figures_document
from nas.reports.html.importance import importance
from nas.reports.html.markup import Markup, compressed_script, join, json_script, source_hash, tag
from nas.study.summary import StudyReader, front_records
from nas.study.trial import Record
from search_space.architecture import Architecture
from search_space.drawing import draw
from search_space.lowering import lower


def render(reader: StudyReader, around: Circumstances) -> str:
    """The whole report.

    Args:
        reader: the study.
        around: what stands beside it, and the commands that go on from it.
    """
    study, records, axes = reader.study, reader.records, reader.study.axes
    figures = figures_document(records, axes)
    drawings = {record.number: _draw(record) for record in records}
    commands = {name: f"nas {name} {around.reference} pick=" for name in ("retrain", "export")}
    known = facts(study.fingerprint, axes, figures["limits"], reader.status_document(), around)
    main = [
        tag("p", sections.lede(records, axes, figures), class_="lede"),
        sections.fact_list(list(known)),
        tag("noscript", tag("p", "The pictures need a browser that runs scripts; all else stands below.")),
        *_sections(reader, figures, drawings, around),
    ]
    data = [
        json_script("data", {"study": study.name, "commands": commands, "single": len(axes) == 1, **figures}),
        compressed_script("drawings", drawings),
    ]
    return _page(f"{study.name}: report of a search", study.name, join(main), data)


def _draw(record: Record) -> str:
    return draw(lower(Architecture.from_json(record.candidate.architecture)), costs=False)


def _sections(
    reader: StudyReader, figures: Mapping[str, Any], drawings: Mapping[int, str], around: Circumstances
) -> list[Markup]:
    records, axes = reader.records, reader.study.axes
    members = front_records(records, axes)
    names = [axis.name for axis in axes] + [
        name for name in cost_columns(records)[:2] if name not in {axis.name for axis in axes}
    ]
    if not records:
        return [sections.commands_section(around, None)]
    made = [
        sections.front_section(figures, axes),
        sections.progress_section(figures["progress"]["measure"], axes),
        sections.curves_section(),
        sections.importance_section(importance(records, _studied(axes, figures["up"]))),
        sections.gallery_section(members, drawings, names),
        sections.retrained_section(around.retrained),
        sections.trials_section(records, figures["front"], axes),
        sections.outcome_section(records, reader.status_document()),
        sections.commands_section(around, figures["first"] if members else None),
    ]
    return [part for part in made if part is not None]


def _studied(axes: Sequence[Axis], up: str) -> Axis:
    return next(axis for axis in axes if axis.name == up)


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
        tag("header", tag("p", "Report of an architecture search", class_="kicker"), tag("h1", name)),
        tag("main", main),
        *data,
        *(tag("script", Markup(_whole(script))) for script in scripts),
    ]
    return f"<!DOCTYPE html>\n{tag('html', tag('head', *head), tag('body', *body), lang='en')}\n"


def _policy(scripts: Sequence[str]) -> str:
    """Nothing but what stands in the file: these scripts, and styles, of which Plotly brings its own."""
    allowed = {
        "default-src": "'none'",
        "script-src": " ".join(map(source_hash, scripts)),
        "style-src": "'unsafe-inline'",
        "img-src": "data: blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {sources}" for name, sources in allowed.items())


def _whole(script: str) -> str:
    """The script as it is, for nothing in it may end its element."""
    assert "</script" not in script.lower()
    assert "<!--" not in script
    return script


def _asset(name: str) -> str:
    return files("nas.reports.html").joinpath(name).read_text(encoding="utf-8")
