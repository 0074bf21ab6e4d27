"""Adds to a city what no open data gives, made along its real streets; every piece says that it is simulated."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely

from data.frames import frame_of
from data.junctions import StreetNames
from data.makers import flooding, mobility, pipe_routes, pipes, street_graph, terrain
from data.makers.grid import DISTRICT, STREET_SCALE, make_grid
from data.makers.street_graph import Floats, StreetGraph
from data.makers.terrain import Heights
from data.packs.city import CityFacts, Given, Ground, Piece, simulated
from gis_core import crs
from gis_core.errors import CityError
from gis_core.raster import Elevation, open_elevation

SEED: Final = 20240601
MADE: Final = (
    "traffic_signals", "cameras", "parking", "charging_piles", "bike_stations", "waterlogging_points", "grid_cells",
    "pipe_points", "pipe_segments",
)  # fmt: skip
_RASTERS: Final = (".tif", ".tiff", ".img", ".asc", ".vrt", ".hgt")
_STREET_SCALE_M: Final = 3000.0
_MOST_STREET_M: Final = 2_500_000.0
_BIN_M: Final = 1000.0


@dataclass(frozen=True)
class Simulation:
    """A city's streets and zones, from which the rest is made. `zones` do not overlap and may have people."""

    facts: CityFacts
    given: Given
    roads: gpd.GeoDataFrame
    zones: gpd.GeoDataFrame
    greens: gpd.GeoDataFrame | None = None
    whole: bool = True

    @classmethod
    def of(
        cls, facts: CityFacts, given: Given, roads: gpd.GeoDataFrame, zones: gpd.GeoDataFrame,
        greens: gpd.GeoDataFrame | None = None,
    ) -> Simulation:  # fmt: skip
        """The whole city; of a region with more than 2,500 km of streets only the part where they are densest."""
        carrying = (roads["rank"] <= street_graph.LAST_RANK).to_numpy()
        lines = crs.to_metric(roads.geometry.to_numpy(), facts.metric_crs)
        length = np.where(carrying, shapely.length(lines), 0.0)
        if length.sum() <= _MOST_STREET_M:
            return cls(facts, given, roads, zones, greens)
        core = _densest(lines, length)
        inside = shapely.within(shapely.line_interpolate_point(lines, 0.5, normalized=True), core)
        outline = crs.to_lonlat(np.array([core], object), crs.declare(facts.metric_crs))[0]
        cut = zones.assign(geometry=shapely.intersection(shapely.make_valid(zones.geometry.to_numpy()), outline))
        cut = cut[shapely.area(cut.geometry.to_numpy()) > 0].reset_index(drop=True)
        return cls(facts, given, roads[inside].reset_index(drop=True), cut, greens, whole=False)

    def pieces(self, wanted: Collection[str] = MADE) -> Iterator[Piece]:
        """The wanted layers one by one. Nothing is made where there are no streets."""
        if not len(self._graph):
            return
        signals = None
        if {"traffic_signals", "cameras"} & set(wanted):
            signals = mobility.make_signals(self._around)
        if "traffic_signals" in wanted:
            yield self._piece("traffic_signals", signals, "信号灯 Traffic signals", "at crossings of main streets")
        if "cameras" in wanted:
            cameras = mobility.make_cameras(self._around, signals, self.zones)
            yield self._piece("cameras", cameras, "视频点位 Cameras", "at signalled junctions")
        makers = {
            "parking": (mobility.make_parking, "停车场 Car parks"),
            "charging_piles": (mobility.make_charging_piles, "充电桩 Charging piles"),
            "bike_stations": (mobility.make_bike_stations, "自行车站 Bike stations"),
        }
        for layer, (make, what) in makers.items():
            if layer in wanted:
                yield self._piece(layer, make(self._around), what, "by population and streets")
        if "waterlogging_points" in wanted:
            yield self._piece("waterlogging_points", self._flooding(), "积水点 Waterlogging points", "at low places")
        if "grid_cells" in wanted:
            yield self._piece("grid_cells", self._grid(), "单元网格 Grid cells", "cut along streets within communities")
        if {"pipe_points", "pipe_segments"} & set(wanted):
            networks = list(pipes.make_pipes(self._site, self._heights))
            points, segments = pipes.gather(networks, self.facts.metric_crs)
            heights = "heights from the elevation model" if self._elevation else "heights simulated too"
            yield self._piece("pipe_points", points, "管线点 Pipe points", f"along streets; {heights}")
            yield self._piece("pipe_segments", segments, "地下管线 Pipe segments", "along streets")

    def _piece(self, layer: str, frame: gpd.GeoDataFrame, what: str, how: str) -> Piece:
        return simulated(layer, frame, what, how if self.whole else f"{how}; densest part only")

    def _flooding(self) -> gpd.GeoDataFrame:
        people = float(self._site.people.sum())
        return flooding.make_waterlogging_points(
            self._graph, self.roads, self._heights, people, self.facts.county, SEED
        )

    def _grid(self) -> gpd.GeoDataFrame:
        across = float(np.ptp(self._graph.nodes, axis=0).max())
        grain = STREET_SCALE if across < _STREET_SCALE_M else DISTRICT
        return make_grid(self.roads, self.zones, self.facts.metric_crs, grain, SEED, self.greens)

    @cached_property
    def _graph(self) -> StreetGraph:
        return street_graph.build(self.roads, self.facts.metric_crs)

    @cached_property
    def _centre(self) -> Floats:
        """The city's centre as the pack says it, or the middle of the streets where that lies elsewhere."""
        place = crs.to_metric(np.array([shapely.Point(self.facts.center)], object), self.facts.metric_crs)
        xy = shapely.get_coordinates(place)[0]
        low, high = self._graph.nodes.min(axis=0), self._graph.nodes.max(axis=0)
        inside = bool((xy >= low).all() and (xy <= high).all())
        return xy if inside else np.median(self._graph.nodes, axis=0)

    @cached_property
    def _site(self) -> pipe_routes.Site:
        areas = crs.to_metric(self.zones.geometry.to_numpy(), self.facts.metric_crs)
        count = self.zones["population"].astype("Float64")
        known = count.notna().to_numpy()
        people = pipe_routes.people_along(self._graph, areas[known], count[known].to_numpy(np.float64))
        heights = self._heights(self._graph.nodes)
        return pipe_routes.Site(self._graph, people, heights, self._centre, self.facts.center[1], SEED)

    @cached_property
    def _around(self) -> mobility.Surroundings:
        names = StreetNames(self.roads, self.facts.metric_crs)
        return mobility.Surroundings(self._graph, names, self._site.people, self._centre, self.facts.county, SEED)

    @cached_property
    def _elevation(self) -> Elevation | None:
        return find_elevation(self.given, self.facts)

    @cached_property
    def _heights(self) -> Heights:
        ground = self.facts.ground or _southern_edge(self.facts)
        low = crs.to_metric(np.array([shapely.LineString(ground.low)], object), self.facts.metric_crs)[0]
        made_up = terrain.simulate(terrain.Slope(low, ground.base_m, ground.rise, ground.rolling_m, SEED))
        return terrain.survey(self._elevation, self.facts.metric_crs, made_up) if self._elevation else made_up


