"""City packs: each real streets, what open data gives beside them, and what makers add to it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

from data.packs.city import CityFacts as CityFacts
from data.packs.city import Given, read_facts
from data.packs.city import Pack as Pack
from data.packs.city import PackUnreadable as PackUnreadable
from data.packs.city import Piece as Piece
from gis_core.errors import NotFound

_HERE: Final = Path(__file__).parent


class UnknownCity(NotFound):
    """There is no city of this name."""


def known() -> list[str]:
    """The names of the packs that come with the product."""
    return sorted(path.parent.name for path in _HERE.glob("*/city.toml"))


def open_pack(city: str | Path, *, home: Path, data: Path | None = None, osm: Path | None = None) -> Pack:
    """The pack of a known city, of a folder with a `city.toml`, or (`city` empty) of the extract `osm` alone.

    `home` keeps fetched wheels, `data` is a folder with the user's files, `osm` an OSM extract (.osm.pbf, .osm).
    Raises UnknownCity naming the known ones, PackUnreadable for a broken `city.toml` or extract.
    """
    given = Given(home, data, osm)
    for path in (data, osm):
        if path is not None and not path.exists():
            raise PackUnreadable(f"{path} is not there.")
    name = str(city)
    if name in known():
        facts = read_facts(_HERE / name / "city.toml")
        steps = facts.steps_with_files if data or osm else facts.steps
        return Pack(facts, steps, lambda pack: _room(name).pieces(pack, given))
    if name and (Path(name) / "city.toml").is_file():
        return cast("Pack", _room("folder").build(Path(name), given))
    if not name and osm is not None:
        return cast("Pack", _room("extract").build(given))
    raise UnknownCity(
        f"There is no city {name!r}. Known: {', '.join(known())}; or a folder with a city.toml, or --osm FILE alone."
    )


def _room(name: str) -> Any:
    """A pack's module, imported only when it is used: its libraries would slow every other start."""
    return import_module(f"data.packs.{name}")
