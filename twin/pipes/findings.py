"""Clearance findings of what a viewer may see, told pair by pair: what lies too near, by which rule, and who yields."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import numpy as np

from gis_core import crs
from gis_core.access import Viewer
from gis_core.database import Database
from gis_core.spec import Layer
from twin.pipes import reading
from twin.pipes.clearance import Conflicts, find_conflicts, pipes_of
from twin.pipes.reading import Seen
from twin.pipes.section import size_of

MOST_PIPES: Final = 300_000
_READ_S: Final = 120.0
_ABOUT: Final = ("code", "owner", "section", "simulated")
_USED: Final = (
    "pipe_class", "subclass", "diameter_mm", "width_mm", "height_mm", "wall_mm", "depth_reference", "start_depth_m",
    "end_depth_m", "start_level_m", "end_level_m", "start_point", "end_point", "pressure_class", "laying",
    "voltage_kv", "protection",
)  # fmt: skip

PipeClass = StrEnum(
    "PipeClass", ["water", "storm", "sewage", "combined", "gas", "heat", "power", "telecom", "industrial", "other"]
)
"""The classes of pipes by name, for who asks about one that is not laid yet."""


def check(
    database: Database, layer: Layer, viewer: Viewer, area: Any, metric_crs: str, *, limit: int, all_of: bool
) -> dict[str, Any]:
    """The findings in an area (EPSG:4326; None: everywhere) as JSON, the worst `limit` of them one by one.

    `all_of` also tells those that are short only because the next piece of the same line crosses.

    Raises:
        Forbidden: the viewer may not see the layer.
        Unprocessable: the area is none, or not in the city.
        TooLarge: more pipes than one answer can check.
    """
    place = None if area is None else reading.drawn(area, metric_crs)
    with database.reading(viewer, limit_s=_READ_S) as connection:
        seen = reading.near(connection, layer, viewer, place, metric_crs, columns=(*_ABOUT, *_USED), most=MOST_PIPES)
    if not len(seen):
        return {"pipes": 0, "unruled": 0, "findings": 0, "errors": 0, "by_rule": [], "conflicts": []}
    found = find_conflicts(pipes_of(seen.frame, seen.shapes))
    wanted = np.ones(len(found), np.bool_) if all_of else ~found.beside_crossing
    order = np.flatnonzero(wanted)
    order = order[np.lexsort((found.need[order] - found.gap[order], ~found.warns_only[order]))[::-1]]
    return {
        "pipes": len(seen),
        "unruled": found.unruled,
        "findings": len(order),
        "errors": int((~found.warns_only[order]).sum()),
        "by_rule": _by_rule(found, order),
        "conflicts": _told(found, order[:limit], seen, metric_crs),
    }


def _by_rule(found: Conflicts, order: Any) -> list[dict[str, Any]]:
    numbers, counts = np.unique(found.rule[order], return_counts=True)
    return [
        {"rule": found.rules[n].id, "cited": found.rules[n].cited, "grade": found.rules[n].grade, "count": int(count)}
        for n, count in zip(numbers.tolist(), counts, strict=True)
    ]


def _told(found: Conflicts, order: Any, seen: Seen, metric_crs: str) -> list[dict[str, Any]]:
    lon, lat = crs.convert(found.x[order], found.y[order], crs.declare(metric_crs))
    told = []
    for k, x, y in zip(order.tolist(), lon.tolist(), lat.tolist(), strict=True):
        rule, yields = found.rules[found.rule[k]], int(found.yields[k])
        pair = [_about(seen, int(found.a[k])), _about(seen, int(found.b[k]))]
        told.append(
            {
                "pipes": pair,
                "kind": "beside" if found.horizontal[k] else "crossing",
                "gap_m": round(float(found.gap[k]), 3),
                "needed_m": round(float(found.need[k]), 3),
                "in_space_m": round(float(found.space_gap[k]), 3),
                "axis_depths_m": [round(float(found.depth_a[k]), 3), round(float(found.depth_b[k]), 3)],
                "rule": rule.id,
                "cited": rule.cited,
                "grade": rule.grade,
                "severity": "warning" if found.warns_only[k] else "error",
                "attributes_known": bool(found.certain[k]),
                "yields": pair[yields]["code"] if yields >= 0 else None,
                "beside_crossing": bool(found.beside_crossing[k]),
                "at": [round(x, 7), round(y, 7)],
            }
        )
    return told


def _about(seen: Seen, row: int) -> dict[str, Any]:
    about: dict[str, Any] = seen.frame.iloc[row].to_dict()  # type: ignore[assignment]  # names are texts
    shape = {"size": size_of(about), "simulated": bool(about["simulated"])}
    return {"id": int(about["id"]), **{name: about[name] for name in ("code", "pipe_class", "owner")}, **shape}
