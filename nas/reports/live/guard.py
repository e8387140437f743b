"""Guard of the live page: answers reads from this machine alone.

A page elsewhere may have a name that resolves to 127.0.0.1 (DNS rebinding): its requests bear that name as their host.
"""

from __future__ import annotations

from typing import final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nas.reports.live.answers import refused

NAMES = ("127.0.0.1", "localhost", "[::1]")
READ_METHODS = ("GET", "HEAD")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@final
class Guard:
    """ASGI application before another one."""

    def __init__(self, application: ASGIApp, port: int) -> None:
        """Guard an application.

        Args:
            application: the application.
            port: the port that it is served on.
        """
        self._application = application
        self._hosts = {f"{name}:{port}" for name in NAMES} | (set(NAMES) if port == 80 else set())
        self._origins = {f"http://{host}" for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
        if scope["type"] != "http":  # no other protocol is spoken here
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        await (refusal or self._application)(scope, receive, send_with_headers)

    def _refusal(self, method: str, headers: Headers) -> Response | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return refused(403, f"the host must be one of {', '.join(sorted(self._hosts))}")
        if any(origin not in self._origins for origin in headers.getlist("origin")):
            return refused(403, "the origin must be this page")
        if method not in READ_METHODS:
            return refused(405, "the page only reads", {"Allow": ", ".join(READ_METHODS)})
        return None
