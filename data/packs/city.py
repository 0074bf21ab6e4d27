"""What a city pack is: facts of the city, and pieces of data that go through ingest one after the other."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from data.wheels import Wheel
from gis_core import Label
from gis_core.errors import BadInput

if TYPE_CHECKING:  # the city's facts are read at every start, which must not wait for geopandas
    import geopandas as gpd

Bounds: TypeAlias = tuple[float, float, float, float]
_DATUM: Final = "WGS 84"
_NAME: Final = re.compile(r"[\w-]+")
_LONGEST_NAME: Final = 50
"""Bytes. The city's database is called after it, and PostgreSQL would cut a longer name."""
PLACEHOLDER_COUNTY: Final = "990000"  # no GB/T 2260 code begins with 99: it marks cities outside that register


class PackUnreadable(BadInput):
    """A city pack cannot be read."""


@dataclass(frozen=True)
class Origin:
    """Where a piece of data comes from, under which licence, whom to thank, and in which package it is found."""

    title: str
    licence: str = ""
    attribution: str = ""
    datum: str | None = None
    wheel: Wheel | None = None


SIMULATED: Final = Origin("模拟数据 simulated", "Apache-2.0", "Chengtu 城图 (模拟 simulated)")


@dataclass(frozen=True)
class Ground:
    """What the ground of a city is like where no elevation model is given: see `data.makers.terrain.Slope`.

    `low` is the line of the lowest ground, such as the coast, as lon, lat.
    """

    low: tuple[tuple[float, float], ...]
    base_m: float = 3.0
    rise: float = 0.008
    rolling_m: float = 3.0


@dataclass(frozen=True)
class CityFacts:
    """What everybody asks of a city.

    `center` is lon, lat; `bounds` west, south, east, north in degrees; `metric_crs` the system metres are computed
    in. `county` are the first six digits of grid codes: the city's adcode, or for cities outside China's register a
    placeholder that begins with 99. `steps` is how many pieces its pack has,
    `steps_with_files` how many where the user gave files. Where `simulate` is false nothing is made up.
    """

    name: str
    title: Label
    center: tuple[float, float]
    zoom: float
    bounds: Bounds
    datum: str
    metric_crs: str
    time_zone: str
    attribution: tuple[str, ...]
    adcode: str | None = None
    county: str = PLACEHOLDER_COUNTY
    steps: int = 1
    steps_with_files: int = 1
    origins: Mapping[str, Origin] = field(default_factory=dict)
    simulate: bool = True
    ground: Ground | None = None

    def as_json(self) -> dict[str, Any]:
        """The facts as the database and the browser get them."""
        return {
            "name": self.name,
            "title": self.title.as_json(),
            "center": list(self.center),
            "zoom": self.zoom,
            "bounds": list(self.bounds),
            "datum": self.datum,
            "metric_crs": self.metric_crs,
            "time_zone": self.time_zone,
            "attribution": list(self.attribution),
            "adcode": self.adcode,
            "county": self.county,
        }


@dataclass(frozen=True)
class Piece:
    """Rows for one layer, by the layer's name.

    `frame` is in EPSG:4326 and its columns are field names of the layer; code lists are written as member names. A
    piece of a user's folder has no frame: `file` is to be read by ingest, in the declared `datum` (None: the file's).
    """

    layer: str
    frame: gpd.GeoDataFrame
    title: str
    licence: str = ""
    attribution: str = ""
    datum: str | None = "WGS 84"
    simulated: bool = False
    file: Path | None = None

    @property
    def rows(self) -> int | None:
        """How many rows the piece has (None: not known before the file is read)."""
        return None if self.frame is None else len(self.frame)


@dataclass
class Pack:
    """A city ready to be loaded: `steps` pieces are expected, made one by one as they are asked for.

    `missing` says in words which wanted files were not there; it is complete when the last piece has been taken.
    """

    facts: CityFacts
    steps: int
    source: Callable[[Pack], Iterator[Piece]]
    missing: list[str] = field(default_factory=list)

    def pieces(self) -> Iterator[Piece]:
        """The pieces, layer by layer; each call starts anew and gives the same rows."""
        return self.source(self)


