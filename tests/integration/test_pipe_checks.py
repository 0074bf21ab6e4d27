"""Clearance, dig check, section and profile over the served city: figures by hand, secrecy, papers, the trail."""

from __future__ import annotations

import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from fastapi.testclient import TestClient

from gis_core import audit, crs
from gis_core.cluster import Cluster
from gis_core.database import Database
from gis_core.ingest import Source, ingest_frame
from gis_core.settings import Settings
from gis_core.spec import Layer
from tests.integration.test_locked_doors import FACTS
from twin.pipes.swmm_reading import sections_of
from web_map.service import create_app

METRIC = "EPSG:32719"
EAST, NORTH = 282_000.0, 6_684_000.0
HOST = "http://testserver"
# class, metres east of the street's middle, depth of the crown, diameter, owner
LAID = [
    ("water", -4.0, 1.2, 300, "water works"),
    ("sewage", -2.2, 1.3, 400, "drains"),
    ("gas", 4.0, 1.0, 200, "gas board"),
    ("telecom", 6.5, 0.8, 100, "telecom"),
]


def degrees(shape: Any) -> Any:
    """A shape in metres about the street's middle as longitude and latitude."""
    moved = shapely.transform(shape, lambda xy: xy + np.array([EAST, NORTH]))
    return crs.to_lonlat(np.array([moved], dtype=object), crs.declare(METRIC))[0]


def segments() -> gpd.GeoDataFrame:
    """A street of 60 m with four pipes, and a line of sewers that falls to the east, north of it."""
    rows = [
        {
            "code": f"{owner}/{kind}", "pipe_class": kind, "diameter_mm": float(mm), "owner": owner,
            "start_depth_m": deep, "end_depth_m": deep, "start_level_m": 30 - deep, "end_level_m": 30 - deep,
            "start_point": f"{kind}1", "end_point": f"{kind}2", "laying": "direct", "material": "inconel",
            "pressure_class": "low" if kind == "gas" else None,
            "geometry": degrees(shapely.LineString([(x, -30), (x, 30)])),
        }
        for kind, x, deep, mm, owner in LAID
    ]  # fmt: skip
    rows += [
        {
            "code": f"drains/S{k}", "pipe_class": "storm", "diameter_mm": 600.0, "owner": "drains", "flow": "forward",
            "start_depth_m": 3 + k * 0.1, "end_depth_m": 3.1 + k * 0.1, "start_level_m": 27 - k * 0.1,
            "end_level_m": 26.9 - k * 0.1, "start_point": f"W{k}", "end_point": f"W{k + 1}", "length_m": 40.0,
            "geometry": degrees(shapely.LineString([(k * 40, 300), (k * 40 + 40, 300)])),
        }
        for k in range(5)
    ]  # fmt: skip
    return gpd.GeoDataFrame(rows, geometry="geometry", crs=4326)


@pytest.fixture(scope="module")
def client(cluster: Cluster, template: str, all_layers: dict[str, Layer]) -> Iterator[TestClient]:
    name = f"checks_{uuid.uuid4().hex[:12]}"
    cluster.create_database(name, template=template)
    database = Database(cluster.url(name), pool_size=4)
    roads = gpd.GeoDataFrame(
        [{"code": "R1", "name": "兴华大街", "road_class": "primary", "rank": 2, "oneway": False, "bridge": False,
          "tunnel": False, "geometry": degrees(shapely.LineString([(0, -80), (0, 80)]))}],
        geometry="geometry", crs=4326,
    )  # fmt: skip
    houses = gpd.GeoDataFrame(
        [{"code": "H1", "height_m": 12.0, "geometry": degrees(shapely.box(12, 5, 30, 20))}],
        geometry="geometry", crs=4326,
    )  # fmt: skip
    for layer, frame in (("pipe_segments", segments()), ("roads", roads), ("buildings", houses)):
        report = ingest_frame(database, all_layers[layer], frame, source=Source("test", simulated=True))
        assert report.stored == len(frame), report.problems
    with TestClient(create_app(Settings(), database, FACTS)) as opened:
        yield opened
    database.close()
    cluster.drop_database(name)


def as_role(client: TestClient, role: str, owner: str | None = None) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.app.state.city.door.make(role, owner=owner)}"}  # type: ignore[attr-defined]


def line(*ends: tuple[float, float]) -> dict[str, Any]:
    return shapely.geometry.mapping(degrees(shapely.LineString(ends)))


