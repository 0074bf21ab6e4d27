"""Incidents: they open full detail in their area, to emergency teams alone, and close at once; all of it is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient

from gis_core import audit
from gis_core.database import Database
from tests.integration.secrecy.conftest import FRAMES, INCIDENT, PIPES, header, served
from tests.integration.serving.test_tiles import over, path

ITEMS = f"/ogc/collections/{PIPES}/items?limit=1000"
ELSEWHERE = shapely.box(116.36, 39.66, 116.4, 39.69)


@pytest.fixture
def client(copied: Database) -> Iterator[TestClient]:
    with served(copied) as opened:
        yield opened


def wish(area: shapely.Polygon, **more: Any) -> dict[str, Any]:
    return {"title": "burst main", "area": shapely.geometry.mapping(area), **more}


def codes(client: TestClient, sent: dict[str, str]) -> set[str]:
    way = client.get(ITEMS, headers=sent)
    assert way.status_code == 200, way.text
    return {f["properties"]["code"] for f in way.json()["features"]}


def within(*areas: shapely.Polygon) -> set[str]:
    frame = FRAMES[PIPES]
    return set(frame["code"][frame.intersects(shapely.unary_union(areas))])


def test_an_incident_opens_its_area_and_its_end_closes_it_everywhere(copied: Database, client: TestClient) -> None:
    team, duty = header(copied, "emergency"), header(copied, "operator")
    assert codes(client, team) == within(INCIDENT)
    made = client.post("/api/incidents", json=wish(ELSEWHERE, hours=1), headers=duty)
    assert made.status_code == 201, made.text
    assert codes(client, team) == within(INCIDENT, ELSEWHERE)
    frame = FRAMES[PIPES]
    place = frame.geometry[frame.within(ELSEWHERE)].iloc[0].centroid
    middle = path(PIPES, over(place.x, place.y, 14))
    tile = client.get(middle, headers=team)
    assert (tile.status_code, tile.headers["cache-control"]) == (200, "private, no-store")
    assert "etag" not in tile.headers
    hexagons = f"/api/hexagons/{PIPES}?presence=false&measure=segments&resolution=5"
    count = sum(client.get(hexagons, headers=team).json()["values"])
    assert count == pytest.approx(len(within(INCIDENT, ELSEWHERE)), rel=1e-4)

    assert client.post(f"/api/incidents/{made.json()['id']}/close", headers=duty).json()["is_open"] is False
    assert codes(client, team) == within(INCIDENT)
    assert client.get(middle, headers=team).status_code == 204
    assert sum(client.get(hexagons, headers=team).json()["values"]) == pytest.approx(len(within(INCIDENT)), rel=1e-4)
    assert client.post(f"/api/incidents/{made.json()['id']}/close", headers=duty).status_code == 409
    assert client.post("/api/incidents/9999/close", headers=duty).status_code == 404


def test_time_alone_closes_an_incident(copied: Database, client: TestClient) -> None:
    team = header(copied, "emergency")
    place = path(PIPES, over(116.335, 39.635, 14))
    assert codes(client, team)
    assert client.get(place, headers=team).status_code == 200
    with copied.writing() as connection:
        connection.execute(sa.text("UPDATE incident SET closes_at = now() - interval '1 second'"))
    assert codes(client, team) == set()
    assert client.get(place, headers=team).status_code == 204
    assert client.get("/api/incidents", headers=team).json() == {"incidents": []}
    catalog = client.get("/api/catalog", headers=team).json()
    assert next(la["count"] for la in catalog["layers"] if la["name"] == PIPES) == 0


def test_inside_all_attributes_are_told(copied: Database, client: TestClient) -> None:
    features = client.get(ITEMS, headers=header(copied, "emergency")).json()["features"]
    assert {f["properties"]["secrecy"] for f in features} == {None, "open", "internal", "restricted", "secret"}
    assert all(f["properties"]["material"] for f in features)


def test_who_may_open_close_and_see_incidents(copied: Database, client: TestClient) -> None:
    may_open = {"operator", "admin"}
    may_see = may_open | {"emergency", "auditor"}
    for role in ("public", "wall", "planner", "utility", "emergency", "auditor", "operator", "admin"):
        sent = header(copied, role, "A" if role == "utility" else None)
        made = client.post("/api/incidents", json=wish(ELSEWHERE), headers=sent)
        assert made.status_code == (201 if role in may_open else 403), role
        assert client.get("/api/incidents", headers=sent).status_code == (200 if role in may_see else 403), role
        if role not in may_open:
            assert client.post("/api/incidents/1/close", headers=sent).status_code == 403, role


@pytest.mark.parametrize(
    "wrong",
    [
        wish(shapely.box(116, 39, 117, 40)),
        wish(shapely.box(116.3, 39.6, 116.3, 39.6)),
        wish(shapely.Polygon([(116, 39), (116.01, 39.01), (116.01, 39), (116, 39.01)])),
        wish(ELSEWHERE, hours=0),
        wish(ELSEWHERE, hours=73),
        wish(ELSEWHERE, title=" "),
        wish(ELSEWHERE, more=1),
        {**wish(ELSEWHERE), "area": {"type": "Polygon", "coordinates": [[[0, 0], [0, 1], [1, 1], [1, 2]]]}},
        {**wish(ELSEWHERE), "area": {"type": "Polygon", "coordinates": [[[200, 0], [0, 1], [1, 1], [200, 0]]]}},
        {**wish(ELSEWHERE), "area": {"type": "Point", "coordinates": [116, 39]}},
    ],
)
def test_what_is_no_incident_is_refused(copied: Database, client: TestClient, wrong: dict[str, Any]) -> None:
    way = client.post("/api/incidents", json=wrong, headers=header(copied, "operator"))
    assert way.status_code == 422, way.text
    assert way.headers["content-type"] == "application/problem+json"


def test_the_trail_tells_who_opened_who_looked_who_closed(copied: Database, client: TestClient) -> None:
    duty, team = header(copied, "operator", name="duty"), header(copied, "emergency", name="team 7")
    number = client.post("/api/incidents", json=wish(ELSEWHERE), headers=duty).json()["id"]
    for _ in range(3):
        codes(client, team)
    client.post(f"/api/incidents/{number}/close", headers=duty)
    assert client.app.state.city.trail.flush()  # type: ignore[attr-defined]
    told = [(e.who, e.action, e.target) for _, e in audit.read(copied, limit=100)]
    assert told.count(("duty", "open incident", f"incident {number}")) == 1
    assert told.count(("duty", "close incident", f"incident {number}")) == 1
    assert told.count(("team 7", "look", PIPES)) == 1
