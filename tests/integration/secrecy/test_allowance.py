"""The day's allowance: more than so much ground at full detail is refused, however it is cut into pieces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from gis_core import audit
from gis_core.access import Role, Viewer
from gis_core.allowance import CELL_KM2, Allowance, OverAllowance
from gis_core.database import Database
from gis_core.tokens import Door
from tests.integration.secrecy.conftest import FRAMES, PIPES, header, served

LIMIT_KM2 = 2.0
MOST = int(LIMIT_KM2 / CELL_KM2)
EXPORT = f"/api/export/{PIPES}?format=csv"
ITEMS = f"/ogc/collections/{PIPES}/items"
NORTH, SOUTH = "116.3,39.685,116.4,39.7", "116.3,39.6,116.4,39.612"


@pytest.fixture
def client(copied: Database) -> Iterator[TestClient]:
    with served(copied, LIMIT_KM2) as opened:
        yield opened


def test_too_large_an_export_is_refused_and_written_down(copied: Database, client: TestClient) -> None:
    sent = header(copied, "operator", name="Li")
    way = client.get(EXPORT, headers=sent)
    assert way.status_code == 403
    told = way.json()
    assert told["type"] == "/problems/over-allowance"
    assert (told["limit_km2"], told["taken_km2"]) == (LIMIT_KM2, 0)
    assert told["asked_km2"] > LIMIT_KM2
    assert client.app.state.city.trail.flush()  # type: ignore[attr-defined]
    entry = next(e for _, e in audit.read(copied) if not e.allowed)
    assert (entry.who, entry.target) == ("Li", f"/api/export/{PIPES}")
    assert re.search(r"export of \d+ rows .* is \d+\.\d\d km2", entry.detail)
    assert client.get(f"{EXPORT}&filter=code='P0001'", headers=sent).status_code == 200, "the refused one cost nothing"


def test_an_allowed_export_is_written_down_with_area_and_rows(copied: Database, client: TestClient) -> None:
    way = client.get(f"{EXPORT}&filter=code IN ('P0001','P0007')", headers=header(copied, "operator"))
    assert way.status_code == 200
    assert client.app.state.city.trail.flush()  # type: ignore[attr-defined]
    entry = next(e for _, e in audit.read(copied) if e.action == "export")
    assert re.fullmatch(r"2 rows as csv from 0\.\d\d km2; 0\.\d\d of 2 km2 taken within 24 hours", entry.detail)


def test_small_pieces_add_up_whatever_the_door(copied: Database, client: TestClient) -> None:
    sent = header(copied, "planner")
    statuses = []
    for number, code in enumerate(FRAMES[PIPES]["code"]):
        door = (f"{EXPORT}&filter=code='{code}'", f"{ITEMS}?code={code}", f"{ITEMS}/{number + 1}")[number % 3]
        statuses.append(client.get(door, headers=sent).status_code)
    assert set(statuses) <= {200, 403, 404}
    refused = statuses.index(403)
    assert refused > 0
    with copied.writing() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM taken_cell")) <= MOST
    assert client.get(f"{ITEMS}?code=P0000", headers=sent).status_code == 200, "what was taken may be looked at again"
    assert client.get(f"{ITEMS}?code=P0000", headers=header(copied, "planner")).status_code == 200, "others may"


def test_all_processes_sessions_and_restarts_add_to_one_sum(copied: Database) -> None:
    door = Door(copied)
    token = door.make("operator", name="Wang")
    sessions = [{"Authorization": f"Bearer {door.claim(token)}"} for _ in range(2)]
    with served(copied, LIMIT_KM2) as first, served(copied, LIMIT_KM2) as second:
        taken = [first.get(f"{ITEMS}?limit=10", headers=sessions[0]).status_code]
        cursor = None
        for _ in range(30):
            address = f"{ITEMS}?limit=1" + (f"&cursor={cursor}" if cursor else "")
            way = (first, second)[len(taken) % 2].get(address, headers=sessions[len(taken) % 2])
            taken.append(way.status_code)
            if way.status_code != 200:
                break
            cursor = way.json()["links"][-1]["href"].partition("cursor=")[2]
    assert taken[-1] == 403
    with served(copied, LIMIT_KM2) as restarted:
        assert restarted.get(EXPORT, headers=sessions[1]).status_code == 403
        with copied.writing() as connection:
            connection.execute(sa.text("UPDATE taken_cell SET at = at - interval '24 hours'"))
        assert restarted.get(f"{ITEMS}?limit=5&sortby=-code", headers=sessions[1]).status_code == 200, "a day later"


def test_two_at_once_take_no_more_than_one_could(copied: Database) -> None:
    allowance, viewer = Allowance(copied, LIMIT_KM2), Viewer(Role.planner, user="twins")

    def take(number: int) -> bool:
        try:
            allowance.take(viewer, [number], "a row")
        except OverAllowance:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(take, range(3 * MOST))) == MOST


def test_search_tells_no_place_exactly(copied: Database, client: TestClient) -> None:
    (hit,) = client.get("/api/search?q=P0000", headers=header(copied, "admin")).json()["results"]
    west, south, east, north = FRAMES[PIPES].geometry.iloc[0].bounds
    told = hit["bounds"]
    assert told == [round(v, 3) for v in told]
    assert told[0] <= west <= east <= told[2]
    assert told[1] <= south <= north <= told[3]


def test_the_own_rows_of_a_utility_count_too(copied: Database, client: TestClient) -> None:
    assert client.get(EXPORT, headers=header(copied, "utility", "A")).status_code == 403


def test_layers_without_secrets_have_no_bound(copied: Database, client: TestClient) -> None:
    assert client.get("/api/export/parking?format=csv").status_code == 200
    with copied.writing() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM taken_cell")) == 0
