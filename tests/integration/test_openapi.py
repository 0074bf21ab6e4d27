"""Every door of the API, asked as its own description says and as it says not to (schemathesis), and by raw bytes."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

import geopandas as gpd
import pytest
import schemathesis
import shapely
import uvicorn
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS
from schemathesis.core.parameters import ParameterLocation

import layers
from gis_core.cluster import Cluster
from gis_core.database import Database
from gis_core.ingest import Mode, Source, ingest_frame
from gis_core.settings import Settings
from gis_core.spec import Layer
from tests.integration.test_locked_doors import FACTS
from web_map.service import create_app

Answer = tuple[int, http.client.HTTPMessage, bytes]
PROBLEM = "application/problem+json"
ROWS = 6
LON, LAT = -71.25, -29.95


def frame_of(layer: Layer) -> gpd.GeoDataFrame:
    """A few believable rows of any layer, of two owners where rows have owners."""
    return gpd.GeoDataFrame([row_of(layer, number) for number in range(ROWS)], geometry="geometry", crs=4326)


def row_of(layer: Layer, number: int) -> dict[str, Any]:
    values = {name: value_of(layer, name, number) for name in layer.fields}
    if layer.access.owner is not None:
        values[layer.access.owner.key] = "water works" if number % 2 else "gas board"
    west, south = LON + number / 1000, LAT + number / 1000
    shapes = {
        "POINT": shapely.Point(west, south),
        "LINESTRING": shapely.LineString([(west, south), (west + 0.001, south + 0.0005)]),
        "MULTIPOLYGON": shapely.MultiPolygon([shapely.box(west, south, west + 0.0008, south + 0.0008)]),
    }
    return {**values, "geometry": shapes[layer.geometry]}


def value_of(layer: Layer, name: str, number: int) -> Any:
    """A value of the column's kind, within what the layer believes."""
    told, codes, kind = layer.fields[name], layer.codes(name), layer.model.__table__.c[name].type.python_type
    if codes is not None:
        return list(codes)[number % len(codes)].name
    if kind in (int, float):
        low, high = told.within or (0, 100)
        low = max(low, 0)  # what has a negative depth must be laid aloft
        return kind(low + (high - low) * (number + 1) / (ROWS + 1))
    if kind is datetime:
        return datetime.fromisoformat(f"2026-01-0{number + 1}T08:00:00+08:00")
    if kind is date:
        return date(2026, 1, number + 1)
    if told.pattern is not None:
        return next(text for text in (f"99000000000{number:04}", "51042203", "JP") if re.fullmatch(told.pattern, text))
    return {bool: number % 2 == 0}.get(kind, f"{name[:3]}-{number} 城")


@dataclass
class Server:
    """The application behind a real HTTP server, as the command runs it."""

    origin: str
    address: tuple[str, int]
    app: Any

    tokens: dict[str, str] = field(default_factory=dict)

    def headers(self, role: str) -> dict[str, str]:
        """What somebody with this role sends."""
        if role == "public":
            return {}
        if role not in self.tokens:
            self.tokens[role] = self.app.state.city.door.make(role)
            # Once it was met it is let in, however often others at this address come with wrong ones.
            self.app.state.city.door.recognise(self.tokens[role])
        return {"Authorization": f"Bearer {self.tokens[role]}"}

    def raw(self, request: bytes) -> Answer:
        """The answer to a request written byte by byte."""
        with socket.create_connection(self.address, timeout=30) as opened:
            opened.sendall(request)
            answer = http.client.HTTPResponse(opened, method=request.split(b" ", 1)[0].decode())
            answer.begin()
            return answer.status, answer.headers, answer.read()

    def get(self, target: bytes | str, headers: dict[str, str] | None = None, method: str = "GET") -> Answer:
        """Status, headers and body for a target that no client library has tidied."""
        path = target.encode() if isinstance(target, str) else target
        lines = [method.encode() + b" " + path + b" HTTP/1.1", b"Host: localhost", b"Connection: close"]
        lines += [f"{name}: {value}".encode() for name, value in (headers or {}).items()]
        return self.raw(b"\r\n".join(lines) + b"\r\n\r\n")


