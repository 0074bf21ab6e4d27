"""Where errors become answers: everything that goes wrong becomes RFC 9457 `application/problem+json` in this room."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gis_core.access import PUBLIC
from gis_core.errors import (
    BadInput,
    CityError,
    Conflict,
    Forbidden,
    NotFound,
    NotSignedIn,
    Problem,
    TooLarge,
    TooManyRequests,
    Unavailable,
    Unprocessable,
)
from web_map.session import VIEWER, client_of

MEDIA_TYPE: Final = "application/problem+json"
_CLOSED_BY_RULE: Final = 1008
"""The WebSocket's close code for somebody who may not."""
_KINDS: Final = {
    kind.status: kind
    for kind in (
        BadInput, Unprocessable, NotSignedIn, Forbidden, NotFound, Conflict, TooLarge, TooManyRequests, Unavailable,
    )
}  # fmt: skip
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["/problems/not-found"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "problems": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["row", "field", "why", "severity"],
                "properties": {
                    "row": {"type": ["integer", "null"]},
                    "field": {"type": "string"},
                    "why": {"type": "string"},
                    "severity": {"type": "string"},
                },
            },
        },
    },
}
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": words, "content": {MEDIA_TYPE: {"schema": _SCHEMA}}}
    for status, words in (("4XX", "What was asked cannot be done"), ("5XX", "The service cannot answer now"))
}
"""For the API's description (`FastAPI(responses=...)`): how every operation says that something went wrong."""

log = logging.getLogger(__name__)


def install(app: FastAPI) -> None:
    """Map every error of the application."""
    for kind in (CityError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _handle)
    app.add_middleware(Unexpected)


def answer(error: CityError, instance: str) -> JSONResponse:
    """An error as its HTTP answer; `instance` is the path that was asked."""
    more: dict[str, Any] = dict(error.more)
    if error.problems:
        more["problems"] = [problem.as_json() for problem in error.problems]
    told = _problem(error.status, error.slug(), error.title(), error.detail, instance, more)
    if error.status == NotSignedIn.status:
        told.headers["WWW-Authenticate"] = "Bearer"
    if "retry_after" in error.more:
        told.headers["Retry-After"] = str(error.more["retry_after"])
    return told


class Unexpected:
    """ASGI middleware: what nobody foresaw is logged under a number, and the client learns the number only."""

    def __init__(self, app: ASGIApp) -> None:
        """Catch what `app` lets through."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer for it if it fails before its own answer began."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = False
        plain: Message | None = None

        async def noted(message: Message) -> None:
            nonlocal began, plain
            if not began and _is_plain_refusal(message):
                plain = message
            elif plain is not None and not began:
                began = True
                await _retold(plain, message.get("body", b""), scope["path"])(scope, receive, send)
            elif plain is None:
                began = True
                await send(message)

        try:
            await self._app(scope, receive, noted)
        except ClientDisconnect:
            return
        except Exception as error:
            if isinstance(error, CityError):
                told = answer(error, scope["path"])
                _note_refusal(scope, error)
            else:
                number = uuid.uuid4().hex[:12]
                log.exception("%s %s failed (incident %s)", scope["method"], scope["path"], number)
                told = answer(CityError(f"this is our mistake; it is logged as incident {number}"), scope["path"])
            if began:  # the head is sent: all that is left is to break off
                raise
            await told(scope, receive, send)


async def _handle(request: Request, error: Exception) -> Response:
    path = request.scope["path"]
    if isinstance(error, RequestValidationError):
        error = _wrong_request(error)
    if isinstance(error, CityError):
        _note_refusal(request.scope, error)
        told = answer(error, path)
    elif isinstance(error, HTTPException):
        told = _plain(error, path)
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            told.headers["Allow"] = ", ".join(_methods(request))
    else:
        raise error
    if isinstance(request, WebSocket):
        await request.close(_CLOSED_BY_RULE)
    return told


def _wrong_request(error: RequestValidationError) -> BadInput:
    faults = error.errors()
    problems = [Problem(None, ".".join(str(part) for part in fault["loc"][1:]), fault["msg"]) for fault in faults]
    # What does not fit into an address, or is no JSON at all, cannot be read; a body that was read may be wrong.
    is_read = all(fault["loc"][:1] == ("body",) and fault["type"] != "json_invalid" for fault in faults)
    words = "; ".join(f"{p.field}: {p.why}" if p.field else p.why for p in problems[:5])
    return (Unprocessable if is_read else BadInput)(words, problems=problems)


def _is_plain_refusal(message: Message) -> bool:
    """Whether an answer begins that refuses in plain text, as the framework's file answers do (a wrong range)."""
    return (
        message["type"] == "http.response.start"
        and message["status"] >= HTTPStatus.BAD_REQUEST
        and any(name == b"content-type" and value.startswith(b"text/plain") for name, value in message["headers"])
    )


def _retold(begun: Message, body: bytes, path: str) -> JSONResponse:
    """Such an answer as a problem, with its other headers."""
    kept = {name.decode(): value.decode("latin-1") for name, value in begun["headers"] if name not in _OF_THE_BODY}
    error = HTTPException(begun["status"], body.decode(errors="replace") or None, kept)
    return _plain(error, path)


_OF_THE_BODY: Final = (b"content-type", b"content-length", b"etag", b"last-modified")


def _plain(error: HTTPException, path: str) -> JSONResponse:
    """What the framework itself refuses: no such path, no such method."""
    phrase = HTTPStatus(error.status_code).phrase
    kind = _KINDS.get(error.status_code)
    title = kind.title() if kind else f"{phrase}."
    slug = kind.slug() if kind else phrase.lower().replace(" ", "-")
    detail = title if error.detail == phrase else str(error.detail)
    told = _problem(error.status_code, slug, title, detail, path, {})
    told.headers.update(error.headers or {})
    return told


def _methods(request: Request) -> list[str]:
    """Which methods this path takes. The router names those of one route only, and a path may have several."""
    routes = request.app.routes
    taken = [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    return ["GET", "HEAD", *taken[1:]] if "GET" in taken else taken


def _problem(status: int, slug: str, title: str, detail: str, path: str, more: Mapping[str, Any]) -> JSONResponse:
    own = {"type": f"/problems/{slug}", "title": title, "status": status, "detail": detail, "instance": path}
    return JSONResponse({**more, **own}, status, {"Cache-Control": "no-store"}, MEDIA_TYPE)


def _note_refusal(scope: Scope, error: CityError) -> None:
    """Who was refused what goes into the audit trail."""
    if error.status not in (NotSignedIn.status, Forbidden.status):
        return
    viewer = scope.get(VIEWER, PUBLIC)
    detail = f"{error.status} from {client_of(scope)}: {error.detail}"
    action = scope.get("method", "SOCKET")
    scope["app"].state.city.trail.record(viewer, action, scope["path"], allowed=False, detail=detail)
