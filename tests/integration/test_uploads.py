"""Uploads over HTTP: who may, what is answered, what is kept, and what hostile files get."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

import layers
from gis_core.access import PUBLIC, Role, Viewer
from gis_core.database import Database
from gis_core.settings import Settings
from gis_core.spec import Layer
from web_map import problems, session, uploads

FACTS = {"bounds": [116.2, 39.5, 116.6, 39.8], "time_zone": "Asia/Shanghai"}
ADMIN = Viewer(Role.admin, name="Ada")
WATER = Viewer(Role.utility, owner="Water Works", name="surveyor")
GAS = Viewer(Role.utility, owner="Gas Company", name="surveyor")
CSV = "编号,管类,管径,起点埋深,终点埋深,WKT\n{}"


@dataclass
class Trail:
    """What would go to the audit trail."""

    refused: list[str] = field(default_factory=list)

    def record(self, viewer: Viewer, action: str, target: str, *, allowed: bool, detail: str = "") -> None:
        """As the real one."""
        del viewer, allowed, detail
        self.refused.append(f"{action} {target}")


@dataclass
class Doors:
    """As much of a city as uploads need."""

    database: Database
    trail: Trail
    layers: dict[str, Layer] = field(default_factory=lambda: dict(layers.load()))
    settings: Settings = field(default_factory=lambda: Settings(upload_limit_mb=1))
    facts: dict[str, Any] = field(default_factory=lambda: FACTS)


class Browser:
    """A client that says who it is by a header of the test's own."""

    def __init__(self, app: FastAPI) -> None:
        """Ask this application."""
        self.viewer = PUBLIC
        app.dependency_overrides[session.viewer_of] = lambda: self.viewer
        self.client = TestClient(app, raise_server_exceptions=False)

    def give(self, layer: str, name: str, content: bytes, *, by: Viewer = ADMIN, **said: str) -> tuple[int, Any]:
        """Upload a file; the answer's status and JSON."""
        self.viewer = by
        answer = self.client.post(f"/api/uploads/{layer}", files={"file": (name, content)}, data=said)
        return answer.status_code, answer.json()

    def post(self, path: str, by: Viewer = ADMIN) -> Any:
        """Have something done."""
        self.viewer = by
        return self.client.post(path)

    def get(self, path: str, by: Viewer = ADMIN) -> Any:
        """Read something."""
        self.viewer = by
        return self.client.get(path)


@pytest.fixture
def city(database: Database, tmp_path: Path) -> Doors:
    return Doors(database, Trail(), settings=Settings(home=tmp_path, upload_limit_mb=1))


@pytest.fixture
def browser(city: Doors) -> Browser:
    app = FastAPI(responses=problems.RESPONSES)
    app.state.city = city
    app.include_router(uploads.router)
    problems.install(app)
    return Browser(app)


def line(code: str, kind: str = "给水", width: str = "300", x: float = 116.3) -> str:
    return f'{code},{kind},{width},1.5,2,"LINESTRING ({x} 39.6, {x + 0.001} 39.6)"\n'


