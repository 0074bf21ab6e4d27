"""Whatever is thrown at ingest: a report or a city error, every row good or refused, and what is stored comes back."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shapely
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import layers
from gis_core import crs
from gis_core.database import Database
from gis_core.errors import CityError
from gis_core.ingest import Mode, Source, ingest_file, ingest_frame
from gis_core.ingest.batches import Batch
from gis_core.ingest.columns import match
from gis_core.ingest.foreign import open_foreign
from gis_core.ingest.intake import Intake
from gis_core.ingest.unpacking import ENDINGS

LAYERS = layers.load()
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
LIKELY = st.sampled_from(
    ["water", "给水", "YS", "A1", "300", "1.5", "", " ", "=1+1", "\0", "1e400", "是", "2024-01-01", "-", "９", "\ud800"]
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.binary(max_size=8), LIKELY,
    st.lists(st.integers(), max_size=2),
)  # fmt: skip
FEATURE = b'{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"code":"a","name":"b"},"geometry":'
STARTS = [
    b"",
    b"PK\x03\x04",
    b"SQLite format 3\0" + bytes(52) + b"GPKG",
    b"PAR1",
    b"\x00\x00\x27\x0a",
    b"lon,lat,code,name\n",
    FEATURE,
]
DEGREES = st.floats(-200, 200) | st.sampled_from([116.3, 39.6, float("nan"), float("inf"), 5e6])


def line(points: list[tuple[float, float]]) -> Any:
    with np.errstate(all="ignore"):
        return shapely.LineString(points)


GEOMETRIES = st.one_of(
    st.none(),
    st.builds(shapely.Point, st.floats(-180, 180), st.floats(-90, 90)),
    st.builds(line, st.lists(st.tuples(DEGREES, DEGREES), min_size=2, max_size=5)),
    st.builds(shapely.box, st.floats(-180, 0), st.floats(-90, 0), st.floats(0.1, 180), st.floats(0.1, 90)),
    st.sampled_from([shapely.Point(), shapely.MultiLineString(), shapely.GeometryCollection()]),
)


@st.composite
def frames(draw: st.DrawFn) -> tuple[str, gpd.GeoDataFrame]:
    """A layer, and a frame with its columns and any values."""
    name = draw(st.sampled_from(sorted(LAYERS)))
    count = draw(st.integers(0, 6))
    rows = st.lists(SCALARS, min_size=count, max_size=count)
    columns = {field: draw(rows) for field in LAYERS[name].fields if draw(st.integers(0, 9))}
    geometry = np.empty(count, object)
    geometry[:] = draw(st.lists(GEOMETRIES, min_size=count, max_size=count))
    frame = gpd.GeoDataFrame({k: pd.Series(v, dtype=object) for k, v in columns.items()}, geometry=geometry)
    return name, frame.set_crs(draw(st.sampled_from([None, 4326, 3857])), allow_override=True)


@pytest.fixture(scope="module")
def city(cluster: Any, template: str) -> Iterator[Database]:
    """One database for all examples: what one stored is there for the next."""
    cluster.create_database("any_ingest", template=template)
    opened = Database(cluster.url("any_ingest"), pool_size=2)
    yield opened
    opened.close()
    cluster.drop_database("any_ingest")


@QUICK
@given(made=frames(), mode=st.sampled_from(Mode), dry_run=st.booleans())
def test_any_frame_gets_a_report_in_which_every_row_counts_once(
    city: Database, made: tuple[str, gpd.GeoDataFrame], mode: Mode, dry_run: bool
) -> None:
    name, frame = made
    try:
        report = ingest_frame(city, LAYERS[name], frame, source=Source("any"), mode=mode, dry_run=dry_run)
    except CityError as error:
        refusal = error
    else:
        refusal = None
    if refusal is not None:
        assert refusal.problems
        return
    assert report.rows == len(frame)
    assert 0 <= report.accepted <= report.rows
    assert report.stored == (0 if dry_run or (report.faulty and mode is Mode.all_or_nothing) else report.accepted)
    assert len({p.row for p in report.problems if p.severity == "error"}) == report.refused
    assert all(p.row is None or 1 <= p.row <= report.rows for p in report.problems)


@QUICK
@given(
    ending=st.sampled_from(sorted(ENDINGS)),
    start=st.sampled_from(STARTS),
    rest=st.binary(max_size=300) | st.text(alphabet='0123456789.,[]{}":\n typecordinaPt', max_size=200).map(str.encode),
    datum=st.sampled_from([None, "WGS84", "EPSG:4548", "nonsense"]),
)
def test_any_bytes_get_a_report_or_a_city_error(
    city: Database, tmp_path_factory: pytest.TempPathFactory, ending: str, start: bytes, rest: bytes, datum: str | None
) -> None:
    path = tmp_path_factory.mktemp("any") / f"a{ending}"
    path.write_bytes(start + rest)
    try:
        report = ingest_file(city, LAYERS["cameras"], path, datum=datum, mode=Mode.good_rows, dry_run=True)
    except CityError as error:
        assert str(path.parent) not in error.detail  # noqa: PT017  nothing of this machine is told
        return
    assert report.accepted + report.refused == report.rows


@QUICK
@given(data=st.data())
def test_a_damaged_file_gets_a_report_or_a_city_error(
    city: Database, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    name, whole = data.draw(st.sampled_from(sorted(_samples(tmp_path_factory).items())))
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_bytes(damaged)
    try:
        report = ingest_file(city, LAYERS["cameras"], path, datum=None, mode=Mode.good_rows, dry_run=True)
    except CityError:
        return
    assert report.accepted + report.refused == report.rows


_MADE: dict[str, bytes] = {}


def _samples(factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small good file of each format."""
    if not _MADE:
        folder: Path = factory.mktemp("samples")
        points = gpd.points_from_xy([116.3, 116.31], [39.6, 39.61])
        frame = gpd.GeoDataFrame({"code": ["a", "b"], "name": ["甲", "乙"]}, geometry=points, crs="EPSG:4326")
        frame.to_file(folder / "a.gpkg")
        frame.to_file(folder / "a.geojson")
        frame.to_parquet(folder / "a.parquet")
        (folder / "shape").mkdir()
        frame.to_file(folder / "shape" / "a.shp", encoding="utf-8")
        zipped = io.BytesIO()
        with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
            for part in (folder / "shape").iterdir():
                archive.write(part, part.name)
        _MADE["a.zip"] = zipped.getvalue()
        _MADE.update((p.name, p.read_bytes()) for p in folder.iterdir() if p.is_file())
        for name, content in _MADE.items():
            (folder / name).write_bytes(content)
            with open_foreign(folder / name) as foreign:
                assert sum(len(b.geometries) for b in foreign.read(foreign.columns)) == 2
    return _MADE


