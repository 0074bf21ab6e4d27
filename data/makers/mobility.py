"""What stands along streets and no open data gives: signals, car parks, charging and bike stations, cameras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely

from data.frames import frame_from_rows, frame_of
from data.junctions import StreetNames, cluster
from data.makers.pipe_routes import seed_of
from data.makers.street_graph import Floats, Ints, StreetGraph
from gis_core import crs

_SIGNAL_RANK: Final = 4
_SAME_JUNCTION_M: Final = 45.0
_MEETING: Final = 3
_PEOPLE_PER: Final = {"parking": 2600, "charging": 7000, "bikes": 3200}
_FEWEST: Final = {"parking": 20, "charging": 8, "bikes": 12}
_ROOM_M: Final = 90.0
_PILE_GAP_M: Final = 3.2
_PARKING: Final = (("surface", 0.45, 60), ("underground", 0.25, 180), ("garage", 0.1, 320), ("street", 0.2, 24))
_CHARGING_OPERATORS: Final = ("城市充电公司", "绿源充电", "驿电出行")
_FAST_KW: Final = (60.0, 120.0, 180.0)
_SLOW_KW: Final = (7.0, 11.0)
_BEARINGS: Final = ("北向南", "东向西", "南向北", "西向东")
_CAMERA_SHARE: Final = 0.7


@dataclass(frozen=True)
class Surroundings:
    """What the makers of this room ask: the streets, their names, their people, the middle of the city."""

    graph: StreetGraph
    names: StreetNames
    people: Floats
    centre: Floats
    county: str
    seed: int

    def lonlat(self, xy: Floats) -> npt.NDArray[np.object_]:
        """Points (n, 2) in metres as longitude and latitude."""
        return crs.to_lonlat(np.asarray(shapely.points(xy), object), crs.declare(self.graph.metric_crs))

    def rng(self, what: str) -> np.random.Generator:
        """A generator of its own for each thing that is made."""
        return np.random.default_rng(seed_of(self.seed, what))


def make_signals(around: Surroundings) -> gpd.GeoDataFrame:
    """Rows of the layer `traffic_signals`: where two greater streets cross; the carriageways of one street are one."""
    graph = around.graph
    great = np.zeros(len(graph.nodes), np.int64)
    for ends in (graph.start, graph.end):
        np.add.at(great, ends[graph.rank <= _SIGNAL_RANK], 1)
    nodes = np.flatnonzero((great >= _MEETING) & (graph.degree >= _MEETING))
    if len(nodes) and around.names.any:  # where streets have names, two must meet
        named = around.names.near(shapely.points(graph.nodes[nodes]), 20.0)
        nodes = nodes[np.array([len(n) > 1 for n in named], bool)]
    group = cluster(graph.nodes[nodes], _SAME_JUNCTION_M)
    count = int(group.max()) + 1 if len(group) else 0
    size = np.bincount(group, minlength=count)
    xy = np.column_stack([np.bincount(group, graph.nodes[nodes, k], count) / size for k in (0, 1)])
    arms = np.clip(np.array([graph.degree[nodes[group == g]].max() for g in range(count)], np.int64), 1, 12)
    return frame_of(
        around.lonlat(xy),
        {
            "code": [f"{around.county}-XHD-{n:04d}" for n in range(1, count + 1)],
            "name": around.names.crossing(shapely.points(xy), _SAME_JUNCTION_M),
            "arms": arms,
        },
    )


def make_parking(around: Surroundings) -> gpd.GeoDataFrame:
    """Rows of the layer `parking`, about one car park for 2,600 people, a house's depth away from the street."""
    rng = around.rng("parking")
    street, xy = _beside_streets(around, "parking", rng, 22.0)
    shares = np.array([share for _, share, _ in _PARKING])
    rows = []
    for n, (s, place) in enumerate(zip(street, around.lonlat(xy), strict=True), 1):
        kind, _, usual = _PARKING[int(rng.choice(len(_PARKING), p=shares))]
        bays = int(np.clip(round(usual * float(rng.lognormal(0, 0.5))), 6, 1500))
        rows.append({
            "geometry": place, "code": f"{around.county}-TCC-{n:04d}", "name": _label(around, s, "停车场", n),
            "kind": kind, "bays": bays, "charging_bays": round(bays * float(rng.choice([0, 0, 0.05, 0.1]))),
            "fee": str(rng.choice(["收费 paid", "收费 paid", "免费 free"])),
        })  # fmt: skip
    return frame_from_rows(rows, "code", "name", "kind", "bays", "charging_bays", "fee")


