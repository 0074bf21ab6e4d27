"""Coordinate systems: every word a file may use and every mistake a surveyor makes, where the answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import pyproj
import pytest
import shapely

from gis_core import crs
from gis_core.crs import Datum, LocalGrid, Source, UnknownCrs, Unreachable, Zone, declare, to_lonlat, zones
from gis_core.crs import china as china_datums
from gis_core.crs.china import OutsideChina
from gis_core.crs.faults import Finding, diagnose, guess_datum, mend

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
CAMERAS = SHARED / "cameras" / "daxing_traffic_cameras_wgs84.geojson"
STREETS = SHARED / "roads" / "daxing_brn_graph_wgs84.gpkg"
DAXING = (116.21, 39.44, 116.72, 39.83)
LA_SERENA = (-71.45, -30.1, -71.1, -29.8)


def _city_points(count: int = 50) -> crs.Geometries:
    rng = np.random.default_rng(7)
    return np.asarray(shapely.points(rng.uniform(116.25, 116.7, count), rng.uniform(39.5, 39.8, count)))


def _written_in(code: str, *, swapped: bool = False) -> crs.Geometries:
    """The city's points as a file in `code` would hold them."""
    points = crs.to_metric(_city_points(), code)
    return np.asarray(shapely.transform(points, lambda c: c[:, ::-1])) if swapped else points


@pytest.mark.parametrize(
    ("text", "datum", "code"),
    [
        ("WGS84", Datum.WGS84, "EPSG:4326"),
        ("wgs 84", Datum.WGS84, "EPSG:4326"),
        ("CGCS2000", Datum.CGCS2000, "EPSG:4490"),
        ("国家2000", Datum.CGCS2000, "EPSG:4490"),
        ("GCJ-02", Datum.GCJ02, "EPSG:4326"),
        ("gcj02", Datum.GCJ02, "EPSG:4326"),
        ("BD-09", Datum.BD09, "EPSG:4326"),
        ("EPSG:4548", Datum.CGCS2000, "EPSG:4548"),
        (4548, Datum.CGCS2000, "EPSG:4548"),
        ("CGCS2000 3-degree zone 39", Datum.CGCS2000, "EPSG:4527"),
        ("CGCS2000 3度带 39带", Datum.CGCS2000, "EPSG:4527"),
        ("CGCS2000 CM 117E", Datum.CGCS2000, "EPSG:4548"),
        ("国家2000 中央经线117°", Datum.CGCS2000, "EPSG:4548"),
        ("CGCS2000 / 3-degree Gauss-Kruger CM 117E", Datum.CGCS2000, "EPSG:4548"),
        ("CGCS2000 6度带 20带", Datum.CGCS2000, "EPSG:4498"),
        ("Xian80 zone 20", Datum.XIAN80, "EPSG:2334"),
        ("北京54 3度带 第39带", Datum.BEIJING54, "EPSG:2415"),
        ("EPSG:32719", Datum.WGS84, "EPSG:32719"),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", Datum.WGS84, "OGC:CRS84"),
        (pyproj.CRS(4527).to_wkt("WKT1_ESRI"), Datum.CGCS2000, "EPSG:4527"),
    ],
)
def test_declares(text: object, datum: Datum, code: str) -> None:
    source = declare(text)
    assert (source.datum, source.crs) == (datum, code)


@pytest.mark.parametrize(
    "text",
    [
        None, "", "  ", "nonsense", "EPSG:999999", "9" * 30, "EPSG:4978", "EPSG:3855", "a" * 30_000, "CGCS2000 zone 46",
        "CGCS2000 6-degree zone 39", "CGCS2000 CM 118E", "+proj=longlat +datum=WGS84 +nadgrids=/etc/passwd",
        "+init=/etc/passwd:1", "GEOGCS[broken", "null\x00byte", {"type": "name"},
    ],
)  # fmt: skip
def test_refuses_what_it_does_not_know(text: object) -> None:
    with pytest.raises(UnknownCrs):
        declare(text)


def test_refusal_names_what_was_given_and_what_is_accepted() -> None:
    with pytest.raises(UnknownCrs, match=r"'Mars 2000'.*GCJ-02.*EPSG"):
        declare("Mars 2000")


