"""HTML page of a study, as one file that makes no network request, or as a shell for a server's data.

Both have the same elements and scripts. The report contains its style sheet, script, data and drawings, and its content
security policy allows the script by its hash only, and no connection; the shell refers to files beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.reports.document import ReportContext, study_document
from nas.reports.document.details import drawing_and_blocks
from nas.reports.document.measures import limits_of
from nas.reports.html import assets, sections
from nas.reports.html.details import detailed
from nas.reports.html.markup import Child, Markup, compressed_script, json_script, tag
from nas.reports.html.overview import overview, start_weights
from nas.study.overview import START_WEIGHTS
from nas.study.summary import StudyReader


def render(reader: StudyReader, context: ReportContext) -> str:
    """Return the report as HTML.

    Args:
        reader: the study.
        context: settings, machine, retraining results and commands.
    """
    document = study_document(reader, context)
    details = {record.number: drawing_and_blocks(record) for record in detailed(reader.records, reader.front)}
    head = [
        tag("meta", http_equiv="Content-Security-Policy", content=assets.report_policy()),
        tag("style", Markup(_checked(assets.style()))),
    ]
    tail = [
        json_script("data", document),
        compressed_script("details", details),
        tag("script", Markup(_checked(assets.script())), type="module"),
    ]
    main = _main(reader, context, document["status"], sections.rejected_by_limit(reader.records))
    return _html(reader.study.name, main, head, [sections.front_without_script(reader), *tail])


def live_page(reader: StudyReader, context: ReportContext, status: Mapping[str, Any], base: str) -> str:
    """Return the page of a study without its data, which the page's script fetches and follows.

    Args:
        reader: the study.
        context: settings, machine and commands.
        status: status of the study, as in its document.
        base: path of the page, such as `/s/mine`; its data are below `/api` + `base`.
    """
    main = _main(reader, context, status, {})  # rejected asks are many: seconds to read in a large study
    return _html(reader.study.name, main, assets.links(), [sections.needs_script()], base)


def _main(
    reader: StudyReader, context: ReportContext, status: Mapping[str, Any], rejected: Mapping[str, int]
) -> list[Markup]:
    study = reader.study
    terms = overview(study.fingerprint, study.axes, limits_of(reader.records), status, context)
    weights = start_weights(study.attribute(START_WEIGHTS))
    return sections.main(context, [*terms, *weights], rejected)


def _html(
    name: str, main: Sequence[Markup], head: Sequence[Markup], tail: Sequence[Markup], base: str | None = None
) -> str:
    common = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{name}: architecture search"),
    ]
    body: list[Child] = [
        tag("a", "Skip to the front", href="#front", class_="skip"),
        sections.header(name, home=base is not None),
        tag("main", *main),
        sections.help_dialog(),
        *tail,
    ]
    attributes = {} if base is None else {"data_base": base}
    content = tag("head", *common, *head), tag("body", *body)
    return f"<!DOCTYPE html>\n{tag('html', *content, lang='en', **attributes)}\n"


def _checked(source: str) -> str:
    """Return a script or style sheet unchanged; nothing in it may end its element."""
    assert not any(end in source.lower() for end in ("</script", "</style", "<!--"))
    return source
