"""Live page: a server on the loopback address that follows studies and writes nothing."""

from __future__ import annotations

from nas.reports.live.library import Library
from nas.reports.live.server import HOST, serve

__all__ = ["HOST", "Library", "serve"]
