"""Any OpenStreetMap extract as a city: its name from the file, its centre, bounds and metric system derived."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import geopandas as gpd

from data.osm import Extract, bounds_of, read_extract
from data.packs import openstreetmap
from data.packs.city import CityFacts, Given, Origin, Pack, Piece, real
from data.packs.simulation import MADE, Simulation, communities, extent_of
from data.streets import read_streets
from gis_core import Label, crs

ORIGIN: Final = Origin("OpenStreetMap", "ODbL-1.0", "© OpenStreetMap contributors (ODbL)")
_STEPS: Final = 14


def build(given: Given) -> Pack:
    """The pack of the extract that was given. Raises ExtractUnreadable."""
    path = given.osm or Path()
    facts = facts_of(path)
    return Pack(facts, facts.steps, lambda pack: tell(pack, given, read_extract(path), ORIGIN))


def facts_of(path: Path) -> CityFacts:
    """Name, centre, bounds, metric system and a zoom that shows the whole extract."""
    bounds = bounds_of(path)
    west, south, east, north = bounds
    name = re.sub(r"[^a-z0-9_]+", "_", path.name.casefold().split(".")[0]).strip("_") or "city"
    lon, lat = round((west + east) / 2, 6), round((south + north) / 2, 6)
    across = max(east - west, (north - south) / max(math.cos(math.radians(lat)), 0.1), 1e-4)
    title = path.name.split(".")[0]
    return CityFacts(
        name=name[:40],
        title=Label(title, title),
        center=(lon, lat),
        zoom=round(min(max(math.log2(360 / across) + 0.5, 3), 17), 1),
        bounds=bounds,
        datum="WGS 84",
        metric_crs=crs.metric_for(lon, lat),
        time_zone="UTC",
        attribution=(ORIGIN.attribution,),
        steps=_STEPS,
    )


def tell(
    pack: Pack,
    given: Given,
    extract: Extract,
    origin: Origin,
    areas: gpd.GeoDataFrame | None = None,
    have: Collection[str] = (),
) -> Iterator[Piece]:
    """The pieces of an extract, each layer for which it has anything; then the simulated ones.

    Without `areas` (rows of `admin_areas`, told by the caller) the city is its bounds. What the extract lacks is named
    in `pack.missing`; car parks, piles and bike stations are then made up too. Layers in `have` are left alone.
    """
    facts = pack.facts
    metric = facts.metric_crs
    if areas is None:
        areas = extent_of(facts)
        yield real("admin_areas", areas, "范围 Extent", origin)
    roads = read_streets(extract, metric)
    found = {
        "roads": (roads, "道路 Roads"),
        "buildings": (openstreetmap.read_buildings(extract, metric), "建筑物 Buildings"),
        "greens": (openstreetmap.read_greens(extract, metric), "绿地水系 Green and water"),
        "traffic_signals": (openstreetmap.read_signals(extract, roads, metric), "信号灯 Traffic signals"),
        "parking": (openstreetmap.read_parking(extract, metric), "停车场 Car parks"),
        "bike_stations": (openstreetmap.read_bike_stations(extract), "自行车站 Bike stations"),
        "charging_piles": (openstreetmap.read_charging_piles(extract), "充电桩 Charging piles"),
        "transit_stops": (openstreetmap.read_transit_stops(extract), "公交站点 Transit stops"),
        "cameras": (openstreetmap.read_cameras(extract), "视频点位 Cameras"),
    }
    for layer, (frame, what) in found.items():
        if layer in have:
            continue
        if len(frame):
            yield real(layer, frame, what, origin)
        else:
            pack.missing.append(f"The extract of {facts.name} has nothing for the layer {layer}.")
    lacking = [layer for layer in MADE if layer not in have and (layer not in found or not len(found[layer][0]))]
    wanted = [layer for layer in lacking if layer not in {"traffic_signals", "cameras"}]
    if not (wanted and facts.simulate):
        return
    simulation = Simulation.of(facts, given, roads, communities(areas), found["greens"][0])
    yield from simulation.pieces(wanted)
