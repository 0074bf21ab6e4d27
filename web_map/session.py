"""Who asks: the bearer token or the session cookie of a request, signing in with a link or a typed token, signing out.

A token that is shown and does not hold is 401, never silently the public. A browser sends its cookie by itself,
whatever page made it ask, so a request that changes something or opens a socket counts only from our own pages.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableMapping
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Body, FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from gis_core.access import PUBLIC, Viewer
from gis_core.errors import CityError, Forbidden, NotSignedIn, TooManyRequests
from gis_core.tokens import SESSION, Door
from web_map.throttle import Throttle

COOKIE: Final = "chengtu_session"
VIEWER: Final = "chengtu.viewer"
"""Where a request's scope says who was recognised, for the rooms that do not ask."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_PAGES: Final = frozenset({"same-origin", "none"})
_LONGEST_TOKEN: Final = 500

router = APIRouter(tags=["session"])

Answer = TypeVar("Answer")
Shown = tuple[str, Literal["bearer", "cookie"]]


def install(app: FastAPI) -> None:
    """Give the application what sign-in needs, and keep tokens out of the log of requests."""
    app.state.throttle = Throttle()
    logging.getLogger("uvicorn.access").addFilter(hide_query)


async def viewer_of(request: HTTPConnection) -> Viewer:
    """Who asks; the public when no token is shown.

    Raises:
        NotSignedIn: a token is shown and does not hold.
        Forbidden: the cookie came with a change that another site's page asked for.
        TooManyRequests: this client came with too many wrong tokens.

    """
    return await recognise_scope(request.scope)


async def recognise_scope(scope: MutableMapping[str, Any]) -> Viewer:
    """The same for a raw ASGI scope; a token that was seen a moment ago costs neither query nor thread."""
    shown = shown_by(scope)
    viewer = PUBLIC if shown is None else _recognised(scope, shown)
    if viewer is None:
        viewer = await run_in_threadpool(_look_up, scope, shown or ("", "bearer"))
    scope[VIEWER] = viewer
    return viewer


def recognised(scope: Mapping[str, Any]) -> Viewer | None:
    """Who asks, if that can be said at once; None: ask `recognise_scope`, which may have to look or to refuse."""
    shown = shown_by(scope)
    return PUBLIC if shown is None else _recognised(scope, shown)


def shown_by(scope: Mapping[str, Any]) -> Shown | None:
    """The token that a request shows, and how. A header counts before the cookie, and holds nothing but a token."""
    cookie: str | None = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            return token.strip() if scheme.lower() == "bearer" else "", "bearer"
        if name == b"cookie" and cookie is None:
            cookie = _in_cookies(value.decode("latin-1"))
    return (cookie, "cookie") if cookie is not None else None


@router.get("/api/session")
async def who(request: Request) -> dict[str, Any]:
    """Who this is: role, owner, area, and until when."""
    return _told(await viewer_of(request))


@router.post("/api/session")
def sign_in(request: Request, token: Annotated[str, Body(embed=True, max_length=_LONGEST_TOKEN)]) -> Response:
    """Sign in with a token that a person typed; the browser keeps a session in its cookie for half a day."""
    if _same_origin(request.scope) is False:
        raise Forbidden("sign in from this service's own page")
    session, viewer = _open(request, token)
    return _with_cookie(request, JSONResponse(_told(viewer)), session)


@router.delete("/api/session", status_code=204)
def sign_out(request: Request) -> Response:
    """Sign out: the session ends here and everywhere. A bearer token stays what it is."""
    answer = Response(status_code=204)
    session = request.cookies.get(COOKIE)
    if session is not None:
        if not _same_origin(request.scope):
            raise Forbidden("sign out from this service's own page")
        try:
            viewer = _door(request.scope).recognise(session)
            _door(request.scope).revoke(session, viewer)
        except CityError as error:
            if error.status >= 500:  # noqa: PLR2004  the session would live on
                raise
        _drop_cookie(request, answer)
    return answer


def enter(request: Request) -> Response:
    """A page whose address holds `?token=`: sign in, and on to the same page without it.

    The link is used up then. Whoever is signed in already goes on with that; anybody else learns it by `?link=used`.

    Raises:
        TooManyRequests: this client came with too many wrong tokens.

    """
    asked = dict(request.query_params)
    token = asked.pop("token", "")
    try:
        session, _ = _open(request, token)
    except NotSignedIn as refused:
        if _is_signed_in(request):
            return _onward(request, asked)
        _note(request.scope, PUBLIC, "sign-in", allowed=False, detail=refused.detail)
        return tidy(request, _onward(request, asked | {"link": "used"}))
    return _with_cookie(request, _onward(request, asked), session)


