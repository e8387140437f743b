"""Answers of the live page: JSON, HTML and files, compressed for those who take that."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

JSON = "application/json"
HTML = "text/html; charset=utf-8"
FROM_BYTES = 1400
"""Length from which on a body is compressed."""
LEVEL = 5


@dataclass(frozen=True)
class Body:
    """Body of an answer, as it is and compressed.

    Attributes:
        plain: its bytes.
        media_type: its type.
        headers: further headers.
        packed: its bytes compressed by gzip; None for a short one.
    """

    plain: bytes
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    packed: bytes | None = None

    @classmethod
    def of(cls, plain: bytes, media_type: str = JSON, headers: Mapping[str, str] | None = None) -> Body:
        """Return a body that is compressed if it is long."""
        packed = gzip.compress(plain, LEVEL, mtime=0) if len(plain) >= FROM_BYTES else None
        return cls(plain, media_type, headers or {}, packed)

    @classmethod
    def of_json(cls, value: Any) -> Body:
        """Return a value as JSON."""
        return cls.of(encoded(value))

    @classmethod
    def of_html(cls, text: str, policy: str) -> Body:
        """Return a page with its content security policy."""
        return cls.of(text.encode("utf-8", "replace"), HTML, {"Content-Security-Policy": policy})


def answer(request: Request, body: Body, status: int = 200) -> Response:
    """Return the answer to a request.

    Args:
        request: says whether a compressed body is taken.
        body: the body.
        status: status of HTTP.
    """
    headers = {**body.headers, "Vary": "Accept-Encoding"}
    packed = body.packed if "gzip" in request.headers.get("accept-encoding", "") else None
    if packed is not None:
        headers["Content-Encoding"] = "gzip"
    return Response(body.plain if packed is None else packed, status, headers, media_type=body.media_type)


def refused(status: int, reason: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer to a request that is refused.

    Args:
        status: status of HTTP.
        reason: the law.
        headers: further headers.
    """
    return Response(encoded({"error": reason}), status, dict(headers or {}), media_type=JSON)


def encoded(value: Any) -> bytes:
    """Return a value as JSON on one line; half a surrogate pair, which UTF-8 lacks, becomes a question mark."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace")
