"""Drawings of a place in the city, put together from what a viewer may see: section, long profile, dig-permit sheet."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import shapely
import sqlalchemy as sa

from gis_core.access import Viewer, may_read, visible
from gis_core.database import Database
from gis_core.errors import TooLarge, Unprocessable
from gis_core.model import Codes
from gis_core.spec import Layer
from twin.pipes import plan, profile, section, sheet
from twin.pipes.dig import Examination, section_line
from twin.pipes.paper import LIGHT, Drawing, Theme
from twin.pipes.reading import Seen, named, near, unseen
from twin.pipes.section import Cut, Language

SEGMENTS, POINTS, STREETS, BUILDINGS = "pipe_segments", "pipe_points", "roads", "buildings"
LONGEST_SECTION_M: Final = 3_000.0
MOST_REACHES: Final = 300
_BEYOND_M: Final = 5.0
_CLASS_FIELD: Final = "pipe_class"
_SIMULATED: Final = {"zh": "模拟数据", "en": "Simulated data"}
_UNSEEN: Final = {"zh": "附近另有约 {} 段管线不可见", "en": "about {} pipes near it are not shown to you"}
_ONWARD: Final = ("code", "start_point", "end_point", "diameter_mm", "flow")


@dataclass(frozen=True)
class Desk:
    """What drawings are made from: one city's database, its layers and its metric system, for one viewer."""

    database: Database
    layers: Mapping[str, Layer]
    viewer: Viewer
    metric_crs: str

    def near(self, layer: str, place: Any, columns: Sequence[str] | None = None) -> Seen:
        """What the viewer may see of a layer at a place in metres; nothing of a layer that is closed to them."""
        if not may_read(self.layers[layer], self.viewer):
            return Seen(pd.DataFrame(), np.array([], dtype=object))
        with self.database.reading(self.viewer) as connection:
            return near(connection, self.layers[layer], self.viewer, place, self.metric_crs, columns=columns)

    @property
    def classes(self) -> type[Codes]:
        """The classes of pipes with their words and colours."""
        found = self.layers[SEGMENTS].codes(_CLASS_FIELD)
        if found is None:
            raise TypeError(SEGMENTS)
        return found


@dataclass(frozen=True)
class Section:
    """A section: its line in metres, the pipes it cuts, the ground along it where that is known.

    About `unseen` pipes lie in the hexagons there that the viewer may not see.
    """

    line: Any
    cuts: list[Cut]
    ground: Any
    unseen: int

    @property
    def simulated(self) -> bool:
        """Whether any of the pipes is made up."""
        return any(cut.simulated for cut in self.cuts)


def cut_along(desk: Desk, line: shapely.LineString) -> Section:
    """The section along a line in metres.

    Raises:
        Forbidden: the viewer may not see pipes.
        Unprocessable: the line has no length, or is too long for one drawing.
    """
    if not 0 < line.length <= LONGEST_SECTION_M:
        raise Unprocessable(f"a section is up to {LONGEST_SECTION_M:,.0f} m long; this one is {line.length:,.0f} m")
    with desk.database.reading(desk.viewer) as connection:
        seen = near(connection, desk.layers[SEGMENTS], desk.viewer, line, desk.metric_crs)
    points = desk.near(POINTS, line.buffer(20), ("ground_m",))
    cuts = section.cuts_of(line, seen.frame, seen.shapes) if len(seen) else []
    others = unseen(desk.database, desk.layers[SEGMENTS], desk.viewer, line, desk.metric_crs)
    return Section(line, cuts, section.ground_of(line, cuts, points.frame, points.shapes), others.count)


def draw_section(desk: Desk, found: Section, *, language: Language = "zh", theme: Theme = LIGHT) -> Drawing:
    """The drawing of a section."""
    notes = [_SIMULATED[language]] if found.simulated else []
    notes += [_UNSEEN[language].format(found.unseen)] if found.unseen else []
    note = " · ".join(notes)
    return section.draw(
        found.cuts, found.line.length, desk.classes, ground=found.ground, language=language, theme=theme, note=note
    )


