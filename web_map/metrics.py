"""`/metrics`: how many requests, how they ended, how long they took; for Prometheus."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

router = APIRouter(tags=["health"])

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_PARTS = ("tiles", "ogc", "hexagons", "uploads", "export", "api", "assets")


@router.get("/metrics", response_class=Response)
def read_metrics(request: Request) -> Response:
    """The counters of this process in Prometheus's text format; they hold no names and no data."""
    city, book = request.app.state.city, request.app.state.metrics
    book.alive.set(1 if city.feed.alive else 0)
    return Response(generate_latest(book.registry), media_type=CONTENT_TYPE_LATEST)


class Book:
    """The counters of one service; each service has its own registry, so that tests do not share them."""

    def __init__(self) -> None:
        """Open an empty book."""
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "chengtu_requests_total", "Requests answered.", ("part", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "chengtu_request_seconds",
            "Time until the answer began.",
            ("part",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._parts: dict[tuple[str, int], tuple[Histogram, Counter]] = {}
        self.alive = Gauge("chengtu_change_feed_alive", "1 while the change feed is connected.", registry=self.registry)

    def note(self, part: str, status: int, seconds: float) -> None:
        """Write down one answer. Looking up a counter by its labels costs more than counting, so it is done once."""
        known = self._parts.get((part, status))
        if known is None:
            known = self._parts[part, status] = self.seconds.labels(part), self.requests.labels(part, str(status))
        known[0].observe(seconds)
        known[1].inc()


class Measured:
    """ASGI middleware that writes each request into the book, by the part of the service that it asked."""

    def __init__(self, app: ASGIApp, book: Book) -> None:
        """Measure what `app` answers."""
        self._app = app
        self._book = book

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note when and how its answer began."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        part, began = _part(scope["path"]), time.perf_counter()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._book.note(part, message["status"], time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, noted)


def _part(path: str) -> str:
    """The part of the service a path asks: a fixed few, so that a stranger's paths cannot fill the book."""
    if "/tiles/" in path:
        return "tiles"
    first, _, rest = path.lstrip("/").partition("/")
    second = rest.partition("/")[0]
    return next((part for part in _PARTS if part in (second, first)), "pages")
