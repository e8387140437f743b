"""Scripts and style sheet of the page: modules joined to one script, and files under names that hold their hashes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from nas.reports.html.markup import Markup, source_hash, tag

MAIN = "main.js"
STYLE = "page.css"
ICON = "icon.svg"
IMPORT = re.compile(r'^import \{[^}]*\} from "\./([a-z]+\.js)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|const|class) (\w+))", re.MULTILINE)

LIVE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content security policy of a page that a server sends: its own files alone, and no script or style in the page."""


@dataclass(frozen=True)
class StaticFile:
    """File that a page refers to.

    Attributes:
        media_type: its type, as in the header `Content-Type`.
        content: its bytes.
    """

    media_type: str
    content: bytes


@cache
def script() -> str:
    """Return all modules of the page as one script, each after those that it imports.

    A module is an ES module that imports by name from modules beside it. Joined, each is a function whose exports are
    the names of all.
    """
    order: list[str] = []
    _visit(MAIN, order, ())
    return "".join(map(_joined, order))


def _joined(name: str) -> str:
    text = IMPORT.sub("", _asset(name))
    exports = ", ".join(EXPORT.findall(text))
    return f"const {{ {exports} }} = (() => {{\n{EXPORT.sub('', text)}return {{ {exports} }};\n}})();\n"


@cache
def style() -> str:
    """Return the style sheet."""
    return _asset(STYLE)


@cache
def static_files() -> Mapping[str, StaticFile]:
    """Return the files that a served page refers to, by names that change with their content."""
    return dict(_static_files())


def _static_files() -> Iterator[tuple[str, StaticFile]]:
    for name, text, media_type in (
        (MAIN, script(), "text/javascript"),
        (STYLE, style(), "text/css"),
        (ICON, _asset(ICON), "image/svg+xml"),
    ):
        yield _hashed(name, text), StaticFile(f"{media_type}; charset=utf-8", text.encode())


def _hashed(name: str, text: str) -> str:
    stem, _, end = name.partition(".")
    return f"{stem}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.{end}"


def links() -> list[Markup]:
    """Return the elements of a served page's head that refer to its script, style and icon."""
    script_name, style_name, icon_name = static_files()
    return [
        tag("link", rel="stylesheet", href=f"/static/{style_name}"),
        tag("link", rel="icon", type="image/svg+xml", href=f"/static/{icon_name}"),
        tag("script", type="module", src=f"/static/{script_name}"),
    ]


def report_policy() -> str:
    """Return the content security policy of a report: its own script and style by their hashes, and no connection."""
    allowed = {"script-src": source_hash(script()), "style-src": source_hash(style())}
    inert = {"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'"}
    return "; ".join(f"{name} {sources}" for name, sources in (allowed | inert).items())


def _visit(name: str, order: list[str], within: tuple[str, ...]) -> None:
    """Append a module to `order` after those that it imports, which never import one another in a circle."""
    assert name not in within, f"modules of the page must not import one another, got {(*within, name)}"
    if name in order:
        return
    for other in IMPORT.findall(_asset(name)):
        _visit(other, order, (*within, name))
    order.append(name)


@cache
def _asset(name: str) -> str:
    return files("nas.reports.html").joinpath("static", name).read_text(encoding="utf-8")
