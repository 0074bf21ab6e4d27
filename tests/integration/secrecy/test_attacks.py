"""Whatever somebody asks, the city answers as if that did not exist which they may not see.

Each viewer asks two cities the same: the whole one, and one from which Python took away what the viewer may not see.
Where the answers differ, the difference betrays something.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gis_core.cluster import Cluster
from gis_core.database import Database
from gis_core.spec import Layer
from tests.integration.secrecy.conftest import (
    FRAMES,
    PIPES,
    POINTS,
    SIGHTS,
    Sight,
    copy_of,
    header,
    served,
    without_what_is_hidden,
)
from tests.integration.serving.test_tiles import over, path, read


@dataclass(frozen=True)
class Pair:
    """One viewer before the whole city and before that which may be seen."""

    sight: Sight
    whole: TestClient
    seen: TestClient
    headers: tuple[dict[str, str], dict[str, str]]
    databases: tuple[Database, Database]
    folder: Path

    def both(self, address: str, body: Any = None) -> tuple[Any, Any]:
        """The two answers to one question."""
        ways = []
        for client, sent in zip((self.whole, self.seen), self.headers, strict=True):
            way = client.get(address, headers=sent) if body is None else client.post(address, json=body, headers=sent)
            assert way.status_code < 500, (address, way.text)
            ways.append(way)
        return ways[0], ways[1]


@pytest.fixture(scope="module", params=SIGHTS, ids=str)
def pair(
    request: pytest.FixtureRequest, cluster: Cluster, filled: str, all_layers: dict[str, Layer],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Pair]:  # fmt: skip
    sight: Sight = request.param
    first, second = copy_of(cluster, filled), copy_of(cluster, filled)
    whole, seen = next(first), next(second)
    without_what_is_hidden(seen, all_layers, sight)
    keys = (header(whole, sight.role, sight.owner), header(seen, sight.role, sight.owner))
    folder = tmp_path_factory.mktemp("tiles")
    with served(whole) as one, served(seen) as other:
        yield Pair(sight, one, other, keys, (whole, seen), folder)
    shutil.rmtree(folder)
    for made in (first, second):
        next(made, None)


columns = st.sampled_from(
    ["code", "owner", "material", "secrecy", "road_name", "pipe_class", "built_year", "pressure_mpa", "diameter_mm",
     "start_depth_m", "length_m", "customers", "kind", "depth_m", "valve_open", "id", "simulated"]
)  # fmt: skip
numbers = st.sampled_from(["0", "1", "0.3", "1.5", "250", "1999", "2010", "100000", "-1"])
texts = st.sampled_from(
    ["A", "B", "secret", "open", "P0007", "P01", "N0050", "A secret steel", "secret 路 4", "gas", ""]
)
values = numbers | texts.map(lambda text: f"'{text}'")
boxes = st.tuples(
    st.floats(116.29, 116.4), st.floats(39.59, 39.7), st.floats(0.0005, 0.08), st.floats(0.0005, 0.08)
).map(lambda b: (round(b[0], 5), round(b[1], 5), round(b[0] + b[2], 5), round(b[1] + b[3], 5)))


def _comparisons() -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(columns, st.sampled_from(["=", "<>", "<", ">", "<=", ">="]), values).map(" ".join),
        st.tuples(columns, texts).map(lambda t: f"{t[0]} LIKE '%{t[1]}%'"),
        st.tuples(columns, values, values).map(lambda t: f"{t[0]} IN ({t[1]}, {t[2]})"),
        st.tuples(columns, numbers, numbers).map(lambda t: f"{t[0]} BETWEEN {t[1]} AND {t[2]}"),
        columns.map(lambda name: f"{name} IS NULL"),
        columns.map(lambda name: f"CASEI({name}) LIKE '%secret%'"),
        # Sums that fail on some rows only: an error would betray that such a row is there.
        st.tuples(columns, numbers).map(lambda t: f"{t[0]} / ({t[0]} - {t[1]}) > 1"),
        columns.map(lambda name: f"({name} * 1000) ^ 120 > 1"),
        boxes.map(lambda b: f"S_INTERSECTS(geom, BBOX({b[0]}, {b[1]}, {b[2]}, {b[3]}))"),
    )


filters = st.recursive(
    _comparisons(),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
        inner.map(lambda condition: f"NOT ({condition})"),
    ),
    max_leaves=4,
)


def _queries(names: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[str]:
    """Parameters, each of them given or not."""
    return st.fixed_dictionaries({}, optional=names).map(lambda given: "&".join(f"{k}={v}" for k, v in given.items()))


selections = {
    "filter": filters.map(lambda text: text.replace("%", "%25")),
    "bbox": boxes.map(lambda box: ",".join(map(str, box))),
}
items = _queries(
    {
        **selections,
        "sortby": st.tuples(st.sampled_from(["", "-"]), columns).map("".join),
        "limit": st.sampled_from([1, 7, 1000]),
        "number-matched": st.just("true"),
        "properties": columns,
        "crs": st.just("http://www.opengis.net/def/crs/EPSG/0/3857"),
        "material": texts,
        "secrecy": st.sampled_from(["open", "secret"]),
    }
)
hexagons = _queries(
    {
        "measure": st.sampled_from(["length", "segments", "points", "diameter", "depth", "oldest", "deepest"]),
        "resolution": st.integers(4, 11),
        "bbox": selections["bbox"],
        "presence": st.just("false"),
    }
)
questions = st.one_of(
    st.tuples(st.sampled_from([PIPES, POINTS]), items).map(lambda t: f"/ogc/collections/{t[0]}/items?{t[1]}"),
    st.tuples(st.sampled_from([PIPES, POINTS]), st.integers(1, 200)).map(
        lambda t: f"/ogc/collections/{t[0]}/items/{t[1]}"
    ),
    st.tuples(st.sampled_from([PIPES, POINTS]), hexagons).map(lambda t: f"/api/hexagons/{t[0]}?{t[1]}"),
    st.tuples(st.sampled_from([PIPES, POINTS]), _queries(selections)).map(
        lambda t: f"/api/export/{t[0]}?format=csv&{t[1]}"
    ),
    texts.filter(bool).map(lambda text: f"/api/search?limit=50&q={text}"),
    st.sampled_from([f"/ogc/collections/{PIPES}/queryables", f"/ogc/collections/{POINTS}/schema"]),
)

many = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def plain(way: Any) -> Any:
    """What an answer tells, without what differs between any two answers."""
    if way.headers["content-type"].startswith("text/csv"):
        return way.content
    told = way.json()
    for name in ("timeStamp", "version", "updated_at"):
        told.pop(name, None)
    if "results" in told:
        told["results"] = sorted(map(str, told["results"]))
    return told


@given(address=questions)
@many
def test_no_question_tells_what_may_not_be_seen(pair: Pair, address: str) -> None:
    whole, seen = pair.both(address)
    if "/api/hexagons/" in address and whole.status_code == seen.status_code == 200 and whole.json()["presence"]:
        return  # presence is of all pipes, for everybody: see test_presence
    assert whole.status_code == seen.status_code, (address, whole.text, seen.text)
    assert plain(whole) == plain(seen), address


@given(place=st.tuples(st.floats(116.3, 116.4), st.floats(39.6, 39.7)), z=st.integers(11, 16), layer=st.integers(0, 1))
@settings(many, max_examples=25)
def test_no_tile_holds_what_may_not_be_seen(pair: Pair, place: tuple[float, float], z: int, layer: int) -> None:
    address = over(*place, z)
    for again in range(2):  # once made, once perhaps out of a cache
        whole, seen = pair.both(path((PIPES, POINTS)[layer], address))
        assert whole.status_code == seen.status_code, again
        if whole.status_code == 200:
            frames = [read(way.content, address, pair.folder) for way in (whole, seen)]
            first, second = (frame.set_index("mvt_id").sort_index() for frame in frames)
            pd.testing.assert_frame_equal(pd.DataFrame(first), pd.DataFrame(second), check_like=True)


def test_no_measure_tells_what_may_not_be_seen(pair: Pair, all_layers: dict[str, Layer]) -> None:
    for name in FRAMES:
        for measure in all_layers[name].measures:
            whole, seen = pair.both(f"/api/hexagons/{name}?presence=false&resolution=9&measure={measure.name}")
            assert (whole.status_code, plain(whole)) == (seen.status_code, plain(seen))


def test_the_catalogue_counts_what_may_be_seen(pair: Pair) -> None:
    ways = pair.both("/api/catalog")
    told = [{la["name"]: (la["count"], la["bounds"]) for la in way.json()["layers"]} for way in ways]
    assert told[0] == told[1]
    for name, frame in FRAMES.items():
        assert told[0].get(name, (0, None))[0] == len(pair.sight.sees(frame))


def test_rows_are_those_that_python_reckons(pair: Pair) -> None:
    for name, frame in FRAMES.items():
        way = pair.whole.get(f"/ogc/collections/{name}/items?limit=1000", headers=pair.headers[0])
        told = {f["properties"]["code"] for f in way.json().get("features", ())}
        assert told == pair.sight.sees(frame)


def test_the_second_lock_alone_shows_the_same_rows(pair: Pair) -> None:
    with pair.databases[0].reading(pair.sight.viewer) as connection:
        for name, frame in FRAMES.items():
            assert set(connection.scalars(sa.text(f"SELECT code FROM {name}"))) == pair.sight.sees(frame)


@given(
    start=st.integers(0, 199),
    layer=st.sampled_from([PIPES, POINTS]),
    question=st.sampled_from(["connected", "upstream", "downstream", "loops", "subnetwork"]),
)
@settings(many, max_examples=20)
def test_a_trace_names_only_what_may_be_seen(pair: Pair, start: int, layer: str, question: str) -> None:
    place = {"layer": layer, "code": FRAMES[layer]["code"][start]}
    visible = set.union(*(pair.sight.sees(frame) for frame in FRAMES.values()))
    for address, body in (
        ("/api/pipes/trace", {"question": question, "start": [place]}),
        ("/api/pipes/isolation", {"burst": [place]}),
    ):
        whole, _ = pair.both(address, body)
        named = set(re.findall(r'"([PN]\d{4})"', whole.text))
        assert named <= visible
        if place["code"] not in visible:
            assert whole.status_code in {403, 404}