def find_elevation(given: Given, facts: CityFacts) -> Elevation | None:
    """The first elevation model below the user's folder that covers the city's centre."""
    if given.data is None:
        return None
    lon, lat = facts.center
    for path in sorted(p for p in given.data.rglob("*") if p.suffix.casefold() in _RASTERS):
        try:
            found = open_elevation(path)
            covered = bool(np.isfinite(found.sample_m(lon, lat)).all())
        except CityError:
            continue
        if covered:
            return found
    return None


def communities(areas: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Of the rows of `admin_areas` those of the finest level."""
    return areas[areas["level"] == areas["level"].max()].reset_index(drop=True)


def extent_of(facts: CityFacts) -> gpd.GeoDataFrame:
    """The city's bounds as the one row of `admin_areas`, where nothing better is known."""
    area = {"code": [facts.county], "name": [facts.title.en], "level": [1], "population": np.array([None])}
    frame = frame_of([shapely.box(*facts.bounds)], area)
    frame["population"] = frame["population"].astype("Int64")
    return frame


def _southern_edge(facts: CityFacts) -> Ground:
    west, south, east, _ = facts.bounds
    return Ground(((west, south), (east, south)), base_m=10.0, rise=0.004)


def _densest(lines: npt.NDArray[np.object_], length: Floats) -> Any:
    """A square of whole kilometres around the densest square kilometre, holding no more street than is made for."""
    middle = shapely.get_coordinates(shapely.line_interpolate_point(lines, 0.5, normalized=True))
    corner = np.floor(middle.min(axis=0) / _BIN_M)
    column, row = (np.floor(middle / _BIN_M) - corner).astype(np.int64).T
    total = np.zeros((column.max() + 1, row.max() + 1))
    np.add.at(total, (column, row), length)
    x, y = np.unravel_index(int(total.argmax()), total.shape)
    reach = 0
    while reach < max(total.shape):
        held = total[max(x - reach - 1, 0) : x + reach + 2, max(y - reach - 1, 0) : y + reach + 2].sum()
        if held > _MOST_STREET_M:
            break
        reach += 1
    west, south = (corner + np.array([x, y]) - reach) * _BIN_M
    across = (2 * reach + 1) * _BIN_M
    return shapely.box(west, south, west + across, south + across)
