"""Cleans a register of roadside cameras: hidden characters, directions inside names, and the same camera twice."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from data.frames import frame_of
from data.junctions import cluster
from gis_core import crs

SAME_CAMERA_M: Final = 30.0
_SIDE: Final = "(?:东北|西北|东南|西南|[东西南北])"
_DIRECTION: Final = re.compile(
    f"东南、西北双向|东西双向|南北双向|进出京双向|双向|{_SIDE}向{_SIDE}|[进出]京(?:方向)?|[内外]环(?!路)|下高速方向"
)
_UNKNOWN: Final = re.compile(r"[（(]?方向[待等]确认[）)]?")
_NOISE: Final = re.compile(r"^(?:【六环外】)?(?:大兴区|开发区|丰台区|大兴)\s*|【六环外】")
_JOINED: Final = re.compile(r"(?:交叉口|交口|路口)")
_KINDS: Final = {"inner6Actived": "六环内", "outer6": "六环外", "inner6MaybePos": "六环内（位置待核）"}


def clean(text: str) -> str:
    """The text without hidden characters, of one width, with single blanks."""
    plain = unicodedata.normalize("NFKC", text)
    seen = "".join(" " if c.isspace() else c for c in plain if unicodedata.category(c)[0] != "C" or c.isspace())
    return " ".join(seen.split())


def split_direction(name: str) -> tuple[str, str | None]:
    """The place and the direction that a cleaned name tells, such as `南北双向`; None where it is not known."""
    plain = _UNKNOWN.sub("", name)
    found = _DIRECTION.findall(plain)
    place = _DIRECTION.sub(" ", plain)
    place = re.sub(r"[和+、\s]+$", "", re.sub(r"\s[和+]\s", " ", " ".join(place.split())))
    return place or name, "、".join(dict.fromkeys(found)) or None


def merge_cameras(raw: gpd.GeoDataFrame, towns: gpd.GeoDataFrame | None, metric_crs: str) -> gpd.GeoDataFrame:
    """Rows of the layer `cameras`: entries of one name and direction within 30 m are one, the newest of them kept.

    `raw` has `cameraId`, `name`, `createDate`, `camera_type`, `town`; the town is looked up in `towns` where they are
    given (rows of `admin_areas`), else the register's own word is taken.
    """
    table = raw.assign(clean=raw["name"].map(clean)).sort_values(["createDate", "cameraId"], ascending=False)
    table = table.reset_index(drop=True)
    told = [split_direction(name) for name in table["clean"]]
    place, direction = [t[0] for t in told], [t[1] for t in told]
    same = pd.Series([f"{_key(p)}|{d or ''}" for p, d in told])
    xy = shapely.get_coordinates(crs.to_metric(table.geometry.to_numpy(), metric_crs))
    first = np.zeros(len(table), bool)
    for rows in same.groupby(same).indices.values():
        _, at = np.unique(cluster(xy[rows], SAME_CAMERA_M), return_index=True)
        first[rows[at]] = True
    kept = np.flatnonzero(first)
    town = table["town"].astype(object).where(table["town"].notna(), None).to_numpy(object, copy=True)
    if towns is not None:
        point, area = shapely.STRtree(towns.geometry.to_numpy()).query(table.geometry.to_numpy(), predicate="within")
        town[point] = towns["name"].to_numpy(object)[area]
    return frame_of(
        table.geometry.to_numpy()[kept],
        {
            "code": table["cameraId"].astype(str).to_numpy(object)[kept],
            "name": np.array([_NOISE.sub("", p).strip() or p for p in place], object)[kept],
            "direction": np.array(direction, object)[kept],
            "town": town[kept],
            "kind": table["camera_type"].map(_KINDS).to_numpy(object)[kept],
        },
    )


def _key(place: str) -> str:
    """A place without what people vary in writing it."""
    return re.sub(r"[\s()（）]+", "", _JOINED.sub("口", _NOISE.sub("", place)))