def reaches(desk: Desk, codes: Sequence[str] | None, start: str | None) -> tuple[list[profile.Reach], Any]:
    """The pipes of a long profile, and their lines: those with these codes in order, or the way down from a point.

    Raises:
        Forbidden: the viewer may not see pipes.
        Unprocessable: there is no such pipe to see, or they do not follow each other.
    """
    layer, viewer = desk.layers[SEGMENTS], desk.viewer
    with desk.database.reading(viewer) as connection:
        if codes is None:
            codes = profile.downstream(
                start or "", lambda point: _leaving(connection, layer, viewer, point), MOST_REACHES
            )
            if not codes:
                raise Unprocessable(f"no pipe that you may see leaves the point {start!r}")
        seen = named(connection, layer, viewer, "code", codes, desk.metric_crs)
    return profile.path_of(seen.frame.assign(metres=shapely.length(seen.shapes)), codes), seen.shapes


def draw_profile(
    desk: Desk, found: Sequence[profile.Reach], *, language: Language = "zh", theme: Theme = LIGHT
) -> Drawing:
    """The drawing of a long profile."""
    note = _SIMULATED[language] if any(reach.simulated for reach in found) else ""
    return profile.draw(found, desk.classes, language=language, theme=theme, note=note)


def permit(desk: Desk, found: Examination, facts: Mapping[str, Any], purpose: str, at: datetime) -> bytes:
    """The dig-permit sheet of an examination, as PDF; `facts` are those of the city's pack, `at` has a time zone."""
    numbers = {one.id: number for number, one in enumerate(found.neighbours, 1)}
    line = section_line(found.dig, _BEYOND_M)
    cut = cut_along(desk, line)
    dug = (_BEYOND_M, line.length - _BEYOND_M, found.dig.depth_m)
    drawn = section.draw(cut.cuts, line.length, desk.classes, ground=cut.ground, dig=dug, numbers=numbers)
    frame = shapely.box(*plan.extent(found, 182, 96)[:4])
    streets = _if_few(desk, STREETS, frame.buffer(20), ("name", "rank"))
    buildings = _if_few(desk, BUILDINGS, frame, ("code",))
    shown = Seen(*_joined(found.seen, _if_few(desk, SEGMENTS, frame, None)))
    ground = plan.Ground(buildings.shapes.tolist(), streets.shapes.tolist(), streets.frame)
    drawn_plan = plan.draw(replace(found, seen=shown), ground, desk.classes, section=line)
    title = facts["title"]
    heading = sheet.Heading(
        city=" ".join(dict.fromkeys((title["zh"], title["en"]))),
        asked_by=f"{desk.viewer.name} ({desk.viewer.owner or desk.viewer.role})",
        at=at.astimezone(ZoneInfo(facts["time_zone"])),
        purpose=purpose,
        number=_number(found, desk.viewer, at),
        attribution=tuple(facts["attribution"]),
    )
    return sheet.print_sheet(found, heading, desk.classes, drawn_plan, drawn)


def _if_few(desk: Desk, layer: str, place: Any, columns: Sequence[str] | None) -> Seen:
    """What a plan shows of a layer; nothing where it would be too much to be told apart at the plan's scale."""
    try:
        return desk.near(layer, place, columns)
    except TooLarge:
        return Seen(pd.DataFrame(columns=list(columns or ())), np.array([], dtype=object))


def _number(found: Examination, viewer: Viewer, at: datetime) -> str:
    """A number that says when, and what was asked by whom, so that a changed sheet shows."""
    asked = (
        f"{viewer.name}|{shapely.to_wkt(found.dig.outline, rounding_precision=2)}|{found.dig.depth_m}|{at.isoformat()}"
    )
    return f"DX-{at:%Y%m%d-%H%M%S}-{hashlib.sha256(asked.encode()).hexdigest()[:6].upper()}"


def _joined(first: Seen, second: Seen) -> tuple[pd.DataFrame, Any]:
    """Two readings of one layer as one, each row once."""
    frame = pd.concat([first.frame, second.frame], ignore_index=True)
    shapes = [*first.shapes, *second.shapes]
    if frame.empty:
        return frame, first.shapes
    kept = ~frame["id"].duplicated().to_numpy()
    return frame[kept].reset_index(drop=True), [shape for shape, keep in zip(shapes, kept, strict=True) if keep]


def _leaving(connection: sa.Connection, layer: Layer, viewer: Viewer, point: str) -> pd.DataFrame:
    """The pipes at a point that the viewer may see."""
    rows = visible(layer, viewer, {*_ONWARD, "id"})
    told = [c for c in rows.c if c.key in _ONWARD]
    query = sa.select(*told).where(sa.or_(rows.c.start_point == point, rows.c.end_point == point)).limit(50)
    found = [{k: getattr(v, "name", v) for k, v in row._mapping.items()} for row in connection.execute(query)]  # noqa: SLF001
    return pd.DataFrame(found, columns=[c.key for c in told])
