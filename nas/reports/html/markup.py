"""HTML that cannot be broken out of: text becomes markup only through the functions here, and they escape it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable
from html import escape
from typing import Any, Final

VOID: Final = frozenset({"meta", "link", "br", "hr", "input", "col"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | Markup | None


def tag(name: str, /, *children: Child, **attributes: str | bool | int) -> Markup:
    """An element; children that are not `Markup` are escaped, and so is every attribute.

    Args:
        name: of the element, written by the program and never by a user.
        children: what stands in it; None is nothing.
        attributes: a trailing underscore is dropped, other underscores become hyphens; True is an attribute without a
            value, False none.

    >>> tag("p", "a < b", class_="note")
    '<p class="note">a &lt; b</p>'
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items() if value is not False)
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Markup:
    """Children in a row, those that are not `Markup` escaped."""
    return Markup("".join(c if isinstance(c, Markup) else escape(c) for c in children if c is not None))


def _attribute(key: str, value: str | bool | int) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def json_script(identity: str, document: Any) -> Markup:
    r"""A block of data that a script reads: JSON in which nothing can end the block or open a comment in it.

    >>> json_script("data", {"name": "</script>"})
    '<script type="application/json" id="data">{"name":"\\u003c/script\\u003e"}</script>'
    """
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(f'<script type="application/json" id="{escape(identity)}">{text}</script>')


def packed_script(identity: str, document: Any) -> Markup:
    """A block of data that a script unpacks: JSON, compressed, in base 64."""
    raw = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    packed = base64.b64encode(gzip.compress(raw, 9, mtime=0)).decode("ascii")
    return Markup(f'<script type="application/octet-stream" id="{escape(identity)}">{packed}</script>')


def source_hash(source: str) -> str:
    """What a content security policy calls a script or style sheet by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode('ascii')}'"