@pytest.mark.parametrize("series", sorted(zones._SERIES, key=str), ids=lambda s: f"{s[0]}-{s[1]}-{s[2]}")
def test_every_zone_has_the_code_that_epsg_gives_it(series: tuple[Datum, int, bool]) -> None:
    datum, width, prefixed = series
    for number in range(zones._FIRST[width], zones._LAST[width] + 1):
        zone = Zone(datum, width, number, prefixed)
        known = pyproj.CRS.from_epsg(zone.epsg)
        value = {p.name: p.value for p in known.coordinate_operation.params}
        assert value["Longitude of natural origin"] == zone.meridian
        assert value["False easting"] == 500_000 + (number * 1_000_000 if prefixed else 0)
        assert declare(f"EPSG:{zone.epsg}").datum is datum
        read_back = crs.zone_source(zone).zone
        assert read_back is not None
        assert (read_back.meridian, read_back.prefixed) == (zone.meridian, prefixed)


def test_gcj02_matches_the_published_pair_for_daxing() -> None:
    """A camera's GCJ-02 place and its WGS 84 place in an independently made file, to its six decimals."""
    lon, lat = china_datums.gcj02_to_wgs84(np.array([116.544414]), np.array([39.805864]))
    assert lon[0] == pytest.approx(116.538555, abs=1.5e-6)
    assert lat[0] == pytest.approx(39.804756, abs=1.5e-6)


def test_gcj02_outside_china_is_an_error_that_names_the_row() -> None:
    with pytest.raises(OutsideChina) as refused:
        china_datums.gcj02_to_wgs84(np.array([116.4, -71.3]), np.array([39.9, -29.9]))
    assert [p.row for p in refused.value.problems] == [2]
    with pytest.raises(Unreachable) as unreachable:
        to_lonlat(np.asarray(shapely.points([[116.4, 39.9], [-71.3, -29.9]])), declare("GCJ-02"))
    assert [p.row for p in unreachable.value.problems] == [2]


@pytest.mark.parametrize(
    "code", ["EPSG:4548", "EPSG:4527", "EPSG:4508", "EPSG:4498", "EPSG:32650", "EPSG:3857", "EPSG:4326"]
)
def test_brings_a_projected_file_home(code: str) -> None:
    home = to_lonlat(_written_in(code), declare(code))
    assert shapely.get_coordinates(home) == pytest.approx(shapely.get_coordinates(_city_points()), abs=1e-9)


@pytest.mark.parametrize("datum", ["GCJ-02", "BD-09"])
def test_brings_a_shifted_file_home(datum: str) -> None:
    true = _city_points()
    lon, lat = china_datums.wgs84_to_gcj02(*shapely.get_coordinates(true).T)
    if datum == "BD-09":
        lon, lat = china_datums.gcj02_to_bd09(lon, lat)
    home = to_lonlat(np.asarray(shapely.points(lon, lat)), declare(datum))
    assert shapely.get_coordinates(home) == pytest.approx(shapely.get_coordinates(true), abs=1e-9)


def test_heights_stay() -> None:
    pair = np.array([shapely.LineString([(5e5, 4.4e6, 12.5), (5.001e5, 4.4e6, 11.0)]), shapely.Point(5e5, 4.4e6)])
    home = to_lonlat(pair, declare("EPSG:4548"))
    assert shapely.get_coordinates(home[:1], include_z=True)[:, 2].tolist() == [12.5, 11.0]
    assert not shapely.has_z(home[1])


def test_local_grid_goes_through_its_base() -> None:
    grid = LocalGrid("daxing-local", 1, 0, 450_000, 0, 1, 4_390_000, "EPSG:4548")
    source = declare("daxing-local", {"daxing-local": grid})
    local = shapely.transform(_written_in("EPSG:4548"), lambda c: c - [450_000, 4_390_000])
    assert shapely.get_coordinates(to_lonlat(np.asarray(local), source)) == pytest.approx(
        shapely.get_coordinates(_city_points()), abs=1e-9
    )
    assert source.tag == "CGCS2000 (daxing-local)"


def test_flat_local_grid_is_refused() -> None:
    with pytest.raises(UnknownCrs, match="cannot be inverted"):
        LocalGrid("flat", 1, 2, 0, 2, 4, 0, "EPSG:4548")


def test_none_empty_and_impossible_rows() -> None:
    rows = np.array([None, shapely.Point(), shapely.Point(5e5, 4.4e6), shapely.Point(1e12, 1e12)], dtype=object)
    assert crs.unreachable(rows, declare("EPSG:4548")).tolist() == [False, False, False, True]
    home = to_lonlat(rows[:3], declare("EPSG:4548"))
    assert home[0] is None
    assert home[1].is_empty


