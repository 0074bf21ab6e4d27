"""`/api/pipes/survey-words`: the fields that the columns of a survey may be, and the coordinate systems on offer."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter

from gis_core.access import require
from twin.survey.fields import BY_TABLE
from twin.survey.rules import all_rules
from web_map.asking import Asker, TheCity

router = APIRouter(tags=["pipes"])

_GEOGRAPHIC: Final = (
    ("CGCS2000", "CGCS2000 经纬度", "CGCS2000, degrees"),
    ("WGS84", "WGS 84 经纬度", "WGS 84, degrees"),
    ("GCJ-02", "GCJ-02（火星坐标）", "GCJ-02"),
    ("BD-09", "BD-09（百度坐标）", "BD-09"),
)
_PLANE: Final = "CGCS2000 CM {}E"
_STEP_DEG: Final = 3


@router.get("/api/pipes/survey-words")
def survey_words(city: TheCity, viewer: Asker) -> dict[str, Any]:
    """What the upload page lets a person choose from: fields of both tables, datums, and how many rules there are."""
    require(viewer, "pipes.edit", "upload pipe surveys")
    return {
        "tables": {
            str(table): {
                "title": {"zh": table.label.zh, "en": table.label.en},
                "fields": [
                    {
                        "name": known.name,
                        "label": {"zh": known.label.zh, "en": known.label.en},
                        "unit": known.unit,
                        "essential": known.essential,
                        "mandatory": known.mandatory,
                    }
                    for known in fields
                ],
            }
            for table, fields in BY_TABLE.items()
        },
        "datums": _datums(city.facts),
        "rules": len(all_rules()),
    }


def _datums(facts: Any) -> list[dict[str, Any]]:
    """The city's own plane first, the zones beside it, then what is in degrees."""
    plane = str(facts["metric_crs"])
    told = [{"value": plane, "label": {"zh": f"本市工程坐标（{plane}）", "en": f"The city's plane ({plane})"}}]
    if str(facts["datum"]) == "CGCS2000":
        middle = round(float(facts["center"][0]) / _STEP_DEG) * _STEP_DEG
        for meridian in (middle - _STEP_DEG, middle, middle + _STEP_DEG):
            label = {
                "zh": f"CGCS2000 3°带 中央经线 {meridian}°",
                "en": f"CGCS2000 3-degree zone, central meridian {meridian}°E",
            }
            told.append({"value": _PLANE.format(meridian), "label": label})
    return told + [{"value": value, "label": {"zh": zh, "en": en}} for value, zh, en in _GEOGRAPHIC]