@pytest.fixture(scope="module")
def server(cluster: Cluster, template: str, all_layers: dict[str, Layer]) -> Iterator[Server]:
    """A city with a few rows in every layer, served."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    cluster.create_database(name, template=template)
    database = Database(cluster.url(name), pool_size=4)
    for layer in all_layers.values():
        report = ingest_frame(database, layer, frame_of(layer), source=Source("test"), mode=Mode.all_or_nothing)
        assert report.stored == ROWS, report.problems
    app = create_app(Settings(), database, FACTS)
    listening = socket.create_server(("127.0.0.1", 0))
    running = uvicorn.Server(uvicorn.Config(app, http="httptools", log_level="error", access_log=False))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    host, port = listening.getsockname()
    yield Server(f"http://{host}:{port}", (host, port), app)
    running.should_exit = True
    thread.join()
    listening.close()
    database.close()
    cluster.drop_database(name)


# The description is the same for any city; no database is opened to make it.
API = schemathesis.openapi.from_dict(create_app(Settings(), Database("postgresql:///nowhere"), FACTS).openapi())


NAMES = sorted(layers.load())
FREE_TEXT = {"bbox", "crs", "filter", "t", "z", "wish", "datum"}
"""Parameters whose words no JSON Schema tells (boxes, systems, CQL2, tiles that exist): 400 is right for most texts."""
DRAWN = (
    "/api/incidents",
    *(f"/api/pipes/{door}" for door in ("clearance", "dig", "section", "profile", "inp", "pressure", "bursts")),
)
"""Doors that take what somebody drew: no JSON Schema tells a line that has a length or a ring that is closed."""
SHARED_PATHS = (
    "/api/uploads/{layer}", "/api/uploads/{upload_id}",
    "/api/surveys/{survey_id}", "/api/surveys/mapping", "/api/surveys/versions",
)  # fmt: skip
"""Two doors at one address, by the contract: each allows the other's method too, which a description cannot say."""


def with_layer(case: schemathesis.Case[Any]) -> schemathesis.Case[Any]:
    """The case at a layer that exists, seven times of eight: a made-up name would end it before it began."""
    told = case.meta.components.get(ParameterLocation.PATH) if case.meta else None
    number = zlib.crc32(repr((case.query, case.path_parameters)).encode(errors="replace"))
    if "layer" in case.path_parameters and number % 8 and not (told and told.mode.is_negative):
        case.path_parameters["layer"] = NAMES[number % len(NAMES)]
    return case