def test_mercator_is_projs_to_a_micrometre() -> None:
    rng = np.random.default_rng(3)
    lon, lat = rng.uniform(-180, 180, 20_000), rng.uniform(-85.05, 85.05, 20_000)
    x, y = crs.mercator(lon, lat)
    there = pyproj.Transformer.from_crs(4326, 3857, always_xy=True).transform(lon, lat)
    assert np.abs(x - there[0]).max() < 1e-6
    assert np.abs(y - there[1]).max() < 1e-6


def test_metres_agree_with_the_ellipsoid() -> None:
    line = shapely.LineString([(116.5, 39.6), (116.51, 39.61)])
    area = shapely.box(116.5, 39.6, 116.51, 39.61)
    geod, metric = pyproj.Geod(ellps="GRS80"), crs.gauss_kruger(116.5)
    both = np.array([line, area], dtype=object)
    assert metric == "EPSG:4548"
    assert crs.lengths_m(both, metric)[0] == pytest.approx(geod.geometry_length(line), rel=1e-4)
    assert crs.areas_m2(both, metric)[1] == pytest.approx(abs(geod.geometry_area_perimeter(area)[0]), rel=2e-4)


@pytest.mark.parametrize(
    ("lon", "lat", "expected"),
    [(116.4, 39.6, "EPSG:4548"), (114.1, 22.5, "EPSG:4547"), (-71.3, -29.9, "EPSG:32719"), (24.9, 60.2, "EPSG:32635")],
)
def test_chooses_a_metric_system(lon: float, lat: float, expected: str) -> None:
    assert crs.metric_for(lon, lat) == expected


def test_no_zone_outside_china() -> None:
    with pytest.raises(UnknownCrs):
        crs.gauss_kruger(-71.3)
    assert crs.gauss_kruger(116.4, width=6) == "EPSG:4509"


def _only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1
    return findings[0]


@pytest.mark.parametrize(
    ("declared", "truly", "swapped", "kind", "named"),
    [
        ("EPSG:4326", "EPSG:4326", True, "swapped-axes", "EPSG:4326"),
        ("EPSG:4548", "EPSG:4548", True, "swapped-axes", "EPSG:4548"),
        ("EPSG:4548", "EPSG:4527", False, "zone-prefix", "EPSG:4527"),
        ("EPSG:4548", "EPSG:4527", True, "zone-prefix", "EPSG:4527"),
        ("EPSG:4548", "EPSG:4498", False, "zone-prefix", "EPSG:4498"),
        ("EPSG:4527", "EPSG:4548", False, "no-zone-prefix", "EPSG:4548"),
        ("EPSG:4527", "EPSG:4548", True, "no-zone-prefix", "EPSG:4548"),
        ("EPSG:4548", "EPSG:4326", False, "degrees-not-metres", "EPSG:4490"),
        ("EPSG:4548", "EPSG:4326", True, "degrees-not-metres", "EPSG:4490"),
        ("EPSG:4326", "EPSG:4548", False, "metres-not-degrees", "EPSG:4548"),
        ("EPSG:4326", "EPSG:4527", False, "zone-prefix", "EPSG:4527"),
        ("EPSG:4490", "EPSG:4547", True, "metres-not-degrees", "EPSG:4547"),
        ("EPSG:4326", "EPSG:3857", False, "metres-not-degrees", "EPSG:3857"),
        ("EPSG:4547", "EPSG:4548", False, "other-zone", "EPSG:4548"),
    ],
)
def test_recognises_and_mends(declared: str, truly: str, swapped: bool, kind: str, named: str) -> None:
    geoms, source = _written_in(truly, swapped=swapped), declare(declared)
    finding = _only(diagnose(geoms, source, DAXING))
    assert finding.kind == kind
    assert finding.source is not None
    assert finding.source.crs == named
    assert finding.swapped is swapped
    assert finding.rows.size == len(geoms)
    if kind != "swapped-axes":
        assert named in finding.zh
        assert named in finding.en
    mended = mend(geoms, source, [finding])
    assert shapely.get_coordinates(mended.geoms) == pytest.approx(shapely.get_coordinates(_city_points()), abs=1e-8)


@pytest.mark.parametrize("declared", ["EPSG:4326", "EPSG:4548", "EPSG:4527", "EPSG:32650", "GCJ-02"])
def test_a_right_file_has_no_findings(declared: str) -> None:
    source = declare(declared)
    assert diagnose(_written_in(source.crs), source, DAXING) == []
    assert diagnose(_written_in(source.crs), source, None) == []


