"""The city as the doors know it: one object that holds what every request needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gis_core.allowance import Allowance
from gis_core.audit import Trail
from gis_core.database import Database
from gis_core.settings import Settings
from gis_core.spec import Layer
from gis_core.tiles import Tiles
from gis_core.tokens import Door
from twin.feed import Feed
from twin.pipes.networks import Networks
from twin.survey.desk import Desk


@dataclass(frozen=True)
class City:
    """One running city. `facts` are those of its pack (name, title, bounds, datum, time zone, attribution)."""

    settings: Settings
    facts: Mapping[str, Any]
    database: Database
    layers: Mapping[str, Layer]
    feed: Feed
    networks: Networks
    surveys: Desk
    tiles: Tiles
    door: Door
    trail: Trail
    allowance: Allowance
