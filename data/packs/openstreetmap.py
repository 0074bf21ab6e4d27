"""What OpenStreetMap tags say of a city, as rows of the layers: buildings, greens, signals, parking and the like."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import geopandas as gpd
import numpy as np
import shapely

from data.frames import frame_from_rows, frame_of
from data.junctions import StreetNames, cluster
from data.osm import Extract, Thing
from gis_core import crs

FLOOR_M: Final = 3.2
_SAME_JUNCTION_M: Final = 35.0
_ESTIMATED: Final = "高度估算 estimated"
# Usual floors where neither height nor floors are tagged; ours, and marked as estimated in the row.
_FLOORS: Final = {
    "apartments": 5, "residential": 4, "house": 2, "detached": 2, "terrace": 2, "semidetached_house": 2, "garage": 1,
    "garages": 1, "shed": 1, "roof": 1, "kiosk": 1, "hut": 1, "carport": 1, "greenhouse": 1, "commercial": 4,
    "retail": 2, "office": 5, "hotel": 6, "industrial": 2, "warehouse": 2, "school": 3, "university": 4,
    "hospital": 5, "church": 5, "cathedral": 8, "train_station": 3, "public": 4, "civic": 4, "government": 4,
}  # fmt: skip
_GREEN: Final = {
    ("leisure", "park"): "park", ("leisure", "garden"): "park", ("leisure", "nature_reserve"): "park",
    ("leisure", "pitch"): "sport", ("leisure", "playground"): "sport", ("leisure", "sports_centre"): "sport",
    ("leisure", "stadium"): "sport", ("leisure", "golf_course"): "sport", ("landuse", "recreation_ground"): "park",
    ("landuse", "grass"): "grass", ("landuse", "meadow"): "grass", ("landuse", "village_green"): "grass",
    ("natural", "grassland"): "grass", ("natural", "scrub"): "grass", ("natural", "heath"): "grass",
    ("landuse", "cemetery"): "grass", ("landuse", "forest"): "forest", ("natural", "wood"): "forest",
    ("landuse", "farmland"): "farmland", ("landuse", "orchard"): "farmland", ("landuse", "vineyard"): "farmland",
    ("landuse", "farmyard"): "farmland", ("landuse", "allotments"): "farmland", ("natural", "water"): "water",
    ("waterway", "riverbank"): "water", ("landuse", "basin"): "water", ("landuse", "reservoir"): "water",
    ("natural", "bay"): "water",
}  # fmt: skip
_PARKING: Final = {
    "underground": "underground", "multi-storey": "garage", "rooftop": "garage", "garage_boxes": "garage",
    "street_side": "street", "lane": "street", "on_kerb": "street", "half_on_kerb": "street",
}  # fmt: skip
_BAYS: Final = {"surface": 20, "street": 10, "garage": 200, "underground": 150}
_BAY_M2: Final = 25.0
_DECKS: Final = {"garage": 4, "underground": 2}
_MOST: Final = {"bays": 20_000, "docks": 500, "piles": 40}
_RAIL_STOPS: Final = ("tram_stop", "station", "halt")
_FAST_KW, _SLOW_KW, _FAST_FROM_KW = 50.0, 22.0, 40.0
_PILE_GAP_DEGREES: Final = 3e-5
_TALLEST_M, _MOST_FLOORS = 1000.0, 200


def read_buildings(extract: Extract, metric_crs: str) -> gpd.GeoDataFrame:
    """Footprints with heights: as tagged, else by floors, else usual for the kind (`use` then says estimated)."""
    things = [a for a in extract.areas if a.tags.get("building", "no") != "no"]
    area = crs.areas_m2(_geometries(things), metric_crs)
    rows = []
    for thing, footprint_m2 in zip(things, area, strict=True):
        tags, kind = thing.tags, thing.tags["building"]
        floors, height = _number(tags.get("building:levels")), _number(tags.get("height"))
        said = height is not None or floors is not None
        if floors is None and height is None:
            floors = float(_FLOORS.get(kind, 3 if footprint_m2 > _BAY_M2 else 1))
        height = height if height is not None else (floors or 0) * FLOOR_M + 1
        use = "building" if kind == "yes" else kind.replace("_", " ")
        rows.append({
            "geometry": _polygons(thing.geometry), "code": thing.key, "name": tags.get("name"),
            "use": use if said else f"{use} ({_ESTIMATED})",
            "floors": min(max(round(floors), 0), _MOST_FLOORS) if floors is not None else None,
            "height_m": round(min(max(height, 2.0), _TALLEST_M), 1),
            "address": _address(tags), "footprint_m2": round(float(footprint_m2), 1),
        })  # fmt: skip
    rows = [row for row in rows if row["geometry"] is not None]
    frame = frame_from_rows(rows, "code", "name", "use", "floors", "height_m", "address", "footprint_m2")
    frame["floors"] = frame["floors"].astype("Int64")
    return frame


def read_greens(extract: Extract, metric_crs: str) -> gpd.GeoDataFrame:
    """Green and water areas."""
    rows = []
    for thing in extract.areas:
        kind = next((_GREEN[pair] for pair in thing.tags.items() if pair in _GREEN), None)
        if kind and (shape := _polygons(thing.geometry)) is not None:
            rows.append({"geometry": shape, "code": thing.key, "name": thing.tags.get("name"), "kind": kind})
    frame = frame_from_rows(rows, "code", "name", "kind")
    frame["area_m2"] = crs.areas_m2(frame.geometry.to_numpy(), metric_crs).round(1)
    return frame


def read_signals(extract: Extract, roads: gpd.GeoDataFrame, metric_crs: str) -> gpd.GeoDataFrame:
    """Signalled junctions: signal nodes that stand near together are one, named by the streets that cross."""
    heads = list(extract.tagged("highway", "traffic_signals"))
    points = crs.to_metric(_geometries(heads), metric_crs)
    xy = shapely.get_coordinates(points)
    group = cluster(xy, _SAME_JUNCTION_M)
    count = int(group.max()) + 1 if len(group) else 0
    size = np.bincount(group, minlength=count)
    lonlat = shapely.get_coordinates(_geometries(heads))
    middle = np.column_stack([np.bincount(group, lonlat[:, k], count) / size for k in (0, 1)])
    middle_m = np.column_stack([np.bincount(group, xy[:, k], count) / size for k in (0, 1)])
    codes = [min(heads[i].key for i in np.flatnonzero(group == g)) for g in range(count)]
    names = StreetNames(roads, metric_crs).crossing(shapely.points(middle_m))
    return frame_of(shapely.points(middle), {"code": codes, "name": names, "arms": np.clip(size, 1, 12)})


def read_parking(extract: Extract, metric_crs: str) -> gpd.GeoDataFrame:
    """Car parks; bays as tagged, else from the area at 25 m² a bay, else usual for the kind."""
    things = [t for t in extract.tagged("amenity", "parking") if t.tags.get("access") != "no"]
    area = crs.areas_m2(_geometries(things), metric_crs)
    rows = []
    for thing, m2 in zip(things, area, strict=True):
        kind = _PARKING.get(thing.tags.get("parking", ""), "surface")
        decks = _number(thing.tags.get("building:levels") or thing.tags.get("levels")) or _DECKS.get(kind, 1)
        guess = m2 / _BAY_M2 * decks if m2 > _BAY_M2 else _BAYS[kind]
        rows.append({
            "geometry": thing.geometry.representative_point(), "code": thing.key, "name": thing.tags.get("name"),
            "kind": kind, "bays": _count(thing.tags.get("capacity"), guess, _MOST["bays"]),
            "charging_bays": _count(thing.tags.get("capacity:charging"), 0, _MOST["bays"], least=0),
            "fee": {"no": "免费 free", "yes": "收费 paid"}.get(thing.tags.get("fee", "")),
        })  # fmt: skip
    return frame_from_rows(rows, "code", "name", "kind", "bays", "charging_bays", "fee")


def read_bike_stations(extract: Extract) -> gpd.GeoDataFrame:
    """Bike rental stations."""
    rows = [
        {
            "geometry": thing.geometry.representative_point(), "code": thing.key, "name": thing.tags.get("name"),
            "docks": _count(thing.tags.get("capacity"), 20, _MOST["docks"]),
            "operator": _first(thing.tags, "operator", "network", "brand"),
        }
        for thing in extract.tagged("amenity", "bicycle_rental")
    ]  # fmt: skip
    return frame_from_rows(rows, "code", "name", "docks", "operator")


def read_charging_piles(extract: Extract) -> gpd.GeoDataFrame:
    """Charging piles: as many a station as its capacity says (else two), a few metres apart."""
    rows: list[dict[str, Any]] = []
    for thing in extract.tagged("amenity", "charging_station"):
        tags, place = thing.tags, thing.geometry.representative_point()
        outputs = [_number(v) for k, v in tags.items() if k.endswith("output")]
        direct = any(k.startswith(("socket:chademo", "socket:type2_combo")) for k in tags)
        power = max((p for p in outputs if p), default=_FAST_KW if direct else _SLOW_KW)
        station = {
            "name": _first(tags, "name", "operator", "network", "brand"),
            "kind": "fast" if power >= _FAST_FROM_KW else "slow",
            "power_kw": float(min(max(power, 1), 1500)),
            "operator": _first(tags, "operator", "network", "brand"),
        }
        rows.extend(
            {
                "geometry": shapely.Point(place.x + n * _PILE_GAP_DEGREES, place.y),
                "serial": f"{thing.key}-{n + 1}",
                **station,
            }
            for n in range(_count(tags.get("capacity"), 2, _MOST["piles"]))
        )
    return frame_from_rows(rows, "serial", "name", "kind", "power_kw", "operator")


def read_transit_stops(extract: Extract) -> gpd.GeoDataFrame:
    """Bus and tram stops and stations."""
    stops = {t.key: t for t in (*extract.tagged("highway", "bus_stop"), *extract.tagged("railway", *_RAIL_STOPS))}
    rows = [
        {"geometry": t.geometry.representative_point(), "code": t.key, "name": t.tags.get("name")}
        for t in stops.values()
    ]
    return frame_from_rows(rows, "code", "name")


def read_cameras(extract: Extract) -> gpd.GeoDataFrame:
    """Surveillance cameras in public space."""
    rows = [
        {
            "geometry": t.geometry.representative_point(), "code": t.key, "name": _first(t.tags, "name", "operator")
            or f"Camera {t.key}", "direction": _first(t.tags, "camera:direction", "direction"),
            "town": None, "kind": _first(t.tags, "camera:type", "surveillance:type", "surveillance"),
        }
        for t in extract.tagged("man_made", "surveillance")
    ]  # fmt: skip
    return frame_from_rows(rows, "code", "name", "direction", "town", "kind")


def _geometries(things: Iterable[Thing]) -> Any:
    found = [thing.geometry for thing in things]
    shapes = np.empty(len(found), object)
    shapes[:] = found
    return shapes


def _polygons(geometry: Any) -> Any:
    """The polygons of a mended area; None where nothing is left of it."""
    parts = [p for p in shapely.get_parts(geometry) if p.geom_type == "Polygon" and p.area > 0]
    return shapely.MultiPolygon(parts) if parts else None


def _number(text: str | None) -> float | None:
    """The first number of a tag in metres, kilowatts or pieces; feet are converted."""
    found = re.search(r"\d+(?:[.,]\d+)?", text or "")
    if not found:
        return None
    value = float(found[0].replace(",", "."))
    feet = "'" in (text or "") or "ft" in (text or "")
    return value * 0.3048 if feet else value if math.isfinite(value) else None


def _count(text: str | None, guess: float, most: int, least: int = 1) -> int:
    number = _number(text)
    return int(min(max(round(guess if number is None else number), least), most))


def _first(tags: Mapping[str, str], *keys: str) -> str | None:
    return next((tags[key] for key in keys if tags.get(key)), None)


def _address(tags: Mapping[str, str]) -> str | None:
    return " ".join(tags[k] for k in ("addr:street", "addr:housenumber") if k in tags) or None
