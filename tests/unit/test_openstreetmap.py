"""OpenStreetMap extracts: a village in XML, where every rule of reading has a case."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import shapely

from data.osm import Extract, ExtractUnreadable, clip, read_extract
from data.packs import open_pack, openstreetmap
from data.packs.extract import facts_of
from data.streets import read_streets

METRIC = "EPSG:32635"
STEP = 0.002
NODES = {
    1: (0, 0, ""), 2: (1, 0, '<tag k="highway" v="traffic_signals"/>'), 3: (2, 0, ""), 4: (1, 1, ""), 5: (1, -1, ""),
    6: (0.5, 0.1, ""), 7: (3, 0, ""), 8: (2, 1, ""), 9: (2.05, 0.02, '<tag k="highway" v="traffic_signals"/>'),
    20: (4, 4, '<tag k="amenity" v="bicycle_rental"/><tag k="capacity" v="24"/><tag k="name" v="Tori"/>'),
    21: (4, 5, ('<tag k="amenity" v="charging_station"/><tag k="capacity" v="3"/>'
               '<tag k="socket:chademo:output" v="50 kW"/>')),
    22: (5, 5, '<tag k="amenity" v="parking"/><tag k="parking" v="underground"/>'),
    23: (5, 4, '<tag k="highway" v="bus_stop"/><tag k="name" v="Kauppatori"/>'),
    24: (5.5, 4, '<tag k="man_made" v="surveillance"/><tag k="camera:direction" v="90"/>'),
    31: (6, 0, ""), 32: (6.2, 0, ""), 33: (6.2, 0.2, ""), 34: (6, 0.2, ""),
}  # fmt: skip
WAYS = {
    100: ([1, 6, 2, 3], {"highway": "primary", "name": "Mannerheimintie", "maxspeed": "40", "lanes": "4"}),
    101: ([5, 2, 4], {"highway": "residential", "name": "Esplanadi", "oneway": "-1"}),
    102: ([3, 7], {"highway": "primary", "name": "Mannerheimintie", "bridge": "yes", "lanes": "2;3"}),
    103: ([3, 8], {"highway": "footway"}),
    104: ([7, 8], {"highway": "motorway", "maxspeed": "signals"}),
    105: ([4, 8], {"highway": "proposed"}),
    106: ([3, 9], {"highway": "secondary", "name": "Aleksanterinkatu", "tunnel": "yes"}),
    200: ([31, 32, 33, 34, 31], {"building": "apartments", "building:levels": "6", "addr:street": "Esplanadi",
                                 "addr:housenumber": "2"}),
    201: ([31, 32, 33, 31], {"building": "yes"}),
    202: ([31, 32, 34, 31], {"building": "church", "height": "62 m", "name": "Tuomiokirkko"}),
    203: ([31, 33, 34, 31], {"leisure": "park", "name": "Kaivopuisto"}),
    204: ([32, 33, 34, 32], {"amenity": "parking", "capacity": "60", "fee": "yes"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def village(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("osm") / "My Village-2024.osm"
    nodes = "".join(
        f'<node id="{n}" lon="{24.9 + x * STEP:.7f}" lat="{60.1 + y * STEP:.7f}" version="1">{tags}</node>'
        for n, (x, y, tags) in sorted(NODES.items())
    )
    ways = "".join(
        f'<way id="{w}" version="1">{"".join(f"""<nd ref="{r}"/>""" for r in refs)}'
        f'{"".join(f"""<tag k="{k}" v="{v}"/>""" for k, v in tags.items())}</way>'
        for w, (refs, tags) in WAYS.items()
    )
    path.write_text(f'<osm version="0.6">{nodes}{ways}</osm>', encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def extract(village: Path) -> Extract:
    return read_extract(village)


def test_streets_end_at_junctions_signals_and_changes(extract: Extract) -> None:
    roads = read_streets(extract, METRIC).set_index("code")
    assert roads.index.is_unique
    ends = {frozenset((row.from_node, row.to_node)): code for code, row in roads.iterrows()}
    assert set(ends) == {frozenset(e) for e in (
        ("1", "2"), ("2", "3"), ("4", "2"), ("2", "5"), ("3", "7"), ("3", "8"), ("7", "8"), ("3", "9"),
    )}  # fmt: skip
    avenue = roads.loc[ends[frozenset(("1", "2"))]]
    assert avenue["name"] == "Mannerheimintie"
    assert (avenue["road_class"], avenue["rank"], avenue["lanes"], avenue["speed_kmh"]) == ("primary", 3, 4, 40)
    assert not avenue["oneway"]
    assert len(avenue.geometry.coords) == 3, "a node between junctions is a vertex"
    assert avenue["osm_id"] == "100"
    bridge = roads.loc[ends[frozenset(("3", "7"))]]
    assert bridge["bridge"]
    assert bridge["lanes"] == 2
    assert roads.loc[ends[frozenset(("3", "9"))], "tunnel"]
    assert roads.loc[ends[frozenset(("3", "8"))], "road_class"] == "path"
    motorway = roads.loc[ends[frozenset(("7", "8"))]]
    assert motorway["oneway"]
    assert motorway["speed_kmh"] == 100


def test_a_one_way_street_against_its_way_is_drawn_in_the_direction_of_travel(extract: Extract) -> None:
    roads = read_streets(extract, METRIC)
    against = roads[roads["name"] == "Esplanadi"]
    assert set(zip(against["from_node"], against["to_node"], strict=True)) == {("4", "2"), ("2", "5")}
    assert against["oneway"].all()
    first = against[against["from_node"] == "4"].geometry.iloc[0]
    assert first.coords[0] == pytest.approx(extract.places[4])


def test_reading_again_gives_the_same_rows(village: Path, extract: Extract) -> None:
    assert read_streets(extract, METRIC).equals(read_streets(read_extract(village), METRIC))


def test_heights_are_tagged_counted_or_said_to_be_estimated(extract: Extract) -> None:
    rows = openstreetmap.read_buildings(extract, METRIC).set_index("code")
    assert rows.loc["w200", "height_m"] == pytest.approx(6 * 3.2 + 1)
    assert rows.loc["w200", "address"] == "Esplanadi 2"
    assert rows.loc["w202", "height_m"] == 62
    assert rows.loc["w202", "name"] == "Tuomiokirkko"
    assert "estimated" in rows.loc["w201", "use"]
    assert "estimated" not in rows.loc["w200", "use"]
    assert (rows["footprint_m2"] > 100).all()


def test_what_stands_by_the_road(extract: Extract) -> None:
    bikes = openstreetmap.read_bike_stations(extract).iloc[0]
    assert (bikes["name"], bikes["docks"]) == ("Tori", 24)
    piles = openstreetmap.read_charging_piles(extract)
    assert piles["serial"].tolist() == ["n21-1", "n21-2", "n21-3"]
    assert set(piles["kind"]) == {"fast"}
    assert set(piles["power_kw"]) == {50.0}
    parking = openstreetmap.read_parking(extract, METRIC).set_index("code")
    assert parking.loc["n22", "kind"] == "underground"
    assert parking.loc["w204", "bays"] == 60
    assert parking.loc["w204", "fee"] == "收费 paid"
    assert openstreetmap.read_transit_stops(extract)["name"].tolist() == ["Kauppatori"]
    assert openstreetmap.read_cameras(extract)["direction"].tolist() == ["90"]
    greens = openstreetmap.read_greens(extract, METRIC)
    assert greens["kind"].tolist() == ["park"]


def test_signals_near_one_another_are_one_junction_named_by_its_streets(extract: Extract) -> None:
    roads = read_streets(extract, METRIC)
    signals = openstreetmap.read_signals(extract, roads, METRIC)
    assert len(signals) == 2
    named = dict(zip(signals["code"], signals["name"], strict=True))
    assert named["n2"] == "Mannerheimintie / Esplanadi"


def test_an_extract_can_be_cut(extract: Extract) -> None:
    west = shapely.box(24.8, 60.0, 24.9 + 1.5 * STEP, 60.3)
    cut = clip(extract, west)
    assert {way.id for way in cut.ways} == {100, 101, 105}
    assert not cut.areas
    assert not cut.points or all(shapely.contains(west, p.geometry) for p in cut.points)


def test_an_extract_alone_is_a_city(village: Path, tmp_path: Path) -> None:
    facts = facts_of(village)
    assert facts.name == "my_village_2024"
    assert facts.metric_crs == "EPSG:32635"
    west, south, east, north = facts.bounds
    assert west < facts.center[0] < east
    assert south < facts.center[1] < north
    assert math.isclose(east - west, 6.2 * STEP, abs_tol=1e-6)
    pack = open_pack("", home=tmp_path, osm=village)
    pieces = {piece.layer: piece for piece in pack.pieces()}
    assert not pieces["roads"].simulated
    assert pieces["pipe_segments"].simulated
    assert "模拟" in pieces["pipe_segments"].title
    assert "bike_stations" in pieces
    assert not pieces["bike_stations"].simulated


def test_a_place_in_china_gets_its_gauss_kruger_zone(tmp_path: Path) -> None:
    path = tmp_path / "beijing.osm"
    node = '<node id="{}" lon="{}" lat="{}" version="1"/>'
    path.write_text(
        f'<osm version="0.6">{node.format(1, 116.3, 39.7)}{node.format(2, 116.5, 39.9)}</osm>', encoding="utf-8"
    )
    assert facts_of(path).metric_crs == "EPSG:4548"


def test_a_file_that_is_no_extract_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.osm.pbf"
    broken.write_bytes(b"\x00\x00\x00\x0dnot a blob header at all")
    with pytest.raises(ExtractUnreadable, match="no OpenStreetMap extract"):
        open_pack("", home=tmp_path, osm=broken)
    with pytest.raises(ExtractUnreadable):
        read_extract(broken, (0, 0, 1, 1))
    empty = tmp_path / "empty.osm"
    empty.write_text('<osm version="0.6"></osm>', encoding="utf-8")
    with pytest.raises(ExtractUnreadable):
        facts_of(empty)


def test_daxing_takes_its_streets_from_an_extract(
    village: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    text = village.read_text(encoding="utf-8")
    moved = tmp_path / "beijing.osm"
    moved.write_text(text.replace('lon="24.9', 'lon="116.4').replace('lat="60.1', 'lat="39.7'), encoding="utf-8")
    pack = open_pack("daxing", home=tmp_path, osm=moved)
    pieces = list(pack.pieces())
    assert [piece.layer for piece in pieces].count("admin_areas") == 1
    streets = next(piece for piece in pieces if piece.layer == "roads")
    assert "Mannerheimintie" in set(streets.frame["name"])
    cells = next(piece for piece in pieces if piece.layer == "grid_cells").frame
    assert cells["code"].str.startswith("110115001").all()
    assert not any("--osm" in line for line in pack.missing)
