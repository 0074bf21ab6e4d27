"""Cuts a city into unit grid cells along its streets: inside one community each, closed, without gaps or overlaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from data.frames import frame_of
from data.makers.pipe_routes import seed_of
from data.makers.street_graph import Floats, Ints, Mask
from data.makers.terrain import Rolling
from gis_core import crs

Shapes = npt.NDArray[np.object_]

_PRECISION_M: Final = 0.01
_THIN: Final = 0.14
_MOST_IN_COMMUNITY: Final = 900
_CODE_DIGITS: Final = 12
_PATCH_M: Final = 700.0
# Letters and words of GB 50137-2011 land use classes.
RESIDENTIAL, COMMERCIAL, PUBLIC, INDUSTRIAL, GREEN, STREET, COUNTRY, WATER = (
    "R 居住用地", "B 商业服务业设施用地", "A 公共管理与公共服务用地", "M 工业用地", "G 绿地与广场用地",
    "S 道路与交通设施用地", "E2 农林用地", "E1 水域",
)  # fmt: skip
_GREEN_USE: Final = {"water": WATER, "farmland": COUNTRY}


@dataclass(frozen=True)
class Grain:
    """How fine the cells are: streets up to `last_rank` bound them; areas in square metres."""

    last_rank: int
    smallest_m2: float
    largest_m2: float
    country_m2: float


DISTRICT: Final = Grain(6, 2500, 60_000, 420_000)
STREET_SCALE: Final = Grain(7, 700, 12_000, 40_000)


def make_grid(
    roads: gpd.GeoDataFrame, zones: gpd.GeoDataFrame, metric_crs: str, grain: Grain, seed: int,
    greens: gpd.GeoDataFrame | None = None,
) -> gpd.GeoDataFrame:  # fmt: skip
    """Rows of the layer `grid_cells` that together are the zones.

    `zones` are rows of `admin_areas` that do not overlap. Codes have 15 digits: the zone's own, filled up to 12
    (community 001 and on, where communities are not known), and a number from west to east, north to south.
    """
    areas = shapely.set_precision(crs.to_metric(zones.geometry.to_numpy(), metric_crs), _PRECISION_M)
    wanted = (roads["rank"] <= grain.last_rank) & ~roads["tunnel"].astype(bool)
    lines = crs.to_metric(roads.geometry.to_numpy()[wanted], metric_crs)
    work = shapely.set_precision(np.concatenate([shapely.boundary(areas), lines]), _PRECISION_M)
    faces, zone = _faces(work, areas)
    dense = _near_streets(faces, lines)
    work = np.concatenate([work, shapely.set_precision(_split_lines(faces, dense, grain), _PRECISION_M)])
    faces, zone = _faces(work, areas)
    cells, zone = _merge(faces, zone, grain)
    order, codes = _number(cells, zone, zones["code"].astype(str).to_numpy())
    cells, zone = cells[order], zone[order]
    names = zones["name"].to_numpy()[zone]
    dense = _near_streets(cells, lines)
    geometry = crs.to_lonlat(cells, crs.declare(metric_crs))
    return frame_of(
        geometry,
        {
            "code": codes,
            "name": [f"{name} {code[-3:]}" for name, code in zip(names, codes, strict=True)],
            "area_m2": shapely.area(cells).round(1),
            "land_use": _land_use(cells, dense, grain, seed, greens, metric_crs),
            "grade": np.where(dense, np.where(shapely.area(cells) < grain.largest_m2 / 3, "一级", "二级"), "三级"),
            "steward": [
                f"{name} 网格责任组 {int(code[-3:]) // 25 + 1}" for name, code in zip(names, codes, strict=True)
            ],
        },
    )


def _faces(work: Shapes, areas: Shapes) -> tuple[Shapes, Ints]:
    """The faces of a linework that lie in an area, and in which."""
    noded = shapely.union_all(work, grid_size=_PRECISION_M)
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(noded)))
    inside, area = shapely.STRtree(areas).query(shapely.point_on_surface(faces), predicate="within")
    inside, first = np.unique(inside, return_index=True)
    return faces[inside], area[first].astype(np.int64)


def _near_streets(faces: Shapes, lines: Shapes) -> Mask:
    """Faces in the built-up city: those with much street around them for their size."""
    around = shapely.get_coordinates(shapely.centroid(faces))
    tree = shapely.STRtree(shapely.line_interpolate_point(lines, 0.5, normalized=True))
    at, _ = tree.query(shapely.points(around), predicate="dwithin", distance=250.0)
    return np.asarray(np.bincount(at, minlength=len(faces)) >= 12)  # noqa: PLR2004 -- about 5 km a square kilometre


def _split_lines(faces: Shapes, dense: Mask, grain: Grain) -> Shapes:
    """Lines that cut every face that is too large into pieces, square to its longer side."""
    limit = np.where(dense, grain.largest_m2, grain.country_m2)
    cuts: list[Any] = []
    for face, most in zip(faces[shapely.area(faces) > limit], limit[shapely.area(faces) > limit], strict=True):
        corner, right, _, up = shapely.get_coordinates(shapely.minimum_rotated_rectangle(face))[:4]
        long, high = right - corner, up - corner
        side = np.sqrt(most * 0.8)
        columns, rows = (max(int(np.ceil(np.hypot(*v) / side)), 1) for v in (long, high))
        across = [
            (corner + long * i / columns - high, corner + long * i / columns + 2 * high) for i in range(1, columns)
        ]
        along = [(corner + high * i / rows - long, corner + high * i / rows + 2 * long) for i in range(1, rows)]
        cuts.extend(
            shapely.intersection(shapely.linestrings(np.array([*across, *along])), face) if across or along else []
        )
    lines = shapely.get_parts(np.array(cuts, object)) if cuts else np.empty(0, object)
    return lines[shapely.get_type_id(lines) == 1] if len(lines) else lines


def _merge(faces: Shapes, zone: Ints, grain: Grain) -> tuple[Shapes, Ints]:
    """Cells: slivers and strips joined to the neighbour in their zone with which they share the longest border."""
    area, around = shapely.area(faces), shapely.length(faces)
    strip = (4 * np.pi * area / around**2 < _THIN) & (area < grain.largest_m2 / 2)
    neighbours = _shared_borders(faces, zone)
    group = np.arange(len(faces))

    def root(i: int) -> int:
        while group[i] != i:
            group[i] = group[group[i]]
            i = int(group[i])
        return i

    size = area.copy()
    for face in np.argsort(area, kind="stable"):
        own = root(int(face))
        if size[own] >= grain.smallest_m2 and not (strip[face] and own == face):
            continue
        shared: dict[int, float] = {}
        for other, length in neighbours.get(int(face), ()):
            if (there := root(other)) != own:
                shared[there] = shared.get(there, 0.0) + length
        if shared:
            best = min(shared, key=lambda k: (-shared[k], k))
            group[own] = best
            size[best] += size[own]
    roots = np.array([root(i) for i in range(len(faces))])
    kept, which = np.unique(roots, return_inverse=True)
    order = np.argsort(which, kind="stable")
    parts = np.split(faces[order], np.cumsum(np.bincount(which))[:-1])
    cells = np.array([p[0] if len(p) == 1 else shapely.coverage_union_all(p) for p in parts], object)
    return cells, zone[kept]


def _shared_borders(faces: Shapes, zone: Ints) -> dict[int, list[tuple[int, float]]]:
    """For each face its neighbours in the same zone and the length of border shared with each."""
    rings, of_face = shapely.get_rings(faces, return_index=True)
    coords, ring = shapely.get_coordinates(rings, return_index=True)
    here = np.flatnonzero(ring[1:] == ring[:-1])
    a, b = coords[here], coords[here + 1]
    swap = (a[:, 0] > b[:, 0]) | ((a[:, 0] == b[:, 0]) & (a[:, 1] > b[:, 1]))
    a[swap], b[swap] = b[swap], a[swap].copy()
    table = pd.DataFrame(np.column_stack([a, b]), columns=["ax", "ay", "bx", "by"])
    table["face"] = of_face[ring[here]]
    table["length"] = np.hypot(table["ax"] - table["bx"], table["ay"] - table["by"])
    table = table.sort_values(["ax", "ay", "bx", "by", "face"], kind="stable").reset_index(drop=True)
    keys = table[["ax", "ay", "bx", "by"]].to_numpy()
    pair = np.flatnonzero((keys[1:] == keys[:-1]).all(axis=1))
    one, two = table["face"].to_numpy()[pair], table["face"].to_numpy()[pair + 1]
    same = zone[one] == zone[two]
    found: dict[int, list[tuple[int, float]]] = {}
    for i, j, length in zip(one[same], two[same], table["length"].to_numpy()[pair][same], strict=True):
        found.setdefault(int(i), []).append((int(j), float(length)))
        found.setdefault(int(j), []).append((int(i), float(length)))
    return found


def _number(cells: Shapes, zone: Ints, zone_codes: Shapes) -> tuple[Ints, list[str]]:
    """The order of cells and their codes: by community, in rows from north to south, each from west to east."""
    middle = shapely.get_coordinates(shapely.centroid(cells))
    height = np.sqrt(np.bincount(zone, shapely.area(cells)) / np.maximum(np.bincount(zone), 1))
    row = -np.floor(middle[:, 1] / np.maximum(height[zone], 1.0))
    order = np.lexsort((middle[:, 1], middle[:, 0], row, zone))
    codes: list[str] = []
    seen: dict[int, int] = {}
    for z in zone[order]:
        seen[z] = n = seen.get(z, -1) + 1
        code = str(zone_codes[z])
        community = n // _MOST_IN_COMMUNITY
        if len(code) < _CODE_DIGITS:
            code = f"{code:0<{_CODE_DIGITS - 3}}"
            code = f"{code[:-3] + '001' if code.endswith('000') else code}{community + 1:03d}"
            n %= _MOST_IN_COMMUNITY
        codes.append(f"{code}{n + 1:03d}")
    return order.astype(np.int64), codes


def _land_use(
    cells: Shapes, dense: Mask, grain: Grain, seed: int, greens: gpd.GeoDataFrame | None, metric_crs: str
) -> Shapes:
    """What each cell is likely used for: by shape, by place, by seeded patches, and by known green areas."""
    middle: Floats = shapely.get_coordinates(shapely.centroid(cells))
    area = shapely.area(cells)
    centre = np.median(middle, axis=0)
    away = np.hypot(*(middle - centre).T) / max(float(np.hypot(*(middle - centre).T).max()), 1.0)
    trade, work, care = (Rolling(seed_of(seed, word), _PATCH_M)(middle) for word in ("trade", "work", "care"))
    use = np.full(len(cells), RESIDENTIAL, object)
    use[care > 1.5] = PUBLIC  # noqa: PLR2004 -- levels of smooth fields with spread 1
    use[trade + (0.35 - away) * 2 > 1.4] = COMMERCIAL  # noqa: PLR2004
    use[(work > 1.5) & (away > 0.2)] = INDUSTRIAL  # noqa: PLR2004
    use[~dense & (area > grain.largest_m2)] = COUNTRY
    use[(4 * np.pi * area / shapely.length(cells) ** 2 < _THIN) & (area < grain.largest_m2)] = STREET
    if greens is not None and len(greens):
        shapes = shapely.make_valid(crs.to_metric(greens.geometry.to_numpy(), metric_crs))
        cell, green = shapely.STRtree(shapes).query(cells, predicate="intersects")
        share = shapely.area(shapely.intersection(cells[cell], shapes[green])) / area[cell]
        for c, g in zip(cell[share > 0.5], green[share > 0.5], strict=True):  # noqa: PLR2004
            use[c] = _GREEN_USE.get(greens["kind"].iloc[g], GREEN)
    return use
