"""La Serena – Coquimbo, Chile, the default city at district scale: streets, zones with population and bus stops."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely

from data.frames import LONLAT, frame_of
from data.packs.city import CityFacts, Given, Pack, PackUnreadable, Piece, real
from data.packs.simulation import Simulation, communities
from data.streets import DEFAULT_SPEED_KMH, RANK, ROAD_CLASS
from data.wheels import unpacked
from gis_core import crs

_ROADS: Final = """
    SELECT link_id, CAST(a_node AS TEXT) AS a_node, CAST(b_node AS TEXT) AS b_node, CAST(osm_id AS TEXT) AS osm_id,
           link_type, name, direction, lanes_ab, lanes_ba, speed_ab, speed_ba, geometry
    FROM links WHERE link_type <> 'centroid_connector' ORDER BY link_id
"""
_TOWN: Final = "001"
_BOTH_WAYS: Final = 0


def pieces(pack: Pack, given: Given) -> Iterator[Piece]:
    """The pieces; the wheel is fetched when the first is asked for."""
    facts = pack.facts
    network, transit = facts.origins["network"], facts.origins["transit"]
    if network.wheel is None:
        raise PackUnreadable("The pack of coquimbo names no package for its network.")
    with unpacked(network.wheel, given.home, given.data) as archive_path, zipfile.ZipFile(archive_path) as archive:
        database = Path(archive.extract("project_database.sqlite", archive_path.parent))
        zones = read_zones(database, facts)
        yield real("admin_areas", zones, "分区与人口 Zones with population", network)
        roads = read_roads(database, facts)
        yield real("roads", roads, "道路 Roads", network)
        with archive.open("gtfs_coquimbo.zip") as feed:
            stops = read_stops(feed)
        yield real("transit_stops", stops, "公交站点 Bus stops", transit)
    yield from Simulation.of(facts, given, roads, communities(zones)).pieces()


def read_zones(database: Path, facts: CityFacts) -> gpd.GeoDataFrame:
    """The 133 zones as communities (level 3) and their union as the city (level 1)."""
    zones = pyogrio.read_dataframe(
        database, sql="SELECT zone_id, population, geometry FROM zones ORDER BY zone_id", sql_dialect="SQLITE"
    )
    areas = shapely.make_valid(np.asarray(zones.geometry))
    city = shapely.union_all(areas)
    number = zones["zone_id"].astype(int)
    return frame_of(
        [city, *areas],
        {
            "code": [facts.county, *(f"{facts.county}{_TOWN}{n:03d}" for n in number)],
            "name": [facts.title.en, *(f"Zona {n}" for n in number)],
            "level": [1, *[3] * len(zones)],
            "population": [int(zones["population"].sum()), *zones["population"].astype(int)],
        },
    )


def read_roads(database: Path, facts: CityFacts) -> gpd.GeoDataFrame:
    """Every link that is a street, once, drawn in the direction of travel where it is one-way."""
    links = pyogrio.read_dataframe(database, sql=_ROADS, sql_dialect="SQLITE")
    against = links["direction"] < _BOTH_WAYS
    both = links["direction"] == _BOTH_WAYS
    geometry = np.asarray(links.geometry)
    geometry = np.where(against, shapely.reverse(geometry), geometry)
    ahead = links["lanes_ab"].where(~against, links["lanes_ba"])
    back = links["lanes_ba"].where(both, 0).fillna(0)
    lanes = ahead.fillna(0) + back
    road_class = links["link_type"].map(ROAD_CLASS).fillna("residential")
    stated = links[["speed_ab", "speed_ba"]].max(axis=1)
    return frame_of(
        geometry,
        {
            "code": [f"L{n}" for n in links["link_id"].astype(int)],
            "name": links["name"].where(links["name"].notna(), None).astype(object),
            "road_class": road_class,
            "rank": road_class.map(RANK).astype(int),
            "lanes": lanes.where(lanes > 0).astype("Int64"),
            "speed_kmh": stated.where(stated > 0).fillna(road_class.map(DEFAULT_SPEED_KMH)).astype(float),
            "oneway": ~both,
            "bridge": False,
            "tunnel": False,
            "length_m": crs.lengths_m(geometry, facts.metric_crs).round(2),
            "osm_id": links["osm_id"].astype(object),
            "from_node": links["a_node"].where(~against, links["b_node"]).astype(object),
            "to_node": links["b_node"].where(~against, links["a_node"]).astype(object),
        },
    )


def read_stops(feed: Any) -> gpd.GeoDataFrame:
    """The stops of a GTFS feed with the number of routes that call at each (0: none does).

    `feed` is an open zip file. A route that runs both ways counts once.
    """
    with zipfile.ZipFile(feed) as archive:
        tables = {
            name: pd.read_csv(archive.open(f"{name}.txt"), dtype=str) for name in ("stops", "stop_times", "trips")
        }
    calls = tables["stop_times"][["trip_id", "stop_id"]].merge(tables["trips"][["trip_id", "route_id"]], on="trip_id")
    routes = calls.groupby("stop_id")["route_id"].nunique()
    stops = tables["stops"].drop_duplicates("stop_id")
    points = gpd.points_from_xy(stops["stop_lon"].astype(float), stops["stop_lat"].astype(float), crs=LONLAT)
    return frame_of(
        points,
        {
            "code": stops["stop_id"].to_numpy(),
            "name": stops["stop_name"].to_numpy(),
            "routes": stops["stop_id"].map(routes).fillna(0).astype(int).to_numpy(),
        },
    )
