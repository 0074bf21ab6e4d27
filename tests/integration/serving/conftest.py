"""One small city for the whole folder, served by the product's own application."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from fastapi.testclient import TestClient

from gis_core.cluster import Cluster
from gis_core.database import Database
from gis_core.ingest import Source, ingest_frame
from gis_core.settings import Settings
from gis_core.spec import Layer
from gis_core.tokens import Door
from web_map.service import create_app

FACTS: dict[str, Any] = {
    "name": "daxing",
    "title": {"zh": "大兴", "en": "Daxing"},
    "center": [116.35, 39.65],
    "zoom": 12,
    "bounds": [116.2, 39.5, 116.5, 39.8],
    "datum": "CGCS2000",
    "metric_crs": "EPSG:4548",
    "time_zone": "Asia/Shanghai",
    "attribution": ["made by a test"],
    "adcode": "110115",
}
PIPES = 400
SECRET = "ductile iron K9"  # noqa: S105  a material that not everybody may see

Headers = dict[str, str]


@pytest.fixture(scope="package")
def city(cluster: Cluster, template: str, all_layers: dict[str, Layer]) -> Iterator[Database]:
    """A database with pipes of two owners, car parks, buildings and cameras."""
    name = f"served_{uuid.uuid4().hex[:12]}"
    cluster.create_database(name, template=template)
    database = Database(cluster.url(name), pool_size=4)
    for layer, frame in frames().items():
        source = Source(f"{layer} of the test", simulated=layer != "parking")
        report = ingest_frame(database, all_layers[layer], frame, source=source)
        assert report.stored == len(frame), report.problems
    yield database
    database.close()
    cluster.drop_database(name)


@pytest.fixture(scope="package")
def client(city: Database) -> Iterator[TestClient]:
    """A client of the served city; without a token it is the public."""
    with TestClient(create_app(Settings(home=Path("unused"), detail_limit_km2=1000), city, FACTS)) as opened:
        yield opened


@pytest.fixture(scope="package")
def signed(city: Database) -> Callable[..., Headers]:
    """Makes the header of somebody with a role, perhaps bound to an owner."""
    door = Door(city)
    made: dict[tuple[str, str | None], Headers] = {}

    def sign(role: str, owner: str | None = None) -> Headers:
        if (role, owner) not in made:
            made[role, owner] = {"Authorization": f"Bearer {door.make(role, owner=owner)}"}
        return made[role, owner]

    return sign


def frames() -> dict[str, gpd.GeoDataFrame]:
    """The rows of the small city, by layer; the same at each call."""
    random = np.random.default_rng(20261122)
    return {
        "pipe_segments": pipes(PIPES, random),
        "parking": _parking(150, random),
        "buildings": _buildings(120, random),
        "cameras": _cameras(20, random),
        "grid_cells": _grid_cells(random),
    }


def pipes(count: int, random: np.random.Generator) -> gpd.GeoDataFrame:
    """Pipes of three vertices; every third belongs to B; some years and materials are not known."""
    x, y = _places(count, random)
    turn = random.uniform(0, 0.004, (2, count))
    lines = np.stack([np.stack([x, x + turn[0], x + 2 * turn[0]]), np.stack([y, y + turn[1], y])], axis=2)
    number = np.arange(count)
    values = {
        "code": [f"P{i:05}" for i in number],
        "pipe_class": np.array(["water", "gas", "sewage"])[number % 3],
        "diameter_mm": np.array([100.0, 300.0, 600.0, 800.0])[number % 4],
        "material": np.where(number % 5 == 0, None, SECRET),
        "start_depth_m": 1.0 + number % 7 / 10,
        "end_depth_m": 1.5,
        "built_year": [None if i % 4 == 0 else int(1987 + i % 11) for i in number],
        "length_m": random.uniform(20, 400, count).round(2),
        "road_name": [None if i % 6 == 0 else f"Café 路 {i % 9}" for i in number],
        "owner": np.where(number % 3 == 1, "B", "A"),
    }
    return _frame(values, [shapely.LineString(line) for line in lines.transpose(1, 0, 2)])


def _parking(count: int, random: np.random.Generator) -> gpd.GeoDataFrame:
    x, y = _places(count, random)
    values = {
        "code": [f"K{i:04}" for i in range(count)],
        "name": ["=1+1", "+86 10 car park", "@place", "-5", *(f"停车场 {i}" for i in range(4, count))],
        "kind": np.array(["surface", "garage"])[np.arange(count) % 2],
        "bays": random.integers(10, 400, count),
        "fee": [None if i % 2 else "5 元/h, 20 元 max" for i in range(count)],
    }
    return _frame(values, shapely.points(x, y))


def _buildings(count: int, random: np.random.Generator) -> gpd.GeoDataFrame:
    x, y = _places(count, random)
    side = random.uniform(0.0002, 0.02, count)
    values = {
        "code": [f"H{i:04}" for i in range(count)],
        "height_m": random.uniform(3, 120, count).round(1),
        "floors": random.integers(1, 30, count),
        "footprint_m2": (side * 100_000) ** 2,
    }
    return _frame(values, shapely.box(x, y, x + side, y + side))


def _cameras(count: int, random: np.random.Generator) -> gpd.GeoDataFrame:
    x, y = _places(count, random)
    values = {"code": [f"C{i:03}" for i in range(count)], "name": [f"路口 {i}" for i in range(count)]}
    return _frame(values, shapely.points(x, y))


def _grid_cells(random: np.random.Generator) -> gpd.GeoDataFrame:
    x, y = np.meshgrid(116.3 + np.arange(5) / 100, 39.6 + np.arange(5) / 100)
    values = {
        "code": [f"110115001001{i:03}" for i in range(25)],
        "area_m2": random.uniform(1e5, 1e6, 25),
        "steward": [SECRET] * 25,
    }
    return _frame(values, shapely.box(x.ravel(), y.ravel(), x.ravel() + 0.01, y.ravel() + 0.01))


def _places(count: int, random: np.random.Generator) -> tuple[Any, Any]:
    return 116.3 + random.random(count) * 0.1, 39.6 + random.random(count) * 0.1


def _frame(values: dict[str, Any], shapes: Any) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(values, geometry=list(shapes), crs="EPSG:4326")