def polygon(ring: list[list[float]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [ring]}


TRENCH = ((-6.0, 0.0), (8.0, 0.0))


def ask(client: TestClient, door: str, body: dict[str, Any], role: str = "operator", owner: str | None = None) -> Any:
    return client.post(f"/api/pipes/{door}", json=body, headers=as_role(client, role, owner))


def test_a_water_main_and_a_sewer_too_near_are_told_with_rule_and_who_yields(client: TestClient) -> None:
    """Axes 1.8 m apart less 0.15 and 0.2 m leave 1.45 m, and 1.5 m are needed: verified, so an error."""
    told = ask(client, "clearance", {}).json()
    assert (told["pipes"], told["findings"], told["errors"]) == (9, 1, 1)
    (found,) = told["conflicts"]
    assert found["gap_m"] == pytest.approx(1.45, abs=0.002)
    assert (found["needed_m"], found["rule"], found["severity"]) == (1.5, "X1-03", "error")
    assert found["yields"] == "water works/water"
    assert {pipe["code"] for pipe in found["pipes"]} == {"water works/water", "drains/sewage"}
    assert told["by_rule"] == [
        {"rule": "X1-03", "cited": "GB 50289-2016 table 4.1.9 (X1-03)", "grade": "V", "count": 1}
    ]


def test_clearance_looks_where_it_is_asked_to(client: TestClient) -> None:
    elsewhere = shapely.geometry.mapping(degrees(shapely.box(-10, 250, 300, 350)))
    told = ask(client, "clearance", {"area": elsewhere}).json()
    assert (told["pipes"], told["findings"], told["conflicts"]) == (5, 0, [])
    nowhere = shapely.geometry.mapping(degrees(shapely.box(900, 900, 910, 910)))
    assert ask(client, "clearance", {"area": nowhere}).json()["pipes"] == 0


def test_an_owner_gets_no_pair_with_a_pipe_of_others(client: TestClient) -> None:
    told = ask(client, "clearance", {}, "utility", "water works").json()
    assert (told["pipes"], told["findings"]) == (1, 0)


def test_a_trench_meets_what_lies_above_its_floor(client: TestClient) -> None:
    told = ask(client, "dig", {"geometry": line(*TRENCH), "depth_m": 1.25, "width_m": 0.8}).json()
    by_code = {pipe["code"]: pipe for pipe in told["pipes"]}
    assert {c: p["verdict"] for c, p in by_code.items()} == {
        "water works/water": "met", "gas board/gas": "met", "telecom/telecom": "met", "drains/sewage": "below",
    }  # fmt: skip
    assert by_code["drains/sewage"]["under_m"] == pytest.approx(0.05)
    assert by_code["gas board/gas"]["under_m"] == pytest.approx(-0.25)
    assert told["met"] == 3
    assert [owner["name"] for owner in told["owners"]][:3] == ["gas board", "telecom", "water works"]
    assert told["unseen"] == {"count": 0, "resolution": 8, "ask": None}
    assert told["dig"]["length_m"] == pytest.approx(14, abs=0.01)


def test_a_pit_beside_a_pipe_says_how_far_and_how_far_it_should_be(client: TestClient) -> None:
    """Edge at 2.6 m, gas axis at 4.0 m less 0.1 m: 1.3 m. A planned sewer needs 1.0 m from low-pressure gas."""
    pit = shapely.geometry.mapping(degrees(shapely.box(0, -2, 2.6, 2)))
    planned = {"pipe_class": "sewage", "diameter_mm": 400}
    told = ask(client, "dig", {"geometry": pit, "depth_m": 2, "near_m": 1.5, "planned": planned}).json()
    (gas,) = told["pipes"]
    assert gas["verdict"] == "beside"
    assert gas["plan_m"] == pytest.approx(1.3, abs=0.002)
    assert (gas["needed_m"], gas["short"], gas["severity"]) == (1.0, False, None)
    planned["pipe_class"] = "heat"
    body = {"geometry": pit, "depth_m": 2, "near_m": 1.5, "planned": {**planned, "laying": "direct"}}
    assert ask(client, "dig", body).json()["pipes"][0]["needed_m"] == 1.0


def test_pipes_of_others_are_a_count_that_tells_no_position(client: TestClient) -> None:
    body = {"geometry": line(*TRENCH), "depth_m": 1.25}
    told = ask(client, "dig", body, "utility", "gas board")
    assert {pipe["owner"] for pipe in told.json()["pipes"]} == {"gas board"}
    assert told.json()["unseen"]["count"] in {5, 10}, "rounded up, one hexagon or two"
    assert told.json()["unseen"]["ask"]["en"] == "the district's pipe office"
    for word in ("water works", "drains", "telecom", "sewage"):
        assert word not in told.text
    # A dig anywhere in the same hexagon gets the same count: small ones cannot feel their way to a pipe.
    counts = set()
    for x in np.arange(-14, 14, 4.0):
        tiny = shapely.geometry.mapping(degrees(shapely.box(x, 10, x + 0.2, 10.2)))
        answer = ask(client, "dig", {"geometry": tiny, "depth_m": 1, "near_m": 0}, "utility", "gas board").json()
        counts.add(answer["unseen"]["count"])
    assert len(counts) == 1


def test_the_sheet_is_a_pdf_with_chinese_in_it(client: TestClient) -> None:
    body = {
        "geometry": line(*TRENCH),
        "depth_m": 1.6,
        "purpose": "燃气支管",
        "planned": {"pipe_class": "gas", "diameter_mm": 200},
    }
    answer = client.post("/api/pipes/dig?form=pdf", json=body, headers=as_role(client, "planner"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")
    assert b"STSong-Light" in answer.content
    assert b"inconel" not in answer.content


def texts(answer: Any) -> list[str]:
    """The texts of an SVG answer, which must be well formed and ask for nothing."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert "href" not in answer.text
    assert "url(" not in answer.text
    return [element.text or "" for element in ET.fromstring(answer.text).iter() if element.text]  # noqa: S314  our own


def test_a_section_shows_each_pipe_at_its_place(client: TestClient) -> None:
    told = texts(ask(client, "section", {"line": line((-10, 0), (10, 0))}))
    assert {"1 给水", "2 污水", "3 燃气", "4 通信", "DN300", "6.00", "7.80", "14.00", "16.50", "高程 (m)"} <= set(told)
    assert "模拟数据" in told
    english = texts(ask(client, "section", {"line": line((-10, 0), (10, 0)), "language": "en", "theme": "dark"}))
    assert "1 Water supply" in english
    own = texts(ask(client, "section", {"line": line((-10, 0), (10, 0))}, "utility", "gas board"))
    assert "1 燃气" in own
    assert not {"2 污水", "1 给水"} & set(own)
    assert "模拟数据 · 附近另有约 5 段管线不可见" in own
    empty = texts(ask(client, "section", {"line": line((500, 500), (520, 500))}))
    assert any("管线 0 处" in text for text in empty)


def test_a_profile_follows_the_flow(client: TestClient) -> None:
    down = texts(ask(client, "profile", {"start_point": "W1"}))
    assert {"W1", "W5"} <= set(down)
    assert "W0" not in down
    assert any("4 段" in text and "落差 0.40 m" in text for text in down)
    named = texts(ask(client, "profile", {"segments": ["drains/S1", "drains/S2"], "language": "en"}))
    assert any("80.0 m · 2 pipes" in text for text in named)


@pytest.mark.parametrize(
    ("door", "body", "status"),
    [
        ("profile", {}, 422),
        ("profile", {"segments": ["drains/S0", "drains/S2"]}, 422),
        ("profile", {"segments": ["no such"]}, 422),
        ("profile", {"start_point": "nowhere"}, 422),
        ("section", {"line": {"type": "LineString", "coordinates": [[-71, -29.9], [-71, -29.9]]}}, 422),
        ("section", {"line": {"type": "LineString", "coordinates": [[-71, -29.9], [-60, -29.9]]}}, 422),
        ("section", {"line": {"type": "LineString", "coordinates": [[0, 0]]}}, 422),
        ("dig", {"geometry": line(*TRENCH), "depth_m": 0}, 422),
        ("dig", {"geometry": line(*TRENCH), "depth_m": 1, "password": "x"}, 422),
        ("dig", {"geometry": polygon([[0, 0], [1, 1], [0, 1], [1, 0], [0, 0]]), "depth_m": 1}, 422),
        ("dig", {"geometry": polygon([[0, 0], [1, 1], [0, 1], [2, 2]]), "depth_m": 1}, 422),
        ("clearance", {"limit": -1}, 422),
        ("clearance", {"area": polygon([[20, 0], [110, 89], [-160, -89], [20, 0]])}, 422),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_a_problem(client: TestClient, door: str, body: dict[str, Any], status: int) -> None:
    answer = ask(client, door, body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("role", ["public", "auditor"])
@pytest.mark.parametrize("door", ["clearance", "dig", "section", "profile"])
def test_who_may_see_no_pipes_may_not_ask(client: TestClient, role: str, door: str) -> None:
    bodies = {
        "clearance": {}, "dig": {"geometry": line(*TRENCH), "depth_m": 1}, "section": {"line": line(*TRENCH)},
        "profile": {"start_point": "W1"},
    }  # fmt: skip
    headers = {} if role == "public" else as_role(client, role)
    assert client.post(f"/api/pipes/{door}", json=bodies[door], headers=headers).status_code == 403


def test_every_question_is_in_the_trail(client: TestClient) -> None:
    ask(client, "dig", {"geometry": line(*TRENCH), "depth_m": 1.25}, "planner")
    city = client.app.state.city  # type: ignore[attr-defined]
    assert city.trail.flush()
    entry = next(e for _, e in audit.read(city.database) if e.action == "dig")
    assert entry.allowed
    assert entry.target == "/api/pipes/dig"
    assert "4 pipes told, 0 not, 1.25 m deep" in entry.detail


def test_networks_leave_as_models_for_those_who_may_export(client: TestClient) -> None:
    body = {"network": "drainage", "area": shapely.geometry.mapping(degrees(shapely.box(-10, 250, 300, 350)))}
    answer = client.post("/api/pipes/inp", json=body, headers=as_role(client, "planner"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == 'attachment; filename="drainage_simulated.inp"'
    assert (answer.headers["x-rows"], answer.headers["x-simulated-rows"]) == ("5", "5")
    found = sections_of(answer.text)
    assert sorted(row[0] for row in found["CONDUITS"]) == [f"drains/S{k}" for k in range(5)]
    assert "simulated" in answer.text.partition("[OPTIONS]")[0]
    for role, status in (("wall", 403), ("emergency", 403), ("public", 403), ("operator", 200)):
        headers = {} if role == "public" else as_role(client, role)
        assert client.post("/api/pipes/inp", json=body, headers=headers).status_code == status
    assert client.post("/api/pipes/inp", json=body, headers=as_role(client, "utility", "gas board")).status_code == 422
    west, south, east, north = degrees(shapely.box(-10, -20, 10, 20)).bounds
    query = f"/api/pipes/inp?network=water&bbox={west},{south},{east},{north}"
    answer = client.get(query, headers=as_role(client, "utility", "water works"))
    assert answer.status_code == 200
    assert "no known source" in answer.text
    assert "[RESERVOIRS]" in answer.text
    assert client.get("/api/pipes/inp?network=water&bbox=1", headers=as_role(client, "planner")).status_code == 400
    city = client.app.state.city  # type: ignore[attr-defined]
    assert city.trail.flush()
    assert any(e.action == "export" and e.allowed and "5 pipes" in e.detail for _, e in audit.read(city.database))


def test_what_is_told_counts_as_ground_taken(client: TestClient) -> None:
    """Beyond what one person may take within a day, no door tells more."""
    sent = as_role(client, "operator")
    city = client.app.state.city  # type: ignore[attr-defined]
    usual, city.allowance.limit_km2 = city.allowance.limit_km2, 0.05
    try:
        for door, body in (
            ("dig", {"geometry": line(*TRENCH), "depth_m": 1.25}),
            ("section", {"line": line((-10, 0), (10, 0))}),
            ("profile", {"start_point": "W1"}),
            ("clearance", {}),
            ("inp", {"network": "drainage", "area": shapely.geometry.mapping(degrees(shapely.box(-9, 250, 300, 350)))}),
        ):  # fmt: skip
            answer = client.post(f"/api/pipes/{door}", json=body, headers=sent)
            assert answer.status_code == 403, (door, answer.text)
            assert answer.json()["type"] == "/problems/over-allowance"
        empty = client.post("/api/pipes/section", json={"line": line((500, 500), (520, 500))}, headers=sent)
        assert empty.status_code == 200
    finally:
        city.allowance.limit_km2 = usual


def test_pressure_after_closing_and_bursts_by_sensors(client: TestClient) -> None:
    area = shapely.geometry.mapping(degrees(shapely.box(-10, -40, 10, 40)))
    told = ask(client, "pressure", {"area": area, "closed": ["water works/water"]}).json()
    assert (told["pipes"], told["points"], told["cut_off"]) == (1, 3, 1)
    assert told["worst"][0]["code"] == "water2"
    assert told["worst"][0]["after_m"] == 0
    assert told["simulated"]
    assert any("no known source" in note for note in told["notes"])
    assert ask(client, "pressure", {"area": area, "closed": []}).json()["worst"] == []
    assert ask(client, "pressure", {"area": area, "closed": ["gas board/gas"]}).status_code == 422
    sensors = [{"point": "water1", "fall_m": 0.1}, {"point": "water2", "fall_m": 5.0}]
    found = ask(client, "bursts", {"area": area, "sensors": sensors}).json()
    assert found["likely"][0]["code"] == "water2"
    assert found["likely"][0]["score"] > 0.9
    nobody = [{"point": "nowhere", "fall_m": 1.0}, {"point": "water1", "fall_m": 1.0}]
    assert ask(client, "bursts", {"area": area, "sensors": nobody}).status_code == 422
    for door, body in (("pressure", {"area": area, "closed": []}), ("bursts", {"area": area, "sensors": sensors})):
        assert client.post(f"/api/pipes/{door}", json=body).status_code == 403
        assert ask(client, door, body, "utility", "gas board").status_code == 422
