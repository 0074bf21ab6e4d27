"""Traces, isolation and criticality over HTTP: right answers, and nothing of what the asker may not open."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import shapely
from fastapi.testclient import TestClient

from gis_core.access import Role, Viewer
from gis_core.cluster import Cluster
from gis_core.database import Database
from gis_core.incidents import close_incident, open_incident
from gis_core.settings import Settings
from gis_core.spec import Layer
from gis_core.tokens import Door
from tests.integration.pipes.street import (
    OF_THE_OTHER,
    OURS,
    PIPES,
    POINTS,
    SOUTH,
    STEP,
    THEIRS,
    WEST,
    fill,
    pipes,
    points,
    store,
)
from tests.integration.serving.conftest import FACTS
from web_map.service import create_app

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def city(cluster: Cluster, template: str, all_layers: dict[str, Layer]) -> Iterator[Database]:
    name = f"pipes_{uuid.uuid4().hex[:12]}"
    cluster.create_database(name, template=template)
    database = Database(cluster.url(name), pool_size=4)
    fill(database, all_layers)
    sewer = {"pipe_class": "sewage", "owner": OURS}
    manholes = points(("S1", "T1", "V1"), **sewer)
    manholes["code"], manholes["kind"] = ["W1", "W2", "W3"], ["manhole", "manhole", "outfall"]
    store(database, all_layers["pipe_points"], manholes)
    drains = pipes(("a", "b"), **sewer, flow="forward")
    drains["code"], drains["start_point"], drains["end_point"] = ["w1", "w2"], ["W1", "W2"], ["W2", "W3"]
    store(database, all_layers["pipe_segments"], drains)
    yield database
    database.close()
    cluster.drop_database(name)


@pytest.fixture(scope="module")
def client(city: Database) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(home=Path("unused")), city, FACTS)) as opened:
        yield opened


@pytest.fixture(scope="module")
def ask(city: Database, client: TestClient) -> Ask:
    """Asks a door as somebody with a role, perhaps of an owner; the answer's JSON, after its status was seen to fit."""
    door = Door(city)

    def asked(path: str, body: dict[str, Any] | None, role: str = "admin", owner: str | None = None,
              status: int = 200) -> Any:  # fmt: skip
        headers = {"Authorization": f"Bearer {door.make(role, owner=owner)}"} if role != "public" else {}
        way = client.get(path, headers=headers) if body is None else client.post(path, json=body, headers=headers)
        assert way.status_code == status, way.text
        return way.json()

    return asked


def at(*codes: str) -> list[dict[str, str]]:
    return [{"layer": "pipe_points" if code in POINTS or code[0] == "W" else "pipe_segments", "code": code}
            for code in codes]  # fmt: skip


def codes(told: dict[str, Any], part: str | None = None) -> set[str]:
    return {f["properties"]["code"] for f in told["features"] if part in (None, f["properties"]["part"])}


def test_a_trace_follows_the_network(ask: Ask) -> None:
    told = ask("/api/pipes/trace", {"question": "connected", "start": at("T2")})
    assert codes(told) == set(POINTS) | set(PIPES)
    assert told["found"] == {
        "points": 8, "pipes": 7, "length_m": 700.0, "customers": 150, "meters": 2, "hidden": {"points": 0, "pipes": 0},
    }  # fmt: skip
    assert told["network"]["pipe_class"] == "water"
    up = ask("/api/pipes/trace", {"question": "upstream", "start": at("T2")})
    assert codes(up) == {"S1", "a", "T1", "b", "V1", "c", "T2"}
    down = ask("/api/pipes/trace", {"question": "downstream", "start": at("f")})
    assert codes(down) == {"f", "V3", "g", "M2"}
    way = ask("/api/pipes/trace", {"question": "shortest", "start": at("M1"), "target": at("M2")})
    assert [f["properties"]["code"] for f in way["features"]] == ["e", "d", "f", "g", "M1", "V2", "T2", "V3", "M2"]
    part = ask("/api/pipes/trace", {"question": "connected", "start": at("a"), "barrier": "valves"})
    assert codes(part) == {"S1", "a", "T1", "b", "V1"}
    assert codes(ask("/api/pipes/trace", {"question": "subnetwork", "start": at("M2")})) == set(POINTS) | set(PIPES)
    assert codes(ask("/api/pipes/trace", {"question": "loops", "start": at("M2")})) == set()


def test_sewers_flow_to_their_outfall(ask: Ask) -> None:
    assert codes(ask("/api/pipes/trace", {"question": "upstream", "start": at("W2")})) == {"W1", "w1", "W2"}
    assert codes(ask("/api/pipes/trace", {"question": "downstream", "start": at("W2")})) == {"W2", "w2", "W3"}
    told = ask("/api/pipes/isolation", {"burst": at("w1")}, status=422)
    assert "valves" in told["detail"]


