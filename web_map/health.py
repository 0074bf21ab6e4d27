"""`/healthz`: whether the parts stand, for people and for whatever restarts the service."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Response

from gis_core.access import PUBLIC, may_read
from gis_core.errors import Unavailable
from web_map.asking import TheCity

router = APIRouter(tags=["health"])


@router.get("/healthz")
def health(city: TheCity, response: Response) -> dict[str, Any]:
    """`ok` with 200, or `degraded` with 503 and the part that is down; layer versions for those everyone may see."""
    parts: dict[str, Any] = {"change_feed": "ok" if city.feed.alive else "reconnecting"}
    try:
        parts["database"] = city.database.describe()
    except Unavailable as down:
        parts["database"] = down.detail
        response.status_code = 503
    seen = [layer.name for layer in city.layers.values() if may_read(layer, PUBLIC)]
    return {
        "status": "ok" if response.status_code != Unavailable.status else "degraded",
        "version": version("chengtu"),
        "city": city.facts["name"],
        **parts,
        "layers": {name: city.feed.version(name) for name in seen},
    }
