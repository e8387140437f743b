"""Routes of the live page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from nas.reports.document.details import details
from nas.reports.live.answers import Body, answer, refused
from nas.reports.live.feed import Feed
from nas.reports.live.follower import ERRORS, Follower
from nas.reports.live.library import Library
from nas.reports.live.pages import address, assets, index_page, study_page, trouble_page
from nas.study.selection import numbered

EVENTS = "text/event-stream"
HEARTBEAT_SECONDS = 15.0
"""Seconds after which a stream without news says that it is alive."""
UNREADABLE = "the study can't be read"


@final
class LivePage:
    """Application that shows the studies of a library."""

    def __init__(self, library: Library) -> None:
        """Follow nothing yet.

        Args:
            library: the studies.
        """
        self._library = library
        self._followers: dict[str, tuple[Follower, Signal]] = {}
        self._assets = assets()
        self._documents: dict[str, tuple[str, Body]] = {}
        self._closing = False
        self.application = Starlette(
            routes=[
                Route("/", self._index),
                Route("/api/studies", self._studies),
                Route("/static/{name}", self._static),
                Route("/s/{name}", self._page),
                Route("/api/s/{name}/document", self._document),
                Route("/api/s/{name}/trials/{number:int}", self._trial),
                Route("/api/s/{name}/events", self._events),
            ],
            exception_handlers={HTTPException: _mistake},
        )

    async def preload(self) -> None:
        """Read the one study that is shown, before it is asked for."""
        if self._library.only is not None:
            await self._read(self._library.only)

    def close(self) -> None:
        """End all streams; called in the event loop."""
        self._closing = True
        for follower, signal in self._followers.values():
            follower.stop()
            signal.fire()

    async def _index(self, request: Request) -> Response:
        if self._library.only is not None:
            return RedirectResponse(address(self._library.only), 307)
        return answer(request, index_page(await self._entries()))

    async def _studies(self, request: Request) -> Response:
        return answer(request, Body.of_json({"studies": await self._entries()}))

    async def _entries(self) -> list[dict[str, Any]]:
        names = await self._names()
        return await asyncio.to_thread(lambda: [self._library.entry(name) for name in names])

    async def _names(self) -> Sequence[str]:
        """Return the names of all studies, which a database may be slow to tell.

        Raises:
            HTTPException: they can't be read.
        """
        try:
            return await asyncio.to_thread(self._library.names)
        except ERRORS as error:
            raise HTTPException(503, " ".join(str(error).split())) from error

    async def _static(self, request: Request) -> Response:
        found = self._assets.get(request.path_params["name"])
        if found is None:
            raise HTTPException(404, "there is no such file")
        return answer(request, found)

    async def _page(self, request: Request) -> Response:
        name = request.path_params["name"]
        follower = await self._read(name)
        if follower.now is None:
            return answer(request, trouble_page(name, follower.trouble or UNREADABLE), 409)
        status = follower.feed.field("status")
        return answer(request, await asyncio.to_thread(study_page, *follower.now, status, address(name)))

    async def _document(self, request: Request) -> Response:
        name = request.path_params["name"]
        follower = await self._read(name)
        if follower.now is None:
            raise HTTPException(409, follower.trouble or UNREADABLE)
        return answer(request, await asyncio.to_thread(self._serialised, name, follower.feed))

    def _serialised(self, name: str, feed: Feed) -> Body:
        """Return the document of a study, which is serialised once for all viewers."""
        known = self._documents.get(name)
        if known is None or known[0] != feed.version:
            version, plain = feed.document()
            known = self._documents[name] = version, Body.of(plain)
        return known[1]

    async def _trial(self, request: Request) -> Response:
        follower = await self._read(request.path_params["name"])
        if follower.now is None:
            raise HTTPException(409, follower.trouble or UNREADABLE)
        reader, context = follower.now
        number = request.path_params["number"]
        record = numbered(reader.records, number)
        if record is None:
            raise HTTPException(404, f"the study must have the trial, it has no trial {number}")
        try:
            found = await asyncio.to_thread(details, record, context.reference)
        except (ValueError, TypeError, LookupError) as error:
            raise HTTPException(409, f"the architecture must be readable here, it is not: {error}") from None
        return answer(request, Body.of_json(found))

    async def _events(self, request: Request) -> Response:
        follower, signal = await self._follower(request.path_params["name"])
        since = request.headers.get("last-event-id") or request.query_params.get("since", "")
        if request.method == "HEAD":
            return Response(media_type=EVENTS)
        return StreamingResponse(self._stream(follower, signal, since), media_type=EVENTS)

    async def _stream(self, follower: Follower, signal: Signal, since: str) -> AsyncIterator[bytes]:
        yield b"retry: 1000\n\n"
        with follower.viewer():
            while not self._closing:
                news = signal.next()
                since, events = follower.feed.since(since)
                for place, (name, data) in enumerate(events, 1):
                    identity = f"id: {since}\n" if place == len(events) else ""
                    yield f"event: {name}\n{identity}data: ".encode() + data + b"\n\n"
                if not events and not await _within(news, HEARTBEAT_SECONDS):
                    yield b": alive\n\n"

    async def _read(self, name: str) -> Follower:
        follower, _ = await self._follower(name)
        await asyncio.to_thread(follower.wait)
        return follower

    async def _follower(self, name: str) -> tuple[Follower, Signal]:
        """Return the follower of a study, made at its first use.

        Raises:
            HTTPException: there is no study of that name.
        """
        if name not in self._followers and name not in await self._names():
            raise HTTPException(404, "there is no such study")
        if name not in self._followers:
            signal = Signal(asyncio.get_running_loop())
            self._followers[name] = Follower(self._library.source(name), signal.fire_from_thread), signal
        return self._followers[name]


@final
class Signal:
    """Signal to all who wait for news at the moment at which it is given."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Belong to an event loop."""
        self._loop = loop
        self._event = asyncio.Event()

    def next(self) -> asyncio.Event:
        """Return the event that the next signal sets."""
        return self._event

    def fire(self) -> None:
        """Give the signal, in the event loop."""
        fired, self._event = self._event, asyncio.Event()
        fired.set()

    def fire_from_thread(self) -> None:
        """Give the signal from any thread; nothing happens once the event loop has ended."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.fire)


async def _within(event: asyncio.Event, seconds: float) -> bool:
    """Return whether an event happens within some seconds."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _mistake(request: Request, error: Exception) -> Response:
    status, reason = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "it failed")
    if request.url.path.startswith("/s/"):
        return answer(request, trouble_page("Architecture search", reason), status)
    return refused(status, reason)