def test_pages_make_the_whole(ask: Ask) -> None:
    seen: list[str] = []
    body: dict[str, Any] = {"question": "connected", "start": at("a"), "limit": 4}
    while body.get("after") is not None or not seen:
        told = ask("/api/pipes/trace", body)
        seen += [f["properties"]["code"] for f in told["features"]]
        body |= {"after": told["next"], "generation": told["network"]["generation"]}
    assert len(seen) == len(set(seen)) == told["matched"] == 15
    late = ask("/api/pipes/trace", {**body, "after": 4, "generation": "1.0"}, status=409)
    assert late["generation"] == told["network"]["generation"]


def test_a_burst_gets_its_valves_and_who_is_cut_off(ask: Ask) -> None:
    told = ask("/api/pipes/isolation", {"burst": at("d")})
    assert codes(told, "isolated") == {"c", "d", "f", "T2"}
    assert codes(told, "cut_off") == {"e", "M1", "g", "M2"}
    parts = {f["properties"]["code"]: f["properties"]["part"] for f in told["valves"]["features"]}
    assert parts == {"V1": "close", "V2": "drain", "V3": "drain"}
    assert (told["closing"], told["isolated"]["customers"], told["cut_off"]["customers"]) == (1, 0, 150)
    assert told["cut_off"]["meters"] == 2
    by_valve = {a["without"]: a for a in told["alternatives"]}
    assert set(by_valve) == {"V1", "V2", "V3"}
    # Without V1 there is no valve left before the source, which has to be turned off itself.
    assert by_valve["V1"]["closing"] == 0
    assert by_valve["V1"]["isolated"]["pipes"] == 5
    failed = ask("/api/pipes/isolation", {"burst": at("d"), "failed": ["V1"], "alternatives": 0})
    assert failed["valves"]["sources_inside"] == ["S1"]
    assert failed["alternatives"] == []


def test_two_bursts_at_once(ask: Ask) -> None:
    told = ask("/api/pipes/isolation", {"burst": at("d"), "other": at("g")})["conflict"]
    assert (told["stands"], told["same_section"], told["in_the_way"]) == (True, False, True)
    assert told["shared_valves"] == ["V3"]
    assert told["together"]["isolated"]["pipes"] == 4
    assert ask("/api/pipes/isolation", {"burst": at("d"), "other": at("f")})["conflict"]["same_section"]
    assert ask("/api/pipes/isolation", {"burst": at("d")})["conflict"] is None


def test_what_is_the_others_is_told_as_counts(ask: Ask) -> None:
    for path, body in (
        ("/api/pipes/trace", {"question": "connected", "start": at("d")}),
        ("/api/pipes/isolation", {"burst": at("d"), "other": at("b")}),
        ("/api/pipes/criticality", None),
    ):
        told = ask(path, body, "utility", OURS)
        text = json.dumps(told, ensure_ascii=False)
        for code in OF_THE_OTHER:
            assert f'"{code}"' not in text, (path, code)
        assert THEIRS not in text
    told = ask("/api/pipes/isolation", {"burst": at("d")}, "utility", OURS)
    assert told["isolated"]["hidden"] == {"points": 0, "pipes": 1}
    assert told["cut_off"] == {
        "points": 1, "pipes": 1, "length_m": 100.0, "customers": 120, "meters": 1, "hidden": {"points": 1, "pipes": 1},
    }  # fmt: skip
    assert told["valves"]["hidden"] == 1
    assert {a["without"] for a in told["alternatives"]} == {"V1", "V2", None}
    assert told["matched"] == 5
    own = ask("/api/pipes/trace", {"question": "connected", "start": at("d"), "view": "own"}, "utility", OURS)
    assert own["network"]["pipes"] == 5
    assert own["found"]["hidden"] == {"points": 0, "pipes": 0}


def test_what_cannot_be_seen_cannot_be_asked_for(ask: Ask) -> None:
    unknown = ask("/api/pipes/isolation", {"burst": [{"layer": "pipe_segments", "code": "nothing"}]}, status=404)
    theirs = ask("/api/pipes/isolation", {"burst": at("g")}, "utility", OURS, status=404)
    assert theirs["detail"].replace("'g'", "") == unknown["detail"].replace("'nothing'", "")
    ask("/api/pipes/isolation", {"burst": at("d"), "failed": ["V3"]}, "utility", OURS, status=404)
    for path, body in (
        ("/api/pipes/trace", {"question": "connected", "start": at("d")}),
        ("/api/pipes/isolation", {"burst": at("d")}),
        ("/api/pipes/criticality", None),
    ):
        ask(path, body, "public", status=403)
        ask(path, body, "auditor", status=403)


def test_a_planner_learns_no_valve_states_and_no_customers(ask: Ask) -> None:
    told = ask("/api/pipes/isolation", {"burst": at("d")}, "planner")
    assert {f["properties"]["part"] for f in told["valves"]["features"]} == {"bounds"}
    assert told["cut_off"]["customers"] is None
    assert told["cut_off"]["meters"] is None
    ask("/api/pipes/criticality?by=customers", None, "planner", status=403)
    assert ask("/api/pipes/criticality", None, "planner")["by"] == "length_m"