def count(city: Doors, table: str = "pipe_segments") -> int:
    with city.database.engine.connect() as connection:
        return int(connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_a_utility_uploads_its_survey_and_reads_the_report_again(city: Doors, browser: Browser) -> None:
    body = CSV.format(line("A1") + line("A2", "YS", "DN300")).replace("编号", "管段编号").encode("gbk")
    status, refused = browser.give("pipe_segments", "survey.csv", body, by=WATER, datum="CGCS2000")
    assert (status, refused["type"], refused["status"]) == (422, "/problems/unprocessable", 422)
    assert refused["problems"] == [
        {"row": 2, "field": "diameter_mm", "why": "is not a number: 'DN300'", "severity": "error"}
    ]
    assert count(city) == 0
    tried = browser.give("pipe_segments", "survey.csv", body, by=WATER, datum="CGCS2000", mode="good-rows", dry_run="1")
    assert (tried[0], tried[1]["state"], tried[1]["accepted"], tried[1]["stored"]) == (200, "tried", 1, 0)
    assert count(city) == 0
    status, report = browser.give("pipe_segments", "survey.csv", body, by=WATER, datum="CGCS2000", mode="good-rows")
    assert (status, report["stored"], report["refused"], report["state"]) == (201, 1, 1, "stored")
    assert report["datum"].startswith("CGCS2000")
    with city.database.engine.connect() as connection:
        row = connection.execute(sa.text("SELECT code, pipe_class, owner FROM pipe_segments")).one()
    assert tuple(row) == ("A1", "water", "Water Works")
    again = browser.get(f"/api/uploads/{report['id']}", by=WATER).json()
    assert again == report
    table = browser.get(f"/api/uploads/{report['id']}/problems.csv", by=WATER)
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.text.splitlines()[1] == "2,diameter_mm,is not a number: 'DN300',error"


def test_only_its_giver_and_administrators_read_a_report(browser: Browser, city: Doors) -> None:
    body = CSV.format(line("A1")).replace("编号", "code").encode()
    _, report = browser.give("pipe_segments", "a.csv", body, by=WATER, datum="WGS84")
    path = f"/api/uploads/{report['id']}"
    assert [browser.get(path, by=v).status_code for v in (ADMIN, WATER, GAS, Viewer(Role.planner), PUBLIC)] == [
        200, 200, 403, 403, 403,
    ]  # fmt: skip
    assert browser.get(f"{path}x").status_code == 404
    assert city.trail.refused == [f"GET {path}"] * 3


def test_a_file_that_was_only_tried_is_published_by_its_id(browser: Browser, city: Doors) -> None:
    body = CSV.format(line("A1") + line("A2", "YS", "DN300")).replace("编号", "code").encode()
    said = {"datum": "CGCS2000", "mode": "good-rows", "dry_run": "1", "title": "普查"}
    _, tried = browser.give("pipe_segments", "survey.csv", body, by=WATER, **said)
    assert (tried["state"], tried["publishable"]) == ("tried", True)
    door = f"/api/uploads/{tried['id']}/publish"
    assert [browser.post(door, by=viewer).status_code for viewer in (GAS, PUBLIC)] == [403, 403]
    assert count(city) == 0
    done = browser.post(door, by=WATER)
    assert (done.status_code, done.json()["stored"], done.json()["state"]) == (201, 1, "stored")
    assert browser.get(f"/api/uploads/{tried['id']}", by=WATER).json() == done.json()
    with city.database.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT title FROM dataset")) == "普查"
    again = browser.post(door, by=WATER)
    assert (again.status_code, count(city)) == (409, 1)
    assert not list((city.settings.home / "uploads").rglob(tried["id"]))
    assert browser.post("/api/uploads/none/publish", by=WATER).status_code == 404


def test_a_tried_file_that_is_refused_or_gone_publishes_nothing(browser: Browser, city: Doors) -> None:
    body = CSV.format(line("A1") + line("A2", "YS", "DN300")).replace("编号", "code").encode()
    _, tried = browser.give("pipe_segments", "survey.csv", body, by=WATER, datum="CGCS2000", dry_run="1")
    door = f"/api/uploads/{tried['id']}/publish"
    refused = browser.post(door, by=WATER)
    assert (refused.status_code, refused.json()["problems"][0]["row"]) == (422, 2)
    assert browser.get(f"/api/uploads/{tried['id']}", by=WATER).json()["state"] == "tried"
    for kept in (city.settings.home / "uploads").rglob(tried["id"]):
        kept.unlink()
    gone = browser.post(door, by=WATER)
    assert (gone.status_code, "no longer kept" in gone.json()["detail"], count(city)) == (409, True, 0)


def test_who_may_not_upload_is_refused_before_the_file_is_read(browser: Browser, city: Doors) -> None:
    for layer, viewer in (("pipe_segments", PUBLIC), ("roads", WATER), ("roads", Viewer(Role.planner))):
        assert browser.give(layer, "a.csv", b"", by=viewer)[0] == 403
    assert browser.give("nothing", "a.csv", b"")[0] == 404
    assert count(city, "upload") == 0


def test_formula_text_is_stored_as_text_and_leaves_the_table_as_text(browser: Browser, city: Doors) -> None:
    body = b'code,name,lon,lat\n=1+1,"=HYPERLINK(""http://x"")",116.3,39.6\n@x,,116.3,39.6\n'
    status, report = browser.give("cameras", "a.csv", body, datum="WGS84", mode="good-rows")
    assert (status, report["stored"]) == (201, 1)
    with city.database.engine.connect() as connection:
        assert tuple(connection.execute(sa.text("SELECT code, name FROM cameras")).one()) == (
            "=1+1", '=HYPERLINK("http://x")',
        )  # fmt: skip
    assert (
        browser.get(f"/api/uploads/{report['id']}/problems.csv").text.splitlines()[1].startswith("2,name,is required")
    )


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return made.getvalue()


def link(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o120777 << 16
    return entry


GOOD = CSV.format(line("A1")).replace("编号", "code").encode()
COLLECTION: dict[str, Any] = {"type": "FeatureCollection", "features": []}
HOSTILE = {
    "truncated zip": ("a.zip", zipped(("a.csv", GOOD))[:-30]),
    "zip that climbs out": ("a.zip", zipped(("../a.csv", GOOD))),
    "zip with an absolute path": ("a.zip", zipped(("/etc/a.csv", GOOD))),
    "zip with a drive": ("a.zip", zipped(("C:\\a.csv", GOOD))),
    "zip with a link": ("a.zip", zipped((link("a.csv"), b"/etc/passwd"))),
    "zip bomb": ("a.zip", zipped(("a.csv", b"0" * (40 * 2**20)))),
    "zip of two": ("a.zip", zipped(("a.csv", GOOD), ("b.csv", GOOD))),
    "zip of nothing": ("a.zip", zipped(("readme.md", b"x"))),
    "not what it says": ("a.gpkg", GOOD),
    "virtual file": ("a.json", b"<OGRVRTDataSource><OGRVRTLayer/></OGRVRTDataSource>"),
    "unknown ending": ("a.exe", b"MZ"),
    "no name": ("", GOOD),
    "empty": ("a.csv", b""),
    "no geometry": ("a.csv", b"code,name\n1,2\n"),
    "one column": ("a.csv", b"code\n1\n"),
    "neither UTF-8 nor GBK": ("a.csv", b"code,lon,lat\n\xff\xff\xff,1,1\n"),
    "crs to be fetched": (
        "a.geojson",
        json.dumps(COLLECTION | {"crs": {"type": "link", "properties": {"href": "http://127.0.0.1:9/"}}}).encode(),
    ),
    "crs to be fetched, spelt otherwise": (
        "a.geojson",
        b'{"type":"FeatureCollection","\\u0063rs":{"type":"url","properties":{"url":"http://127.0.0.1:9/"}},"features":[]}',
    ),
    "unknown crs": (
        "a.geojson",
        json.dumps(COLLECTION | {"crs": {"type": "name", "properties": {"name": "urn:of:mars"}}}).encode(),
    ),
    "nested too deeply": ("a.geojson", b'{"type":"FeatureCollection","features":' + b"[" * 200_000),
    "broken JSON": ("a.geojson", b'{"type":"FeatureCollection","features":[{]}'),
    "broken Parquet": ("a.parquet", b"PAR1" + bytes(200) + b"PAR1"),
    "broken GeoPackage": ("a.gpkg", b"SQLite format 3\0" + bytes(52) + b"GPKG" + bytes(5000)),
    "broken shapefile": ("a.zip", zipped(("a.shp", b"\x00\x00\x27\x0a" + bytes(100)), ("a.dbf", b"\x03"))),
}


@pytest.mark.parametrize(("name", "content"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_file_that_cannot_be_or_may_not_be_read_is_a_clear_problem(
    browser: Browser, city: Doors, name: str, content: bytes
) -> None:
    status, told = browser.give("pipe_segments", name, content, datum="" if name.endswith("json") else "WGS84")
    assert status in {400, 413, 422}, told
    assert told["detail"]
    assert not any(word in json.dumps(told) for word in ("chengtu-", "Traceback", "site-packages"))
    assert count(city) == 0
    assert browser.give("pipe_segments", "a.csv", GOOD, by=WATER, datum="WGS84")[0] == 201, "the server goes on"


def test_an_overlong_upload_is_refused(browser: Browser, city: Doors) -> None:
    status, told = browser.give("pipe_segments", "a.csv", b"x" * (2**20 + 1))
    assert (status, told["type"]) == (413, "/problems/too-large")

    def endless() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        for _ in range(200):
            yield b"x" * 10_000

    browser.viewer = ADMIN
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = browser.client.post("/api/uploads/pipe_segments", content=endless(), headers=headers)
    assert answer.status_code == 413
    assert count(city, "upload") == 0


def test_a_form_that_is_none_is_a_clear_problem(browser: Browser) -> None:
    browser.viewer = ADMIN
    for body, kind in (
        (b"{}", "application/json"),
        (b"--x", "multipart/form-data; boundary=y"),
        (b"", "multipart/form-data"),
        (
            b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nno file\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
        ),
    ):
        answer = browser.client.post("/api/uploads/parking", content=body, headers={"Content-Type": kind})
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), body
    assert browser.give("parking", "a.csv", GOOD, mode="sometimes")[0] == 400
    assert browser.give("parking", "a.csv", GOOD, encoding="rot13", datum="WGS84")[0] == 400


def test_a_file_without_a_system_needs_one_declared(browser: Browser, city: Doors) -> None:
    status, told = browser.give("pipe_segments", "a.csv", GOOD, by=WATER)
    assert status == 422
    assert told["problems"][0]["field"] == "datum"
    status, told = browser.give("pipe_segments", "a.csv", GOOD, by=WATER, datum="Atlantis")
    assert status == 400
    assert "Atlantis" in told["detail"]
    assert count(city) == 0
