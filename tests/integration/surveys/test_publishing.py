"""Publishing: compared, replaced in one transaction, kept as versions, taken back; a crash changes nothing."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
import sqlalchemy as sa

import layers
from gis_core import audit
from gis_core.access import Role, Viewer
from gis_core.database import Database
from gis_core.ingest import Mode, Source, ingest_frame
from tests.integration.surveys.conftest import FACTS, GAS, WATER, Office
from tests.survey_maker import Made
from twin.survey import versions
from twin.survey.desk import Desk

Change = Callable[[Callable[[Made], None]], Made]
PUBLISHER = Viewer(Role.utility, owner=WATER, name="surveyor")


def mend(made: Made) -> None:
    """A point moved by a metre, one line of another year, a handhole at the end gone."""
    made.points[2]["Y坐标"] = f"{float(made.points[2]['Y坐标']) + 1.0:.3f}"
    made.lines[8]["建设年代"] = "1999"
    made.points[4]["密级"] = "机密"
    gone = made.points.pop(made.point("GD", 0, 24))["物探点号"]
    made.lines[:] = [line for line in made.lines if gone not in (line["起点点号"], line["终点点号"])]


def counts(told: dict[str, Any]) -> tuple[int, ...]:
    return tuple(told[kind] for kind in ("added", "removed", "moved", "changed"))


def numbers(office: Office) -> dict[str, int]:
    """The ids of the points by their codes."""
    with office.database.engine.connect() as connection:
        return {code: int(id_) for code, id_ in connection.execute(sa.text("SELECT code, id FROM pipe_points"))}


def test_a_second_survey_changes_what_differs_and_can_be_taken_back(
    office: Office, town: Made, altered: Change
) -> None:
    first = office.examined(town)
    everything = len(town.points) + len(town.lines)
    assert counts(first["difference"]) == (everything, 0, 0, 0)
    warned = office.ask("POST", f"/{first['id']}/publish", json={"accept_warnings": False})
    assert warned.status_code == (409 if first["counts"]["warnings"] else 200)
    done = office.publish(first["id"]) if first["counts"]["warnings"] else warned.json()
    assert (done["version"], done["stored"]) == (1, everything)
    before = office.stand()
    ids = numbers(office)
    again = office.examined(town)
    assert counts(again["difference"]) == (0, 0, 0, 0)
    made = altered(mend)
    told = office.examined(made)
    added, removed, moved, changed = counts(told["difference"])
    assert (added, removed) == (0, len(town.points) + len(town.lines) - len(made.points) - len(made.lines))
    number = made.points[2]["物探点号"]
    assert moved == 1 + sum(number in (line["起点点号"], line["终点点号"]) for line in made.lines)
    assert changed >= 1
    found = office.get(f"/{told['id']}/difference.geojson")["features"]
    point = next(f for f in found if f["properties"]["code"] == f"{WATER}/{number}")
    assert (point["properties"]["change"], point["properties"]["moved_m"]) == ("moved", pytest.approx(1.0, abs=0.01))
    line = next(f for f in found if f["properties"].get("fields") == ["built_year"])
    assert line["properties"]["change"] == "changed"
    assert line["properties"]["changes"][0]["after"] == 1999
    done = office.publish(told["id"])
    assert done["version"] == 2
    assert counts(done["difference"]) == (added, removed, moved, changed)
    assert office.rows() == len(made.points)
    after = office.stand()
    assert after != before
    kept = numbers(office)
    assert all(ids[code] == number for code, number in kept.items())
    listed = office.get("/versions")["versions"]
    assert [(v["number"], v["current"], v["by"].startswith("utility")) for v in listed] == [
        (2, True, True),
        (1, False, True),
    ]
    restored = office.ask("POST", "/versions/1/restore")
    assert (restored.status_code, restored.json()["version"]) == (200, 3)
    assert office.stand() == before
    assert office.ask("POST", "/versions/2/restore").json()["version"] == 4
    assert office.stand() == after
    assert office.ask("POST", "/versions/9/restore").status_code == 404
    once = office.ask("POST", f"/{told['id']}/publish", json={"accept_warnings": True})
    assert once.status_code == 409
    noted = [e.detail for _, e in audit.read(office.database, limit=1000) if e.action == "publish"]
    assert len(noted) == 4
    assert noted[-1].startswith(f"version 1 of {WATER} by survey")


def pipes_of_the_pack(database: Database, owner: str, x: float, y: float) -> None:
    """Two points and a pipe of an owner that came with the city, one of them simulated with its pipe."""
    known = layers.load()
    points = gpd.GeoDataFrame(
        {"code": [f"{owner}-p1", f"{owner}-p2"], "pipe_class": "water", "kind": "valve", "owner": owner},
        geometry=[shapely.Point(x, y), shapely.Point(x + 0.001, y)], crs=4326,
    )  # fmt: skip
    pipes = gpd.GeoDataFrame(
        {"code": [f"{owner}-s1"], "pipe_class": "water", "diameter_mm": 300.0, "start_depth_m": 1.0, "end_depth_m": 1.0,
         "start_point": f"{owner}-p1", "end_point": f"{owner}-p2", "owner": owner, "length_m": 80.0},
        geometry=[shapely.LineString([(x, y), (x + 0.001, y)])], crs=4326,
    )  # fmt: skip
    for name, frame in (("pipe_points", points), ("pipe_segments", pipes)):
        source = Source("made", simulated=True, origin="pack")
        assert ingest_frame(database, known[name], frame, source=source, mode=Mode.all_or_nothing).stored == len(frame)


def test_only_what_the_survey_speaks_for_is_removed(office: Office, town: Made) -> None:
    told = office.examined(town)
    west, south, east, north = told["bounds"]
    middle = (west + east) / 2, (south + north) / 2
    pipes_of_the_pack(office.database, WATER, west - 0.1, south)  # far away
    pipes_of_the_pack(office.database, GAS, *middle)  # of another owner
    known = layers.load()["pipe_points"]
    inside = gpd.GeoDataFrame(
        {"code": ["in-water", "in-industrial"], "pipe_class": ["water", "industrial"], "kind": "bend", "owner": WATER},
        geometry=[shapely.Point(*middle)] * 2, crs=4326,
    )  # fmt: skip
    ingest_frame(office.database, known, inside, source=Source("older"), mode=Mode.all_or_nothing)
    gas = office.stand(GAS)
    assert office.get(f"/{told['id']}")["difference"]["removed"] == 1
    done = office.publish(told["id"])
    assert (done["version"], done["difference"]["removed"]) == (2, 1)  # what stood before is version 1
    assert [v["origin"] for v in office.get("/versions")["versions"]] == ["survey", "before"]
    with office.database.engine.connect() as connection:
        left = set(connection.scalars(sa.text("SELECT code FROM pipe_points WHERE owner = 'Water Works'")))
    assert {"in-industrial", f"{WATER}-p1", f"{WATER}-p2"} <= left
    assert "in-water" not in left
    assert office.stand(GAS) == gas
    assert office.ask("POST", "/versions/1/restore").status_code == 200
    with office.database.engine.connect() as connection:
        query = sa.text("SELECT code, simulated FROM pipe_points WHERE owner = 'Water Works'")
        flags = {code: bool(simulated) for code, simulated in connection.execute(query)}
    assert flags == {f"{WATER}-p1": True, f"{WATER}-p2": True, "in-water": False, "in-industrial": False}
    wide = office.examined(town, scope="owner")
    assert wide["difference"]["removed"] == 5


def test_fields_that_a_survey_does_not_know_stay(office: Office, town: Made) -> None:
    office.publish(office.examined(town)["id"])
    code = f"{WATER}/{town.points[0]['物探点号']}"
    with office.database.writing() as connection:
        change = "UPDATE pipe_points SET customers = 7, updated_at = now() WHERE code = :code"
        connection.execute(sa.text(change), {"code": code})
    told = office.examined(town)
    assert counts(told["difference"]) == (0, 0, 0, 0)
    office.publish(told["id"])
    with office.database.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT customers FROM pipe_points WHERE code = :code"), {"code": code}) == 7
    # The change came by another way, so that state is a version too.
    assert [v["origin"] for v in office.get("/versions")["versions"]] == ["survey", "before", "survey"]


def test_a_number_used_in_two_classes_gets_two_codes(office: Office, altered: Change) -> None:
    def same(made: Made) -> None:
        water, gas = (next(p["物探点号"] for p in made.points if p["物探点号"].startswith(c)) for c in ("JP", "TR"))
        for row in (*made.points, *made.lines):
            for field in ("物探点号", "起点点号", "终点点号", "图上点号"):
                if row.get(field) in (water, gas):
                    row[field] = "1"

    told = office.examined(altered(same))
    assert told["publishable"], office.get(f"/{told['id']}/problems")["problems"][:5]
    office.publish(told["id"])
    with office.database.engine.connect() as connection:
        query = sa.text("SELECT code, pipe_class FROM pipe_points WHERE point_no = '1' ORDER BY code")
        found = connection.execute(query).all()
        joined = "pipe_segments s JOIN pipe_points p ON p.code = s.start_point"
        ends = connection.scalars(sa.text(f"SELECT s.pipe_class = p.pipe_class FROM {joined}")).all()
    assert [tuple(row) for row in found] == [(f"{WATER}/1", "gas"), (f"{WATER}/1@water", "water")]
    assert all(ends)
    again = office.examined(altered(same))
    assert counts(again["difference"]) == (0, 0, 0, 0)


def publish_and_die(url: str, home: str, survey: str) -> None:
    """In a process of its own: die by SIGKILL once all rows are in, before the version is written."""

    def die(*_: Any, **__: Any) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    versions.add = die
    desk = Desk(Database(url), layers.load(), FACTS, Path(home))
    desk.publish(PUBLISHER, survey, accept_warnings=True)


def test_a_crash_in_the_middle_leaves_the_old_version_standing(
    office: Office, town: Made, altered: Change, home: Path
) -> None:
    office.publish(office.examined(town)["id"])
    before = office.stand()
    survey = office.examined(altered(mend))["id"]
    process = multiprocessing.get_context("spawn").Process(
        target=publish_and_die, args=(office.database.url, str(home), survey)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert office.stand() == before
    assert office.get(f"/{survey}")["state"] == "examined"
    assert [v["number"] for v in office.get("/versions")["versions"]] == [1]
    assert office.publish(survey)["version"] == 2


def test_a_row_that_the_layer_refuses_publishes_nothing(office: Office, town: Made) -> None:
    """The examination finds such rows; here the draft is spoilt after it."""
    told = office.examined(town)
    folder = next((Path(office.client.app.state.city.settings.home) / "surveys").rglob("round-1"))  # type: ignore[attr-defined]
    path = folder / "lines.parquet"
    frame = gpd.pd.read_parquet(path)
    frame["diameter_mm"] = np.where(frame.index == 4, 99_999.0, frame["diameter_mm"])
    frame.to_parquet(path)
    refused = office.ask("POST", f"/{told['id']}/publish", json={"accept_warnings": True})
    assert refused.status_code == 422
    assert [(p["row"], p["field"]) for p in refused.json()["problems"]] == [(5, "diameter_mm")]
    assert (office.rows(), office.rows("pipe_segments")) == (0, 0)
    assert office.get("/versions") == {"versions": []}