@dataclass(frozen=True)
class Given:
    """What the user gave: the home folder, a folder of files, an OSM extract."""

    home: Path
    data: Path | None = None
    osm: Path | None = None

    def find(self, *names: str) -> Path | None:
        """The first of the named files anywhere below the data folder (a name may have folders in front)."""
        if self.data is None:
            return None
        for name in names:
            if found := sorted(p for p in self.data.rglob(Path(name).name) if p.as_posix().endswith(name)):
                return found[0]
        return None


def real(layer: str, frame: gpd.GeoDataFrame, what: str, origin: Origin) -> Piece:
    """A piece of real data; `what` names it in both languages, such as `道路 Roads`."""
    return Piece(layer, frame, f"{what} ({origin.title})", origin.licence, origin.attribution, origin.datum or _DATUM)


def simulated(layer: str, frame: gpd.GeoDataFrame, what: str, how: str = "") -> Piece:
    """A made-up piece, which says so in its title; `how` tells from what it was made."""
    title = f"{what} ({SIMULATED.title}{'; ' + how if how else ''})"
    return Piece(layer, frame, title, SIMULATED.licence, SIMULATED.attribution, _DATUM, simulated=True)


def read_facts(path: Path) -> CityFacts:
    """The facts in a `city.toml`. Raises PackUnreadable, naming the file and what is wrong with it."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
        west, south, east, north = (float(v) for v in told["bounds"])
        origins = {name: _origin(each) for name, each in told.get("sources", {}).items()}
        lon, lat = told.get("center") or ((west + east) / 2, (south + north) / 2)
        adcode = told.get("adcode")
        facts = CityFacts(
            name=str(told["name"]),
            title=Label(str(told["title"]["zh"]), str(told["title"]["en"])),
            center=(float(lon), float(lat)),
            zoom=float(told.get("zoom", 12)),
            bounds=(west, south, east, north),
            datum=str(told.get("datum", "WGS 84")),
            metric_crs=str(told.get("metric_crs") or _metric_crs(lon, lat)),
            time_zone=str(told.get("time_zone", "UTC")),
            attribution=tuple(dict.fromkeys(o.attribution for o in origins.values() if o.attribution)),
            adcode=str(adcode) if adcode else None,
            county=str(told.get("county") or adcode or PLACEHOLDER_COUNTY),
            steps=int(told.get("steps", 1)),
            steps_with_files=int(told.get("steps_with_files", told.get("steps", 1))),
            origins=origins,
            simulate=bool(told.get("simulate", True)),
            ground=_ground(told["terrain"]) if "terrain" in told else None,
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, BadInput) as error:
        why = f"{error} is not there" if isinstance(error, KeyError) else str(error)
        raise PackUnreadable(f"{path} is no city pack: {why}.") from error
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):  # noqa: PLR2004  degrees
        raise PackUnreadable(f"{path} is no city pack: bounds are west, south, east, north in degrees.")
    if not _NAME.fullmatch(facts.name) or len(facts.name.encode()) > _LONGEST_NAME:
        raise PackUnreadable(
            f"{path} is no city pack: the name {facts.name[:60]!r} is not letters, digits, - and _ of at most "
            f"{_LONGEST_NAME} bytes. People read the title."
        )
    try:
        ZoneInfo(facts.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise PackUnreadable(f"{path} is no city pack: there is no time zone {facts.time_zone!r}.") from error
    return facts


def _ground(told: Mapping[str, Any]) -> Ground:
    numbers = {key: float(told[key]) for key in ("base_m", "rise", "rolling_m") if key in told}
    return Ground(tuple((float(lon), float(lat)) for lon, lat in told["low"]), **numbers)


def _metric_crs(lon: float, lat: float) -> str:
    from gis_core import crs  # noqa: PLC0415 -- PROJ is needed for a city without a declared system only

    return crs.metric_for(lon, lat)


def _origin(told: Mapping[str, Any]) -> Origin:
    wheel = Wheel(told["package"], told["version"], told["member"]) if "package" in told else None
    words = {key: str(told[key]) for key in ("title", "licence", "attribution", "datum") if key in told}
    return Origin(wheel=wheel, **words)
