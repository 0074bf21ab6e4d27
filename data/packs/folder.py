"""A user's own folder as a city: `city.toml`, and files named after layers, such as `parking.geojson`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import geopandas as gpd
import pyogrio
from pyogrio.errors import DataSourceError

from data.frames import LONLAT
from data.osm import clip, read_extract
from data.packs.city import Given, Origin, Pack, PackUnreadable, Piece, read_facts
from data.packs.extract import ORIGIN, tell
from data.packs.simulation import MADE, Simulation, communities, extent_of
from gis_core import crs

LAYERS: Final = (
    "admin_areas", "roads", "buildings", "greens", "grid_cells", "pipe_points", "pipe_segments", "waterlogging_points",
    "parking", "charging_piles", "bike_stations", "traffic_signals", "transit_stops", "cameras", "shelters",
)  # fmt: skip
_SUFFIXES: Final = (".geojson", ".json", ".gpkg", ".zip", ".shp", ".csv", ".parquet", ".geoparquet")
_SAYS_NO_DATUM: Final = (".geojson", ".json", ".csv")
_STREET_FIELDS: Final = frozenset({"name", "rank", "lanes", "tunnel", "from_node", "to_node"})
_AREA_FIELDS: Final = frozenset({"code", "name", "level", "population"})


def build(folder: Path, given: Given) -> Pack:
    """The pack of a folder. Its files are read by ingest, so their columns may have any name that ingest knows.

    A `[sources.LAYER]` in the `city.toml` says title, licence, attribution and datum of that layer's file. With an OSM
    extract the layers that have no file come from it; what is then lacking is simulated unless `simulate = false`.
    Raises PackUnreadable.
    """
    facts = read_facts(folder / "city.toml")
    if not crs.measures_metres(facts.metric_crs, *facts.center):
        raise PackUnreadable(
            f"{folder / 'city.toml'} is no city pack: metric_crs {facts.metric_crs[:60]!r} gives no metres there."
        )
    files, strange = find_files(folder)
    steps = len(files) + (len(MADE) if facts.simulate else 0)
    pack = Pack(facts, max(steps, 1), lambda pack: _pieces(pack, given, files))
    pack.missing.extend(f"{name} is named after no layer and was left out." for name in strange)
    return pack


def find_files(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """The folder's files by layer, the first suffix in the list of accepted ones winning; and files of no layer."""
    found: dict[str, Path] = {}
    strange = []
    readable = [path for path in folder.iterdir() if path.suffix.casefold() in _SUFFIXES]
    for path in sorted(readable, key=lambda p: (_SUFFIXES.index(p.suffix.casefold()), p.name)):
        layer = path.stem.casefold()
        if layer in LAYERS:
            found.setdefault(layer, path)
        else:
            strange.append(path.name)
    return {layer: found[layer] for layer in LAYERS if layer in found}, sorted(strange)


def _pieces(pack: Pack, given: Given, files: dict[str, Path]) -> Iterator[Piece]:
    facts = pack.facts
    for layer, path in files.items():
        origin = facts.origins.get(layer, Origin(path.name))
        said = origin.datum or (facts.datum if path.suffix.casefold() in _SAYS_NO_DATUM else None)
        yield Piece(layer, None, origin.title, origin.licence, origin.attribution, said, file=path)
    areas = _fields_of(files.get("admin_areas"), _AREA_FIELDS)
    if given.osm is not None:
        extract = read_extract(given.osm, facts.bounds)
        if areas is not None:
            extract = clip(extract, areas.geometry.union_all())
        yield from tell(pack, given, extract, ORIGIN, areas, files)
        return
    lacking = [layer for layer in MADE if layer not in files]
    if not (lacking and facts.simulate):
        return
    roads = _fields_of(files.get("roads"), _STREET_FIELDS)
    if roads is None:
        pack.missing.append(
            f"Nothing could be simulated for {facts.name}: that needs an OpenStreetMap extract (--osm), or a roads "
            f"file in longitude and latitude with the columns {', '.join(sorted(_STREET_FIELDS))}."
        )
        return
    zones = communities(areas) if areas is not None else extent_of(facts)
    yield from Simulation.of(facts, given, roads, zones).pieces(lacking)


def _fields_of(path: Path | None, fields: frozenset[str]) -> gpd.GeoDataFrame | None:
    """The file as a frame in longitude and latitude if it already has the layer's own columns; else None."""
    if path is None or path.suffix.casefold() in {".csv", ".parquet", ".geoparquet"}:
        return None
    try:
        frame = pyogrio.read_dataframe(path)
    except DataSourceError:
        return None  # ingest will say what is wrong with it
    if frame.crs is None or not fields <= set(frame.columns):
        return None
    return frame.to_crs(LONLAT)