@pytest.mark.parametrize("role", ["public", "operator"])
@API.exclude(path="/api/changes").parametrize()
@settings(max_examples=30, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_every_door_keeps_its_word(case: schemathesis.Case[Any], server: Server, role: str) -> None:
    answered = with_layer(case).call(base_url=server.origin, headers=server.headers(role))
    if answered.status_code >= 400:
        told = answered.json()
        assert answered.headers["content-type"] == [PROBLEM]
        assert {"type", "title", "status", "detail"} <= set(told), told
        assert told["status"] == answered.status_code
    unfit: list[Any] = []
    if case.operation.path in SHARED_PATHS:
        unfit.append(CHECKS.get_one("allow_header_conformance"))
    free = FREE_TEXT & {p.name for p in (*case.operation.query, *case.operation.path_parameters)}
    if free or case.operation.path in DRAWN:
        unfit.append(CHECKS.get_one("positive_data_acceptance"))
    case.validate_response(answered, excluded_checks=unfit)


STRANGE = (
    "", "%00", "a%00b", "%ff%fe", "%ED%A0%80", "%F0%9F", "%", "%zz", "%27", "%22", "%5C", "%25", "_", "-", "%D9%A3",
    "nan", "NaN", "inf", "-inf", "-0", "1e999", "-1", "0", "1.5", "0x10", "1_000", "9223372036854775807",
    "9223372036854775808", "-9223372036854775809", "9" * 400, "1e308,1e308,1e308,1e308", "nan,nan,nan,nan",
    "-inf,-inf,inf,inf", "0,0,0,0", "180,0,-180,1", "1,2,3", "1,2,3,4,5,6,7", "A" * 9000, "%F0%9F%8F%99" * 90,
    "true", "null", "[]", "{}", "%5B" * 3000, "2026-13-45", "0000-00-00T00:00:00Z", "10000-01-01T00:00:00Z",
    "2026-01-01T00:00:00%2B99:99", "2027-01-01/2026-01-01", "../..", "/../", "..%2f", "pg_sleep(9)", "1;select%201",
)  # fmt: skip
"""Values that are wrong for most parameters, as they stand in an address."""


def judge(answer: Answer, what: object) -> int:
    """No answer may be our mistake, and each refusal is a problem that says why."""
    status, headers, body = answer
    assert status < 500, (what, status, body[:500])
    if status >= 400:
        assert headers["content-type"] == PROBLEM, (what, status, body[:300])
        told = json.loads(body)
        assert told["status"] == status, (what, told)
        assert told["type"].startswith("/problems/"), (what, told)
        assert told["title"], (what, told)
        assert told["detail"], (what, told)
    return status


def filled(path: str, **other: str) -> str:
    """A path of the description at things that exist."""
    there = {"layer": "pipe_segments", "feature_id": "1", "z": "14", "y": "9621", "x": "4949", "name": "wall"} | other
    return re.sub(r"\{(\w+)\}", lambda m: there.get(m[1], "unknown"), path)


def readable() -> Iterator[tuple[str, list[str], list[str]]]:
    """The doors that answer to GET and end: path, names in it, names behind the question mark."""
    for path, doors in create_app(Settings(), Database("postgresql:///nowhere"), FACTS).openapi()["paths"].items():
        if "get" in doors and path != "/api/changes":
            told = doors["get"].get("parameters", [])
            yield path, re.findall(r"\{(\w+)\}", path), [p["name"] for p in told if p["in"] == "query"]


DOORS = list(readable())
UNGIVEN = re.compile(r"\{(upload_id|survey_id)\}")
"""What only exists once somebody gave it."""


@pytest.mark.parametrize(("path", "places", "names"), DOORS, ids=[path for path, _, _ in DOORS])
def test_no_strange_value_breaks_a_door(server: Server, path: str, places: list[str], names: list[str]) -> None:
    sent = server.headers("auditor" if "audit" in path else "admin")
    assert judge(server.get(filled(path), sent), path) in ((404,) if UNGIVEN.search(path) else (200, 204, 400))
    for strange in STRANGE:
        for place in places:
            asked = filled(path, **{place: strange})
            judge(server.get(asked, sent), asked)
        for name in names:
            judge(server.get(f"{filled(path)}?{name}={strange}", sent), (path, name, strange))
    for name in (*names, "unknown", "%00", "%ff", "A" * 9000, "filter%5B%5D"):
        judge(server.get(f"{filled(path)}?{name}=1&{name}=1&&=", sent), (path, name))


def test_no_strange_value_breaks_a_column(server: Server, all_layers: dict[str, Layer]) -> None:
    sent, tried = server.headers("operator"), set()
    for layer in all_layers.values():
        items = f"/ogc/collections/{layer.name}/items"
        _, _, body = server.get(f"/ogc/collections/{layer.name}/queryables", sent)
        for name, told in json.loads(body)["properties"].items():
            kind = (told.get("type"), told.get("format"), "enum" in told)
            if kind[0] is None or kind in tried:
                continue
            tried.add(kind)
            for strange in STRANGE:
                judge(server.get(f"{items}?{name}={strange}", sent), (layer.name, name, strange))
            for order in (name, f"-{name}"):
                assert judge(server.get(f"{items}?sortby={order}", sent), order) == 200
    assert len(tried) >= 4, tried


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "CONNECT", "PUT", "PATCH", "DELETE", "OPTIONS", "POST"])
def test_a_method_that_no_door_takes_is_refused_by_name(server: Server, method: str) -> None:
    for path, _, _ in DOORS:
        status, headers, body = server.get(filled(path), method=method)
        if status in (405, 501):
            judge((status, headers, body), (method, path))
            assert {"GET", "HEAD"} <= set(headers["allow"].split(", ")), (method, path)
        assert status < 500, (method, path, body)