def tidy(request: Request, page: Response) -> Response:
    """The page, and the cookie taken away if its session is over: who opens a page again then is the public."""
    if COOKIE in request.cookies and not _is_signed_in(request):
        _drop_cookie(request, page)
    return page


def hide_query(record: logging.LogRecord) -> bool:
    """A filter for uvicorn's log of requests: addresses without what stands behind the question mark."""
    if isinstance(record.args, tuple):
        record.args = tuple(a.partition("?")[0] if isinstance(a, str) else a for a in record.args)
    return True


def client_of(scope: Mapping[str, Any]) -> str:
    """The address of the client."""
    return str(scope["client"][0]) if scope.get("client") else "unknown"


def _in_cookies(header: str) -> str | None:
    """Our cookie's value; a token holds nothing that browsers would quote."""
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return None


def _recognised(scope: Mapping[str, Any], shown: Shown) -> Viewer | None:
    token, way = shown
    changes = scope["type"] != "http" or scope["method"] not in _SAFE
    if way == "cookie" and changes and not _same_origin(scope):
        raise Forbidden("a session's cookie counts only from this service's own pages; send the token as a header")
    return _door(scope).remembered(token)


def _look_up(scope: Mapping[str, Any], shown: Shown) -> Viewer:
    token, way = shown
    if way == "cookie":  # a session that has ended is nobody's attempt to guess
        return _door(scope).recognise(token)
    return _counted(scope, token, _door(scope).recognise)


def _open(request: Request, token: str) -> tuple[str, Viewer]:
    session = _counted(request.scope, token, _door(request.scope).claim)
    viewer = _door(request.scope).recognise(session)
    _note(request.scope, viewer, "sign-in", allowed=True)
    return session, viewer


def _counted(scope: Mapping[str, Any], token: str, ask: Callable[[str], Answer]) -> Answer:
    """Ask the door, unless this client failed too often; a token that was once good is let through all the same."""
    throttle: Throttle = scope["app"].state.throttle
    client = client_of(scope)
    wait_s = throttle.wait_s(client)
    if wait_s and not _door(scope).has_met(token):
        raise TooManyRequests(retry_after=wait_s)
    try:
        return ask(token)
    except NotSignedIn:
        throttle.fail(client)
        raise


def _is_signed_in(request: Request) -> bool:
    session = request.cookies.get(COOKIE)
    if session is None:
        return False
    try:
        _door(request.scope).recognise(session)
    except (NotSignedIn, Forbidden):
        return False
    return True


def _same_origin(scope: Mapping[str, Any]) -> bool | None:
    """Whether one of our own pages, or the person at the browser, asks; None when the client does not say."""
    site = origin = host = None
    for name, value in scope["headers"]:
        if name == b"sec-fetch-site":
            site = value.decode("latin-1")
        elif name == b"origin":
            origin = value.decode("latin-1")
        elif name == b"host":
            host = value.decode("latin-1")
    if site is not None:
        return site in _OWN_PAGES
    if origin is not None:
        return host is not None and urlsplit(origin).netloc.lower() == host.lower()
    return None


def _onward(request: Request, query: Mapping[str, str]) -> Response:
    # Two slashes at the beginning would lead to another host.
    path = "/" + request.url.path.lstrip("/\\")
    return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303, {"Cache-Control": "no-store"})


def _with_cookie(request: Request, answer: Response, session: str) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    answer.set_cookie(
        COOKIE,
        session,
        max_age=int(SESSION.total_seconds()),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return answer


def _drop_cookie(request: Request, answer: Response) -> None:
    answer.delete_cookie(COOKIE, "/", secure=request.url.scheme == "https", httponly=True, samesite="strict")


def _told(viewer: Viewer) -> dict[str, Any]:
    return {
        "role": viewer.role.value,
        "owner": viewer.owner,
        "area": viewer.area,
        "name": viewer.name,
        "rights": sorted(viewer.rights),
        "expires_at": viewer.expires_at.isoformat() if viewer.expires_at else None,
    }


def _door(scope: Mapping[str, Any]) -> Door:
    door: Door = scope["app"].state.city.door
    return door


def _note(scope: Mapping[str, Any], viewer: Viewer, action: str, *, allowed: bool, detail: str = "") -> None:
    words = f"from {client_of(scope)}" + (f": {detail}" if detail else "")
    scope["app"].state.city.trail.record(viewer, action, scope["path"], allowed=allowed, detail=words)
