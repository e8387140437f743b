"""Escaped HTML: text becomes markup only through the functions of this module, which escape it."""

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
    """Text that is HTML and is not escaped again."""

    __slots__ = ()


Child = str | Markup | None


def tag(name: str, /, *children: Child, **attributes: str | bool | int) -> Markup:
    """Return an element; children that are not `Markup` are escaped, and so is every attribute.

    Args:
        name: name of the element; never from a user.
        children: content; None is skipped.
        attributes: a trailing underscore is dropped, other underscores become hyphens; True is an attribute without a
            value, False none.

    >>> tag("p", "a < b", class_="note")
    '<p class="note">a &lt; b</p>'
    """
    pairs = "".join(_attribute(key, value) for key, value in attributes.items() if value is not False)
    if name in VOID:
        return Markup(f"<{name}{pairs}>")
    return Markup(f"<{name}{pairs}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Markup:
    """Return the children concatenated; those that are not `Markup` are escaped."""
    return Markup("".join(c if isinstance(c, Markup) else escape(c) for c in children if c is not None))


def _attribute(key: str, value: str | bool | int) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def json_script(identity: str, document: Any) -> Markup:
    r"""Return a block of JSON for a script; nothing in it can end the block or open a comment.

    >>> json_script("data", {"name": "</script>"})
    '<script type="application/json" id="data">{"name":"\\u003c/script\\u003e"}</script>'
    """
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(f'<script type="application/json" id="{escape(identity)}">{text}</script>')


def compressed_script(identity: str, document: Any) -> Markup:
    """Return a block of JSON for a script, compressed by gzip and encoded in base64."""
    raw = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    compressed = base64.b64encode(gzip.compress(raw, 9, mtime=0)).decode("ascii")
    return Markup(f'<script type="application/octet-stream" id="{escape(identity)}">{compressed}</script>')


def source_hash(source: str) -> str:
    """Return the hash by which a content security policy allows a script or style sheet."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode('ascii')}'"