def make_charging_piles(around: Surroundings) -> gpd.GeoDataFrame:
    """Rows of the layer `charging_piles`: stations, about one for 7,000 people, each a row of 4 to 16 piles."""
    rng = around.rng("charging")
    street, xy = _beside_streets(around, "charging", rng, 30.0)
    rows: list[dict[str, Any]] = []
    where: list[Floats] = []
    for n, (s, middle) in enumerate(zip(street, xy, strict=True), 1):
        fast = bool(rng.random() < 0.6)  # noqa: PLR2004
        power = float(rng.choice(_FAST_KW if fast else _SLOW_KW))
        operator = str(rng.choice(_CHARGING_OPERATORS))
        piles, angle = int(rng.integers(4, 17)), float(rng.uniform(0, np.pi))
        step = _PILE_GAP_M * np.array([np.cos(angle), np.sin(angle)])
        for pile in range(piles):
            line, place = divmod(pile, 8)
            where.append(middle + step * (place - 3.5) + np.array([-step[1], step[0]]) * 2.2 * line)
            rows.append({
                "serial": f"{around.county}-CDZ-{n:03d}-{pile + 1:02d}", "name": _label(around, s, "充电站", n),
                "kind": "fast" if fast else "slow", "power_kw": power, "operator": operator,
            })  # fmt: skip
    for row, place in zip(rows, around.lonlat(np.array(where).reshape(-1, 2)), strict=True):
        row["geometry"] = place
    return frame_from_rows(rows, "serial", "name", "kind", "power_kw", "operator")


def make_bike_stations(around: Surroundings) -> gpd.GeoDataFrame:
    """Rows of the layer `bike_stations`, about one for 3,200 people, on the pavement, more of them near the middle."""
    rng = around.rng("bikes")
    street, xy = _beside_streets(around, "bikes", rng, 6.0)
    rows = [
        {
            "geometry": place, "code": f"{around.county}-ZXC-{n:04d}", "name": _label(around, s, "自行车站", n),
            "docks": int(rng.integers(6, 21)) * 2, "operator": "城市公共自行车公司",
        }
        for n, (s, place) in enumerate(zip(street, around.lonlat(xy), strict=True), 1)
    ]  # fmt: skip
    return frame_from_rows(rows, "code", "name", "docks", "operator")


def make_cameras(around: Surroundings, signals: gpd.GeoDataFrame, zones: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Rows of the layer `cameras`: at most signalled junctions, a camera that looks in one direction."""
    rng = around.rng("cameras")
    chosen = signals[rng.random(len(signals)) < _CAMERA_SHARE].reset_index(drop=True)
    xy = shapely.get_coordinates(crs.to_metric(chosen.geometry.to_numpy(), around.graph.metric_crs))
    looks = rng.integers(0, len(_BEARINGS), len(chosen))
    angle = looks * np.pi / 2 + np.pi / 2
    places = around.lonlat(xy + 9.0 * np.column_stack([np.cos(angle), np.sin(angle)]))
    town: list[str | None] = [None] * len(chosen)
    at, zone = shapely.STRtree(zones.geometry.to_numpy()).query(places, predicate="within")
    for i, z in zip(at, zone, strict=True):
        town[i] = str(zones["name"].iloc[z])
    direction = [_BEARINGS[i] for i in looks]
    named = [name or code for name, code in zip(chosen["name"], chosen["code"], strict=True)]
    return frame_of(
        places,
        {
            "code": [f"{around.county}-SP-{n:04d}" for n in range(1, len(chosen) + 1)],
            "name": [f"{name} {way}" for name, way in zip(named, direction, strict=True)],
            "direction": direction,
            "town": town,
            "kind": "路口监控",
        },
    )


def _beside_streets(around: Surroundings, what: str, rng: np.random.Generator, away_m: float) -> tuple[Ints, Floats]:
    """Streets drawn by how many people live there and how near the middle they are, and a place beside each.

    No two places are nearer than 90 m.
    """
    graph = around.graph
    count = max(round(float(around.people.sum()) / _PEOPLE_PER[what]), _FEWEST[what])
    away = np.hypot(*(graph.middle - around.centre).T)
    weight = np.maximum(around.people, 1e-3) * (0.4 + np.exp(-away / 2500.0)) * np.where(graph.rank <= 5, 1.5, 1.0)  # noqa: PLR2004
    drawn = rng.choice(len(graph), size=min(count * 3, len(graph)), replace=False, p=weight / weight.sum())
    share, side = rng.uniform(0.25, 0.75, len(drawn)), rng.choice([-1.0, 1.0], len(drawn))
    lines = graph.lines[drawn]
    here = shapely.get_coordinates(shapely.line_interpolate_point(lines, share, normalized=True))
    onward = shapely.get_coordinates(
        shapely.line_interpolate_point(lines, np.minimum(share + 0.05, 1), normalized=True)
    )
    step = onward - here
    left = np.column_stack([-step[:, 1], step[:, 0]]) / np.maximum(np.hypot(*step.T), 1e-9)[:, None]
    xy = here + left * (side * (graph.half_width_m[drawn] + away_m))[:, None]
    kept: list[int] = []
    for i in range(len(drawn)):
        if len(kept) == count:
            break
        if not kept or np.hypot(*(xy[kept] - xy[i]).T).min() > _ROOM_M:
            kept.append(i)
    return drawn[kept].astype(np.int64), xy[kept]


def _label(around: Surroundings, street: int, what: str, number: int) -> str:
    name = around.graph.name[street]
    return f"{name} {what} {number}" if name else f"{what} {number}"
