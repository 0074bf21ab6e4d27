"""`/api/scenes/{name}` and `/api/styles/dark`: what is shown, composed in Python and drawn by the browser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fastapi import APIRouter, Request

from gis_core import basemap, scene
from gis_core.access import Viewer, may_read
from gis_core.errors import NotFound
from gis_core.spec import Layer
from web_map.asking import Asker, TheCity
from web_map.catalogue import tile_url
from web_map.city import City

router = APIRouter(tags=["scenes"])

STYLE = "/api/styles/dark"
_WALL_PITCH = 45.0
_CLOSE_ZOOM = 14.5
"""From this zoom on a city is shown at street scale, where bodies and pipes are worth a slanted view."""


@router.get("/api/scenes/{name}")
def read_scene(name: str, city: TheCity, viewer: Asker) -> dict[str, Any]:
    """A scene in pydeck's JSON: sources by URL, styling and camera; never data."""
    if name not in SCENES:
        raise NotFound(f"there is no scene {name!r}; the scenes are {', '.join(SCENES)}")
    return SCENES[name](city, viewer)


@router.get(STYLE)
def read_style(request: Request, city: TheCity, viewer: Asker) -> dict[str, Any]:
    """The base map as a MapLibre style; tile addresses are absolute, since map workers have no page to start from."""
    origin = str(request.base_url).rstrip("/")
    return basemap.style((layer, origin + url) for layer, url in _seen(city, viewer))


def wall(city: City, viewer: Viewer) -> dict[str, Any]:
    """The map wall: every layer the viewer may see, from above; slanted where the city is shown at street scale."""
    (longitude, latitude), zoom = city.facts["center"], city.facts["zoom"]
    close = zoom >= _CLOSE_ZOOM
    camera = scene.Camera(longitude, latitude, zoom, pitch=_WALL_PITCH if close else 0)
    return scene.compose(camera, STYLE, _seen(city, viewer), hexagons=not close)


def _seen(city: City, viewer: Viewer) -> Iterable[tuple[Layer, str]]:
    return [(layer, tile_url(city, layer)) for layer in city.layers.values() if may_read(layer, viewer)]


SCENES: Mapping[str, Callable[[City, Viewer], dict[str, Any]]] = {"wall": wall}
