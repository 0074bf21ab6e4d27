"""`/api/incidents`: areas in which the emergency teams see everything for a while; operators open and close them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import shapely
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from gis_core import incidents
from gis_core.access import Viewer
from gis_core.errors import Forbidden, Unprocessable
from gis_core.incidents import RIGHT, USUAL_H, Opened
from web_map.asking import Asker, TheCity

router = APIRouter(tags=["incidents"])

_MAY_SEE = (RIGHT, "dispatch", "audit.view")
Lon = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Lat = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Ring = Annotated[list[tuple[Lon, Lat]], Field(min_length=4, max_length=2000)]


class Polygon(BaseModel):
    """A GeoJSON polygon, longitude first."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["Polygon"]
    coordinates: Annotated[list[Ring], Field(min_length=1, max_length=50)]


class Wish(BaseModel):
    """What is opened, and for how long."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")
    area: Polygon
    hours: float = Field(USUAL_H, gt=0, le=72, description="for how long from now")


@router.post("/api/incidents", status_code=201)
def open_incident(city: TheCity, viewer: Asker, wish: Wish) -> dict[str, Any]:
    """Open an area to the emergency teams: until it closes they see in full what lies in it. Goes into the trail."""
    try:
        area = shapely.geometry.shape(wish.area.model_dump())
    except (ValueError, shapely.errors.GEOSException) as error:
        raise Unprocessable("this polygon is none: its rings are closed and have four positions or more") from error
    return _told(incidents.open_incident(city.database, viewer, wish.title, area, wish.hours))


@router.get("/api/incidents")
def list_incidents(
    city: TheCity,
    viewer: Asker,
    state: Annotated[Literal["open", "all"], Query(description="those open now, or the newest of all")] = "open",
) -> dict[str, Any]:
    """The incidents, newest first."""
    _require_sight(viewer)
    found = incidents.incidents(city.database, closed_too=state == "all")
    return {"incidents": [_told(one) for one in found]}


@router.post("/api/incidents/{incident}/close")
def close_incident(city: TheCity, viewer: Asker, incident: Annotated[int, Path(ge=1, lt=2**63)]) -> dict[str, Any]:
    """Close an incident at once. Goes into the trail."""
    return _told(incidents.close_incident(city.database, viewer, incident))


def _require_sight(viewer: Viewer) -> None:
    if not any(viewer.may(right) for right in _MAY_SEE):
        raise Forbidden(f"role {viewer.role} may not see the incidents")


def _told(incident: Opened) -> dict[str, Any]:
    return {**vars(incident), "area": shapely.geometry.mapping(incident.area)}