def test_a_head_is_that_of_the_whole_answer(server: Server) -> None:
    sent = server.headers("operator")
    for path in (
        "/",
        "/docs",
        "/openapi.json",
        "/nowhere",
        "/api/uploads/none",
        *(filled(door) for door, _, _ in DOORS),
    ):
        whole, head = server.get(path, sent), server.get(path, sent, method="HEAD")
        assert (head[0], head[2]) == (whole[0], b""), path
        assert head[1]["content-type"] == whole[1]["content-type"], path
    status, headers, _ = server.get("/api/changes", method="HEAD")
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")


TEXTS = (
    b"", b"{", b"null", b"[]", b"1", b'""', b"\xff\xfe", b"\x00", b'{"token":null}', b'{"token":1}', b'{"token":[]}',
    b'{"token":{}}', b'{"token":"\\ud800"}', b'{"token":"\\u0000"}', b'{"token":"' + b"A" * 100_000 + b'"}',
    b"[" * 100_000, b'{"token":' * 20_000, b'{"token":NaN}', b'{"token":1e999}', '{"token":"城"}'.encode("utf-16"),
    b'{"token":"\xed\xa0\x80"}', b'{"token":"a","token":"b"}', b"token=a",
)  # fmt: skip


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", "%ff", ""])
def test_no_body_breaks_the_sign_in(server: Server, kind: str) -> None:
    for text in TEXTS:
        head = f"POST /api/session HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: {kind}\r\n"
        request = f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text
        assert judge(server.raw(request), (kind, text[:40])) in (400, 401, 422, 429)


HEADERS = (
    "Authorization: Bearer \xff\xfe", "Authorization: Bearer", "Authorization: Basic YTpi", "Authorization: \x01",
    f"Authorization: Bearer {'A' * 30_000}", "Authorization: Bearer ct_" + "A" * 43, "Cookie: chengtu_session=\xff",
    'Cookie: chengtu_session="a\\377"; =; ;;', "Cookie: " + "a=b; " * 5000, "Host: [::1", "Host: a b", "Host:",
    "If-None-Match: \xff", "If-None-Match: *", "Range: bytes=5-1", "Range: bytes=" + "0-1," * 3000,
    "Accept: \xff", "Accept-Encoding: gzip;q=nan, \xff", "Origin: null", "Origin: http://[", "Sec-Fetch-Site: \xff",
    "X-Forwarded-For: \xff, ::", "X-Forwarded-Proto: \xff", "If-Modified-Since: yesterday", "Content-Length: 5",
    "Expect: 200-maybe", "Upgrade: websocket", "Content-Type: multipart/form-data",
)  # fmt: skip


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/docs/init.js", "/assets/a.js", "/openapi.json", *(d for d, _, _ in DOORS)]
)
def test_no_header_breaks_a_door(server: Server, path: str) -> None:
    for header in HEADERS:
        lines = [f"GET {filled(path)} HTTP/1.1", header, "Connection: close", "", ""]
        if not header.startswith("Host"):
            lines.insert(1, "Host: localhost")
        request = "\r\n".join(lines).encode("latin-1") + (b"12345" if "Content-Length" in header else b"")
        status, headers, body = server.raw(request)
        assert status < 500, (header, status, body[:300])
        # A head that is no HTTP at all never reaches the application.
        if status >= 400 and not body.startswith(b"Invalid HTTP request"):
            judge((status, headers, body), (path, header))


