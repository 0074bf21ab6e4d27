"""Whatever a filter says, it is compiled or refused; nothing that it holds becomes SQL text."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import geopandas as gpd
import pytest
import shapely
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

import layers
from gis_core.access import Role, Viewer, visible
from gis_core.crs.uris import CRS84, find
from gis_core.database import Database
from gis_core.errors import BadInput
from gis_core.features import page
from gis_core.filters import compile_filter, parse
from gis_core.ingest import Source, ingest_frame
from gis_core.queries import Query, read_query

LAYER = layers.load()["pipe_segments"]
BLIND = Viewer(Role.wall)
LONLAT = find(CRS84, None)

names = st.sampled_from(
    [
        "code",
        "pipe_class",
        "diameter_mm",
        "built_year",
        "material",
        "owner",
        "simulated",
        "updated_at",
        "geom",
        "x",
        "id",
    ]
)
numbers = st.one_of(st.integers(-(10**20), 10**20), st.floats(allow_nan=False, allow_infinity=False))
texts = st.text(max_size=12)
moments = st.one_of(
    st.datetimes().map(lambda d: {"timestamp": d.isoformat() + "Z"}),
    st.dates().map(lambda d: {"date": d.isoformat()}),
    texts.map(lambda t: {"timestamp": t}),
    st.lists(st.one_of(st.just(".."), st.dates().map(str), texts), min_size=0, max_size=3).map(
        lambda i: {"interval": i}
    ),
)
places = st.tuples(st.floats(-400, 400), st.floats(-200, 200)).map(list)
shapes = st.one_of(
    places.map(lambda p: {"type": "Point", "coordinates": p}),
    st.lists(places, max_size=5).map(lambda p: {"type": "LineString", "coordinates": p}),
    st.lists(places, max_size=6).map(lambda p: {"type": "Polygon", "coordinates": [[*p, *p[:1]]]}),
    st.lists(st.floats(-200, 200), max_size=7).map(lambda b: {"bbox": b}),
    st.recursive(numbers, lambda inner: st.lists(inner, max_size=3)).map(
        lambda c: {"type": "Polygon", "coordinates": c}
    ),
)
operators = st.sampled_from(
    ["and", "or", "not", "=", "<>", "<", ">=", "between", "in", "like", "isNull", "casei", "accenti", "+", "-", "*",
     "/", "^", "%", "div", "s_intersects", "s_within", "s_disjoint", "s_touches", "s_equals", "s_nothing", "t_after",
     "t_during", "t_intersects", "t_meets", "t_nothing", "pg_sleep", "set_config", "version", ""]
)  # fmt: skip
leaves = st.one_of(names.map(lambda n: {"property": n}), numbers, texts, st.booleans(), st.none(), moments, shapes)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(operators, st.lists(inner, max_size=4)).map(lambda t: {"op": t[0], "args": t[1]}),
        st.lists(inner, max_size=3),
    ),
    max_leaves=12,
)
words = st.lists(
    st.sampled_from(
        ["code", "diameter_mm", "geom", "updated_at", "AND", "OR", "NOT", "=", "<>", "(", ")", ",", "'a'", "1",
         "-1.5e3", "LIKE", "IN", "BETWEEN", "IS", "NULL", "CASEI(", "S_INTERSECTS(", "POINT(1 2)", "BBOX(1,2,3,4)",
         "T_AFTER(", "DATE('2026-01-01')", "INTERVAL('..','2026-01-01')", "+", "*", "/", "TRUE", '"code"', ";",
         "--", "'"]
    ),
    max_size=14,
).map(" ".join)  # fmt: skip


parameters = st.sampled_from(
    ["bbox", "datetime", "limit", "cursor", "crs", "sortby", "properties", "code", "diameter_mm", "updated_at",
     "simulated", "filter", "f", "zz"]
)  # fmt: skip


def compiled(text: str, language: str, viewer: Viewer = BLIND) -> Any:
    rows = visible(LAYER, viewer)
    return sa.select(rows.c.id).where(compile_filter(parse(text, language), rows, LAYER, viewer, LONLAT))


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=80), words))
@example("code = 'x' AND")
@example("\ud800")
def test_any_text_is_compiled_or_refused(text: str) -> None:
    with suppress(BadInput):
        compiled(text, "cql2-text")


@settings(max_examples=600, deadline=None)
@given(trees)
def test_any_tree_is_compiled_or_refused(tree: Any) -> None:
    try:
        query = compiled(json.dumps(tree), "cql2-json")
    except BadInput:
        return
    assert "material" not in str(query.whereclause)
    assert "pg_sleep" not in str(query)


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=40))
def test_a_literal_is_always_bound(literal: str) -> None:
    marked = f"zq{literal}qz"
    tree = {"op": "=", "args": [{"property": "code"}, marked]}
    try:
        query = compiled(json.dumps(tree), "cql2-json")
    except BadInput:
        return
    sql = query.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    assert marked not in str(sql)
    assert marked in sql.params.values()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(parameters, st.one_of(texts, words, numbers.map(str)))))
def test_any_parameters_are_read_or_refused(pairs: list[tuple[str, str]]) -> None:
    with suppress(BadInput):
        read_query(pairs, LAYER, BLIND, "EPSG:4548")


def _op(names: list[str], *args: Any) -> Any:
    return st.tuples(st.sampled_from(names), st.tuples(*args)).map(lambda t: {"op": t[0], "args": list(t[1])})


def _named(*columns: str) -> Any:
    return st.sampled_from([{"property": c} for c in columns])


numeric = st.recursive(
    st.one_of(_named("diameter_mm", "id", "length_m"), numbers),
    lambda inner: _op(["+", "-", "*", "/", "^", "%", "div"], inner, inner),
    max_leaves=5,
)
textual = st.recursive(
    st.one_of(_named("code", "pipe_class", "road_name"), texts.filter(lambda t: "\0" not in t)),
    lambda inner: _op(["casei", "accenti"], inner),
    max_leaves=2,
)
box = st.sampled_from([{"bbox": [116, 39, 117, 40]}, {"type": "Point", "coordinates": [116.3, 39.6]}])
temporal = st.one_of(_named("updated_at"), st.just({"date": "2026-01-01"}), st.just({"interval": ["..", "2026-01-01"]}))
SPATIAL = ["intersects", "within", "contains", "disjoint", "touches", "crosses", "overlaps", "equals"]
TEMPORAL = [
    "after",
    "before",
    "contains",
    "disjoint",
    "during",
    "equals",
    "finishedBy",
    "finishes",
    "intersects",
    "meets",
    "metBy",
    "overlappedBy",
    "overlaps",
    "startedBy",
    "starts",
]
comparisons = ["=", "<>", "<", "<=", ">", ">="]
conditions = st.recursive(
    st.one_of(
        st.booleans(),
        _named("simulated"),
        _op(comparisons, numeric, numeric),
        _op(comparisons, textual, textual),
        _op(["like"], textual, textual),
        _op(["between"], numeric, numeric, numeric),
        _op(["in"], textual, st.lists(textual, min_size=1, max_size=3)),
        _op(["isNull"], st.one_of(numeric, textual)),
        _op([f"s_{n}" for n in SPATIAL], _named("geom"), box),
        _op([f"t_{n}" for n in TEMPORAL], temporal, temporal),
    ),
    lambda inner: st.one_of(_op(["and", "or"], inner, inner), _op(["not"], inner)),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=conditions)
def test_what_is_compiled_the_database_computes_or_refuses(filled: Database, tree: Any) -> None:
    """Conditions whose parts fit: no operator may be missing for its arguments' types, none may break the answer."""
    query = Query(LONLAT, filter=parse(json.dumps(tree), "cql2-json"), filter_crs=LONLAT)
    with filled.reading(BLIND) as connection:
        try:
            matched = page(connection, LAYER, BLIND, query).matched
        except BadInput:
            return
    assert matched in range(3)


@pytest.fixture
def filled(database: Database) -> Database:
    """A database with two pipes."""
    frame = gpd.GeoDataFrame(
        {"code": ["a", "b"], "pipe_class": "gas", "diameter_mm": [100.0, 0.5e3], "start_depth_m": 1.0,
         "end_depth_m": 1.0, "owner": "A", "length_m": [None, 12.5], "road_name": ["Café", None]},
        geometry=[shapely.LineString([(116.3, 39.6), (116.31, 39.6)])] * 2, crs="EPSG:4326",
    )  # fmt: skip
    ingest_frame(database, LAYER, frame, source=Source("two pipes"))
    return database


@pytest.mark.parametrize("name", ["material", "built_year"])
def test_a_hidden_column_is_unknown(name: str) -> None:
    with pytest.raises(BadInput, match="no property"):
        compiled(f"{name} IS NULL", "cql2-text")
    compiled(f"{name} IS NULL", "cql2-text", Viewer(Role.operator))
