"""What the emergency teams look at while incidents show it to them: noted for the audit trail, not tile by tile."""

from __future__ import annotations

import time
from typing import Final

from gis_core.access import Viewer, is_fleeting
from gis_core.spec import Layer
from web_map.city import City

_PAUSE_S: Final = 600.0
_MOST: Final = 10_000
_noted: dict[tuple[str, str, str], float] = {}


def note(city: City, viewer: Viewer, layer: Layer) -> None:
    """Write into the trail that somebody looks at a layer by right of open incidents: once in ten minutes."""
    if not is_fleeting(layer, viewer):
        return
    key, now = (city.database.url, viewer.user, layer.name), time.monotonic()
    if now - _noted.get(key, -_PAUSE_S) < _PAUSE_S:
        return
    if len(_noted) >= _MOST:
        _noted.clear()
    _noted[key] = now
    words = "everything within the areas of incidents that are open now"
    city.trail.record(viewer, "look", layer.name, allowed=True, detail=words)