PATHS = (
    "/%00", "/assets/%00", "/docs/%00", "/assets/%ff", "/docs/%2e%2e/%2e%2e/service.py", "/assets/../service.py",
    "/assets/..%2f..%2fservice.py", "/assets/%5c..%5c", "/assets/" + "a" * 5000, "/assets/" + "a/" * 3000,
    "//evil.example", "/%2f/evil.example", "/ogc/collections//items", "/ogc/collections//tiles/WebMercatorQuad/14/1/1",
    "/ogc/collections/pipe_segments/tiles/WebMercatorQuad/-1/0/0", "/ogc/collections/pipe_segments/items/1/2",
    "/ogc/collections/pipe_segments/tiles/WebMercatorQuad/99/9999999/9999999", "/.git/config", "/.env",
    "/ogc/collections/pipe_segments/tiles/WebMercatorQuad/%D9%A3/%D9%A3/%D9%A3", "/api/" + "%F0%9F%8F%99" * 999, "*",
    "/?token=", "/?token=%00", "/?token=%ff", "/?token=" + "A" * 9000, "/?token=a&token=b", "/plan?token=%ED%A0%80",
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
def test_no_path_breaks_the_service(server: Server, path: str) -> None:
    status, headers, body = server.get(path)
    assert status < 500, (path, body[:300])
    assert b"create_app" not in body
    if status >= 400:
        judge((status, headers, body), path)
    if "location" in headers:
        assert re.match(r"/(?![/\\])", headers["location"]), headers["location"]


FILTERS = (
    "pg_read_file('/etc/passwd')='a'", "set_config('role','postgres',false)='a'", "pg_sleep(9)=1", "code='\0'",
    "diameter_mm=99999999999999999999999999", "diameter_mm/0=1", "diameter_mm^9999=1", "diameter_mm*1e308*1e308>1",
    "diameter_mm='a'", "code=1", "code>TRUE", "nothing=1", "geom=1", "updated_at>TIMESTAMP('9999-99-99T00:00:00Z')",
    "updated_at>TIMESTAMP('292277-01-01T00:00:00Z')", "code LIKE '" + "%a" * 400 + "'", "code LIKE '\\'", "code IN ()",
    "S_INTERSECTS(geom,POINT(nan nan))", "S_INTERSECTS(geom,POLYGON((0 0,1 1)))", "S_INTERSECTS(geom,POINT EMPTY)",
    "S_INTERSECTS(geom,POINT(1e308 1e308))", "S_DISTANCE(geom,POINT(0 0))<1", "(" * 15_000, "NOT " * 7000 + "code='a'",
    "code='a'" + " AND code='a'" * 2300, "CASEI(CASEI(CASEI(code)))='a'", "T_AFTER(updated_at,INTERVAL('..','..'))",
    "{", '{"op":"="}', '{"op":"=","args":[]}', '{"op":[],"args":{}}', '{"op":"not","args":[' * 900, "[[[[" * 4000,
    '{"op":"=","args":[{"property":"code"},"\\ud800"]}', '{"op":"=","args":[{"property":"code"},"\\u0000"]}',
    '{"op":"=","args":[{"property":"diameter_mm"},1e400]}', '{"op":"=","args":[{"property":"diameter_mm"},NaN]}',
    '{"op":"s_intersects","args":[{"property":"geom"},{"type":"Polygon","coordinates":[]}]}', "null", "true", "1", "''",
)  # fmt: skip


@pytest.mark.parametrize("text", FILTERS, ids=range(len(FILTERS)))
def test_no_filter_breaks_a_layer(server: Server, text: str) -> None:
    for door in ("/ogc/collections/pipe_segments/items", "/api/export/pipe_segments"):
        for language in ("cql2-text", "cql2-json"):
            asked = f"{door}?{urlencode({'filter': text, 'filter-lang': language})}"
            judge(server.get(asked, server.headers("operator")), (door, language, text[:80]))


def test_after_all_that_the_service_answers_as_before(server: Server) -> None:
    status, _, body = server.get("/healthz")
    assert (status, json.loads(body)["status"]) == (200, "ok")
    for layer in NAMES:
        _, _, body = server.get(f"/ogc/collections/{layer}/items?number-matched=true", server.headers("admin"))
        assert json.loads(body)["numberMatched"] == ROWS, layer