def test_sections_are_rated_and_paged(ask: Ask) -> None:
    told = ask("/api/pipes/criticality", None)
    assert (told["sections"], told["hidden_sections"], told["widespread"], told["by"]) == (4, 0, 2, "customers")
    first = told["ranked"][0]
    assert first["isolated"]["pipes"] + first["cut_off"]["pipes"] == 7
    assert first["at"] in PIPES
    pages = [ask(f"/api/pipes/criticality?limit=1&after={n}", None) for n in range(4)]
    assert [page["ranked"][0] for page in pages] == told["ranked"]
    assert [page["next"] for page in pages] == [1, 2, 3, None]
    theirs = ask("/api/pipes/criticality", None, "utility", THEIRS)
    assert (theirs["sections"], theirs["hidden_sections"]) == (2, 2)


def test_alarms_on_one_branch_are_one_event(ask: Ask) -> None:
    heard = [{"code": code, "at": f"2026-11-22T08:0{minute}:00+08:00"} for code, minute in (("M1", 1), ("M2", 0))]
    body = {"alarms": heard, "window_s": 600}
    told = ask("/api/pipes/alarms", body)
    assert told["events"] == [
        {
            "alarms": [1, 0], "first": "2026-11-22T08:00:00+08:00", "last": "2026-11-22T08:01:00+08:00",
            "point": "T2", "pipes": ["c"], "hidden_pipes": 0,
        }
    ]  # fmt: skip
    assert len(ask("/api/pipes/alarms", {**body, "window_s": 10})["events"]) == 2
    theirs = ask("/api/pipes/alarms", {"alarms": heard[1:]}, "utility", THEIRS)["events"][0]
    assert (theirs["point"], theirs["pipes"]) == ("M2", ["g"])
    ask("/api/pipes/alarms", body, "utility", THEIRS, status=404)
    ask("/api/pipes/alarms", {"alarms": [{"code": "M1", "at": "2026-11-22T08:00:00"}]}, status=422)


def test_an_emergency_team_gets_names_within_an_open_incident_and_counts_beyond(city: Database, ask: Ask) -> None:
    ask("/api/pipes/isolation", {"burst": at("d")}, "emergency", status=404)
    east = shapely.box(WEST + 2.5 * STEP, SOUTH - STEP, WEST + 6 * STEP, SOUTH + 3 * STEP)
    incident = open_incident(city, Viewer(Role.operator), "burst", east, 1)
    told = ask("/api/pipes/isolation", {"burst": at("d")}, "emergency")
    close_incident(city, Viewer(Role.operator), incident.id)
    # V1 lies outside: it has to be closed, and is not named.
    assert (told["closing"], told["hidden_closing"], told["valves"]["hidden"]) == (1, 1, 1)
    assert {f["properties"]["code"] for f in told["valves"]["features"]} == {"V2", "V3"}
    assert told["cut_off"]["customers"] == 150
    ask("/api/pipes/isolation", {"burst": at("d")}, "emergency", status=404)


def test_what_is_drawn_counts_as_ground_taken(city: Database) -> None:
    body = {"question": "connected", "start": at("a")}
    with TestClient(create_app(Settings(home=Path("unused"), detail_limit_km2=0.05), city, FACTS)) as narrow:
        headers = {"Authorization": f"Bearer {Door(city).make('planner')}"}
        refused = narrow.post("/api/pipes/trace", json=body, headers=headers)
        assert (refused.status_code, refused.json()["limit_km2"]) == (403, 0.05)
        assert narrow.post("/api/pipes/trace", json={**body, "limit": 0}, headers=headers).status_code == 200


def test_isolation_is_written_into_the_trail(ask: Ask) -> None:
    ask("/api/pipes/isolation", {"burst": at("e")})
    entries = ask("/api/audit", None, "auditor")["entries"]
    mine = [e for e in entries if e["action"] == "isolation" and "pipe_segments/e" in e["detail"]]
    assert mine
    assert mine[0]["role"] == "admin"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"question": "sideways", "start": at("a")}, "question"),
        ({"question": "connected", "start": []}, "start"),
        ({"question": "shortest", "start": at("a")}, "target"),
        ({"question": "connected", "start": at("a"), "limit": 10**6}, "limit"),
        ({"question": "connected", "start": at("a"), "unknown": 1}, "unknown"),
        ({"question": "connected", "start": at("a"), "generation": "x"}, "generation"),
    ],
)
def test_a_wrong_question_is_told_where_it_is_wrong(ask: Ask, body: dict[str, Any], field: str) -> None:
    told = ask("/api/pipes/trace", body, status=422)
    assert field in json.dumps(told["problems"])


def test_classes_do_not_mix_and_staff_has_no_own(ask: Ask) -> None:
    assert (
        "sewage, water"
        in ask("/api/pipes/trace", {"question": "connected", "start": at("a", "w1")}, status=422)["detail"]
    )
    ask("/api/pipes/trace", {"question": "connected", "start": at("a"), "view": "own"}, status=403)
