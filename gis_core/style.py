"""Symbology: a few marks and two ways to vary a colour. Said once; scene and basemap are drawn from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.orm import InstrumentedAttribute

    from gis_core.model import Codes

UNKNOWN_COLOUR = "#8a93a5"
LABELS = "_label"
"""The ending of the part of a tile that holds one point a named area, where its name is written just once."""


@dataclass(frozen=True)
class By:
    """A colour that follows a column's code list."""

    column: InstrumentedAttribute[Any]

    @property
    def field(self) -> str:
        """The column's name."""
        return str(self.column.key)

    @property
    def codes(self) -> type[Codes]:
        """The code list that carries the colours."""
        return self.column.type.enum_class  # type: ignore[no-any-return]


def by(column: Any) -> By:
    """Colour by the code list of this column."""
    return By(column)


Colour = str | By


@dataclass(frozen=True)
class Circle:
    """A dot. `radius` in pixels."""

    colour: Colour
    radius: float = 5


@dataclass(frozen=True)
class Line:
    """A line. `width` in pixels."""

    colour: Colour
    width: float = 2


@dataclass(frozen=True)
class Fill:
    """An area: fill with `opacity` 0..1 and an outline in the same colour, `outline` pixels wide."""

    colour: Colour
    opacity: float = 0.25
    outline: float = 1


@dataclass(frozen=True)
class Extrusion:
    """A body that stands on the ground; `height` is a column in metres."""

    colour: Colour
    height: InstrumentedAttribute[Any]


@dataclass(frozen=True)
class Underground:
    """A line below the ground: `width` a column in millimetres, depths are columns in metres below the surface."""

    colour: Colour
    width: InstrumentedAttribute[Any]
    start_depth: InstrumentedAttribute[Any]
    end_depth: InstrumentedAttribute[Any]


@dataclass(frozen=True)
class Street:
    """A road of the basemap: cased, wider with the class's `rank` (1 = motorway), named along the line."""

    rank: InstrumentedAttribute[Any]
    name: InstrumentedAttribute[Any]


@dataclass(frozen=True)
class Ground:
    """An area of the basemap: a quiet fill."""

    colour: Colour


@dataclass(frozen=True)
class Boundary:
    """An area of the basemap known by its outline and name; `level` is a column, 1 the outermost."""

    colour: str
    name: InstrumentedAttribute[Any]
    level: InstrumentedAttribute[Any]


Overlay = Circle | Line | Fill | Extrusion | Underground
Basemap = Street | Ground | Boundary
Style = Overlay | Basemap


def colour_of(style: Style) -> Colour:
    """The mark's colour; a street has its own ramp by rank and answers its main colour."""
    return "#5c7299" if isinstance(style, Street) else style.colour