@QUICK
@given(values=st.lists(st.one_of(st.binary(max_size=60), st.none()), max_size=8), kind=st.sampled_from(sorted(LAYERS)))
def test_any_wkb_is_a_geometry_or_a_problem(values: list[bytes | None], kind: str) -> None:
    layer = LAYERS[kind]
    columns = {n: pa.array([f"{i}" for i in range(len(values))]) for n in layer.fields}
    intake = Intake(layer, match(layer, list(columns)), crs.declare("WGS84"))
    list(intake.runs(iter([Batch(columns, pa.array(values, pa.binary()))])))
    intake.finish()
    assert len({p.row for p in intake.tally.problems if p.severity == "error"}) == intake.rows - intake.good


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).filter(lambda s: s.strip() == s)
NUMBER = st.floats(0.5, 49)


@QUICK
@given(
    rows=st.lists(
        st.tuples(TEXT, st.sampled_from(["water", "gas", "heat"]), NUMBER, NUMBER, st.none() | st.integers(1850, 2100)),
        min_size=1,
        max_size=5,
        unique_by=lambda row: row[0],
    ),
    x=st.floats(-170, 170),
    y=st.floats(-80, 80),
)
def test_what_is_stored_comes_back(city: Database, rows: list[tuple[Any, ...]], x: float, y: float) -> None:
    codes, classes, starts, ends, years = (list(column) for column in zip(*rows, strict=True))
    lines = [shapely.LineString([(x, y), (x + 0.001 * (i + 1), y)]) for i in range(len(rows))]
    frame = gpd.GeoDataFrame(
        {"code": codes, "pipe_class": classes, "diameter_mm": 100.0, "start_depth_m": starts, "end_depth_m": ends}
        | {"built_year": np.array(years, object), "owner": codes},
        geometry=lines,
        crs="EPSG:4326",
    )
    report = ingest_frame(city, LAYERS["pipe_segments"], frame, source=Source("any"))
    assert (report.stored, report.problems) == (len(rows), ())
    table = LAYERS["pipe_segments"].model.__table__
    chosen = (table.c.code, table.c.pipe_class, table.c.start_depth_m, table.c.end_depth_m, table.c.built_year)
    with city.engine.connect() as connection:
        wkb = sa.func.ST_AsBinary(sa.type_coerce(table.c.geom, sa.types.NullType()))
        found = connection.execute(sa.select(*chosen, table.c.owner, wkb).where(table.c.code.in_(codes))).all()
    back = {row.code: (row.pipe_class.name, *row[2:6], bytes(row[6])) for row in found}
    assert back == {
        code: (kind, start, end, year, code, shapely.to_wkb(geometry))
        for code, kind, start, end, year, geometry in zip(codes, classes, starts, ends, years, lines, strict=True)
    }
