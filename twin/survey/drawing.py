"""Drawings (DXF) of a survey: points and lines with the names of their layers; ezdxf (MIT) stands behind this file.

A drawing has no tables. Attributes come from block attributes where there are some; the class of a pipe comes from
the name of its layer. What is absent is said, not made up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import ezdxf
import ezdxf.recover
import numpy as np
import pyarrow as pa
import shapely
from ezdxf.lldxf.const import DXFError

from gis_core.ingest.unpacking import Unreadable
from twin.survey import words
from twin.survey.tables import Raw

_MOST_ENTITIES: Final = 1_000_000
_POINTS: Final = ("POINT", "INSERT", "CIRCLE")
_LINES: Final = ("LINE", "LWPOLYLINE", "POLYLINE")
_LEAST: Final = 2

Entity: TypeAlias = tuple[Any, dict[str, str]]
"""A shape and the words that belong to it."""


def read(path: Path) -> list[Raw]:
    """The points and the lines of a drawing, as two tables. Raises Unreadable."""
    _require_drawing(path)
    try:
        document, _ = ezdxf.recover.readfile(path)
    except (DXFError, OSError, UnicodeError, ValueError) as error:
        raise Unreadable(f"The drawing cannot be read: {str(error)[:200]}") from error
    points: list[Entity] = []
    lines: list[Entity] = []
    for count, entity in enumerate(document.modelspace()):
        if count >= _MOST_ENTITIES:
            raise Unreadable(f"The drawing has more than {_MOST_ENTITIES:,} entities.")
        kind = entity.dxftype()
        if kind in _POINTS:
            points.append(_point(entity))
        elif kind in _LINES:
            line = _line(entity)
            lines += [line] if line else []
    if not points and not lines:
        raise Unreadable("The drawing has neither points nor lines in its model space.")
    found = [_table("points", points), _table("lines", lines)]
    return [raw for raw in found if len(raw)]


def _require_drawing(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(b"AutoCAD Binary DXF"):
        return
    if head.startswith(b"AC10"):
        raise Unreadable("The file is called *.dxf, but its content is a DWG drawing: save it as DXF.")
    if b"\0" in head or re.match(rb"\s*(0|999)\s*\r?\n", head) is None:
        raise Unreadable("The file is called *.dxf, but its content is no drawing.")


def _point(entity: Any) -> Entity:
    kind = entity.dxftype()
    at = entity.dxf.location if kind == "POINT" else entity.dxf.insert if kind == "INSERT" else entity.dxf.center
    said = {"layer": str(entity.dxf.layer)}
    if kind == "INSERT":
        said["block"] = str(entity.dxf.name)
        said |= {str(a.dxf.tag): str(a.dxf.text) for a in entity.attribs}
    return shapely.Point(at.x, at.y, at.z), said


def _line(entity: Any) -> Entity | None:
    xyz = list(_vertices(entity))
    if len(xyz) < _LEAST or not np.isfinite(xyz).all():
        return None
    return shapely.LineString(xyz), {"layer": str(entity.dxf.layer)}


def _vertices(entity: Any) -> Iterator[tuple[float, float, float]]:
    match entity.dxftype():
        case "LINE":
            for at in (entity.dxf.start, entity.dxf.end):
                yield at.x, at.y, at.z
        case "LWPOLYLINE":
            z = float(entity.dxf.elevation)
            for x, y in entity.get_points("xy"):
                yield float(x), float(y), z
        case _:
            for vertex in entity.vertices:
                at = vertex.dxf.location
                yield at.x, at.y, at.z


def _table(name: str, found: list[Entity]) -> Raw:
    """Entities as a table: their layer's class where no attribute says it, their heights where they have some."""
    names = list(dict.fromkeys(key for _, said in found for key in said))
    columns = {key: pa.array([said.get(key) for _, said in found], pa.string()) for key in names}
    geometries = np.array([shape for shape, _ in found], dtype=object)
    if len(found):
        columns.setdefault("pipe_class", pa.array([_class_of(said["layer"]) for _, said in found], pa.string()))
    notes = []
    if not set(names) - {"layer", "block"}:
        notes.append(
            f"The drawing's {name} have no attributes; only their place and the class of their layer are known."
        )
    heights = shapely.get_coordinates(geometries, include_z=True)[:, 2] if len(found) else np.empty(0)
    if len(heights) and np.any(np.nan_to_num(heights) != 0):
        columns |= _heights(name, geometries, columns)
    return Raw(name, columns, np.arange(1, len(found) + 1), shapely.force_2d(geometries), notes=tuple(notes))


def _heights(name: str, geometries: Any, columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """Elevations from the third coordinate: of the ground at points, of the pipe at the ends of lines."""
    if name == "points":
        return {} if "ground_m" in columns else {"ground_m": pa.array(shapely.get_z(geometries))}
    ends = {"start_level_m": 0, "end_level_m": -1}
    return {
        field: pa.array(shapely.get_z(shapely.get_point(geometries, at)))
        for field, at in ends.items()
        if field not in columns
    }


def _class_of(layer: str) -> str | None:
    """The class that a layer's name begins with, such as `JS_LINE` or `给水管线`."""
    known = words.table("pipe_class")
    name = layer.casefold()
    bare = re.split(r"[-_ .\d]|line|point|管", name, maxsplit=1)[0]
    return next((known[w] for w in (name, bare, name[:2]) if w in known), None)
