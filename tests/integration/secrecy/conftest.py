"""Pipes of two owners at every level of secrecy, and for each viewer the rows that Python says it may see."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
import sqlalchemy as sa
from fastapi.testclient import TestClient

from gis_core.access import Role, Viewer, hidden, may_read
from gis_core.cluster import Cluster
from gis_core.database import Database
from gis_core.incidents import open_incident
from gis_core.ingest import Source, ingest_frame
from gis_core.settings import Settings
from gis_core.spec import Layer
from gis_core.tokens import Door
from tests.integration.serving.conftest import FACTS
from web_map.service import create_app

PIPES, POINTS = "pipe_segments", "pipe_points"
MARKS = (None, "open", "internal", "restricted", "secret")
INCIDENT = shapely.box(116.32, 39.62, 116.35, 39.65)
OPERATOR = Viewer(Role.operator, name="duty officer")
CLEARED = {
    Role.wall: {"open", "internal"},
    Role.planner: {"open", "internal", "restricted"},
    Role.operator: {"open", "internal", "restricted"},
    Role.admin: set(MARKS),
    Role.utility: set(MARKS),
}
"""Which marks each role may be told beside rows without one, written down a second time."""

Start = Callable[..., TestClient]


@dataclass(frozen=True)
class Sight:
    """A viewer under test."""

    role: Role
    owner: str | None = None

    def __str__(self) -> str:
        """The viewer's name in a list of tests."""
        return f"{self.role} {self.owner}" if self.owner else str(self.role)

    @property
    def viewer(self) -> Viewer:
        """The viewer as the gate knows it."""
        return Viewer(self.role, self.owner)

    def sees(self, frame: gpd.GeoDataFrame) -> set[str]:
        """The codes of the rows that this viewer may see, reckoned here and not by the product."""
        if self.role in {Role.public, Role.auditor}:
            return set()
        if self.role is Role.emergency:
            rows = frame.intersects(INCIDENT)
        else:
            rows = frame["secrecy"].isna() | frame["secrecy"].isin(CLEARED[self.role])
        if self.owner is not None:
            rows &= frame["owner"] == self.owner
        return set(frame["code"][rows])


SIGHTS = (
    Sight(Role.public), Sight(Role.wall), Sight(Role.wall, "A"), Sight(Role.planner), Sight(Role.utility, "A"),
    Sight(Role.utility, "nobody"), Sight(Role.emergency), Sight(Role.operator), Sight(Role.admin),
)  # fmt: skip


def pipes() -> gpd.GeoDataFrame:
    """Two hundred pipes over about 8 km by 11 km; the material names owner and mark, so that it betrays its row."""
    count, random = 200, np.random.default_rng(3)
    x, y = 116.3 + random.random(count) * 0.1, 39.6 + random.random(count) * 0.1
    number = np.arange(count)
    mark = [MARKS[i % 5] for i in number]
    owner = np.where(number % 3 == 1, "B", "A")
    values = {
        "code": [f"P{i:04}" for i in number],
        "pipe_class": np.array(["water", "gas"])[number % 2],
        "diameter_mm": 100.0 + 50 * (number % 9),
        "material": [f"{o} {m} steel" for o, m in zip(owner, mark, strict=True)],
        "start_point": [f"N{i:04}" for i in number],
        "end_point": [f"N{(i + 5) % count:04}" for i in number],
        "start_depth_m": 1.0 + number % 7 / 10,
        "end_depth_m": 1.5,
        "built_year": 1980 + number % 40,
        "pressure_mpa": (number % 8) / 10,
        "length_m": random.uniform(20, 400, count).round(2),
        "road_name": [None if i % 6 == 0 else f"{mark[i]} 路 {i % 9}" for i in number],
        "owner": owner,
        "secrecy": mark,
    }
    lines = [shapely.LineString([(a, b), (a + 0.001, b + 0.0005)]) for a, b in zip(x, y, strict=True)]
    return gpd.GeoDataFrame(values, geometry=lines, crs="EPSG:4326")


def points(lines: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """A valve or manhole at the start of each pipe, of the same owner and mark."""
    number = np.arange(len(lines))
    values = {
        "code": lines["start_point"],
        "pipe_class": lines["pipe_class"],
        "kind": np.array(["valve", "manhole", "source"])[number % 3],
        "depth_m": lines["start_depth_m"],
        "owner": lines["owner"],
        "secrecy": lines["secrecy"],
        "customers": number * 7,
        "valve_open": number % 2 == 0,
        "road_name": lines["road_name"],
    }
    starts = shapely.points(shapely.get_coordinates(lines.geometry.to_numpy())[::2])
    return gpd.GeoDataFrame(values, geometry=list(starts), crs="EPSG:4326")


FRAMES = {PIPES: pipes(), POINTS: points(pipes())}


@pytest.fixture(scope="package")
def filled(cluster: Cluster, template: str, all_layers: dict[str, Layer]) -> Iterator[str]:
    """The name of a database with all rows and one open incident; nobody is connected to it, so it can be copied."""
    name = f"secrecy_{uuid.uuid4().hex[:12]}"
    cluster.create_database(name, template=template)
    database = Database(cluster.url(name))
    for layer, frame in FRAMES.items():
        report = ingest_frame(database, all_layers[layer], frame, source=Source("test", simulated=True))
        assert report.stored == len(frame), report.problems
    open_incident(database, OPERATOR, "burst", INCIDENT, 2)
    database.close()
    yield name
    cluster.drop_database(name)


@pytest.fixture
def copied(cluster: Cluster, filled: str) -> Iterator[Database]:
    """A copy of that database for a test that changes it."""
    yield from copy_of(cluster, filled)


def copy_of(cluster: Cluster, filled: str) -> Iterator[Database]:
    name = f"copy_{uuid.uuid4().hex[:12]}"
    cluster.create_database(name, template=filled)
    database = Database(cluster.url(name), pool_size=4)
    yield database
    database.close()
    cluster.drop_database(name)


def served(database: Database, limit_km2: float = 1e6) -> TestClient:
    """The product's own application over a database."""
    return TestClient(create_app(Settings(home=Path("unused"), detail_limit_km2=limit_km2), database, FACTS))


def header(database: Database, role: str, owner: str | None = None, **more: Any) -> dict[str, str]:
    """How somebody with a role comes in."""
    return {} if role == "public" else {"Authorization": f"Bearer {Door(database).make(role, owner=owner, **more)}"}


def without_what_is_hidden(database: Database, layers: dict[str, Layer], sight: Sight) -> None:
    """Make of a database the one in which only what the viewer may see exists."""
    with database.writing() as connection:
        for name, frame in FRAMES.items():
            kept = sorted(sight.sees(frame))
            connection.execute(sa.text(f"DELETE FROM {name} WHERE code <> ALL (:kept)"), {"kept": kept})
            if unseen := hidden(layers[name], sight.viewer) if may_read(layers[name], sight.viewer) else ():
                connection.execute(sa.text(f"UPDATE {name} SET {', '.join(f'{c} = NULL' for c in unseen)}"))