def test_without_a_city_the_prefix_still_tells() -> None:
    assert _only(diagnose(_written_in("EPSG:4527"), declare("EPSG:4548"), None)).kind == "zone-prefix"
    assert _only(diagnose(_written_in("EPSG:4326", swapped=True), declare("WGS84"), None)).kind == "swapped-axes"


def test_only_the_rows_at_fault_are_mended_and_strangers_are_told() -> None:
    geoms = _city_points()
    geoms[[3, 9]] = shapely.transform(geoms[[3, 9]], lambda c: c[:, ::-1])
    geoms[20], geoms[21] = shapely.Point(0, 0), None
    findings = diagnose(geoms, declare("WGS84"), DAXING)
    assert [(f.kind, f.rows.tolist()) for f in findings] == [("swapped-axes", [3, 9]), ("far", [20])]
    mended = mend(geoms, declare("WGS84"), findings)
    assert [f.kind for f in mended.done] == ["swapped-axes"]
    assert [f.kind for f in mended.left] == ["far"]
    rest = np.setdiff1d(np.arange(50), [20, 21])
    assert shapely.get_coordinates(mended.geoms[rest]) == pytest.approx(
        shapely.get_coordinates(_city_points()[rest]), abs=1e-12
    )
    assert "2 行" in findings[0].zh


def test_a_few_rows_of_another_town_are_not_taken_for_another_zone() -> None:
    geoms = np.concatenate(
        [_written_in("EPSG:4548"), shapely.transform(_written_in("EPSG:4548")[:3], lambda c: c - [255_000, 0])]
    )
    assert _only(diagnose(geoms, declare("EPSG:4548"), DAXING)).kind == "far"


def test_swapped_axes_in_the_southern_hemisphere() -> None:
    points = np.asarray(shapely.points([[-29.9, -71.3], [-29.95, -71.2]]))
    assert _only(diagnose(points, declare("WGS84"), LA_SERENA)).kind == "swapped-axes"


def test_points_by_invented_streets_name_their_datum() -> None:
    rng = np.random.default_rng(11)
    lon, lat = rng.uniform(116.3, 116.5, 400), rng.uniform(39.6, 39.75, 400)
    bend = np.stack([np.column_stack([lon, lat]), np.column_stack([lon + 0.0008, lat + 0.0005])], axis=1)
    streets, points = np.asarray(shapely.linestrings(bend)), (lon, lat)
    shifted = {Datum.WGS84: points, Datum.GCJ02: china_datums.wgs84_to_gcj02(*points)}
    shifted[Datum.BD09] = china_datums.gcj02_to_bd09(*shifted[Datum.GCJ02])
    for datum, (x, y) in shifted.items():
        guess = guess_datum(np.asarray(shapely.points(x, y)), streets)
        assert guess.datum is datum
        assert guess.medians_m[datum] < 1e-3
    assert guess_datum(np.asarray(shapely.points(lon + 0.05, lat)), streets[:5]).datum is None
    assert guess_datum(np.array([], dtype=object), streets).datum is None


@pytest.mark.shared
def test_daxing_cameras_are_known_for_gcj02() -> None:
    if not CAMERAS.exists() or not STREETS.exists():
        pytest.skip("the shared data of Daxing is not beside the project")
    _, _, _, (lon, lat) = pyogrio.raw.read(CAMERAS, columns=["lon_gcj02", "lat_gcj02"], read_geometry=False)
    streets = shapely.from_wkb(pyogrio.raw.read(STREETS, layer="edges", columns=[])[2])
    west, south, east, north = shapely.total_bounds(streets)
    near = (lon > west) & (lon < east) & (lat > south) & (lat < north)
    guess = guess_datum(np.asarray(shapely.points(lon[near], lat[near])), streets)
    assert guess.datum is Datum.GCJ02
    others = min(guess.medians_m[Datum.WGS84], guess.medians_m[Datum.BD09])
    assert guess.medians_m[Datum.GCJ02] < 0.2 * others


def test_tag_says_the_datum() -> None:
    assert Source("x", Datum.GCJ02, crs.LONLAT).tag == "GCJ-02"
    assert declare("EPSG:4548").tag == "CGCS2000 (EPSG:4548)"
    assert not declare("EPSG:2415").shift_published
    assert declare("EPSG:4548").shift_published
