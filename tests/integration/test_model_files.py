"""Model files from the command line: stored in both layers or in neither, and back out as models."""

from __future__ import annotations

from pathlib import Path

import pytest
import shapely
import sqlalchemy as sa
from click.testing import CliRunner

import layers
from gis_core import crs
from gis_core.access import Role, Viewer
from gis_core.database import Database
from gis_core.errors import Unprocessable
from gis_core.settings import Settings
from gis_core.tokens import Door
from scripts.cli import main
from scripts.modelling import store_model
from scripts.opening import OpenCity
from tests.integration.test_locked_doors import FACTS
from twin.pipes import epanet, models
from twin.pipes.permit import Desk

METRIC = "EPSG:32719"
WATER = """[TITLE]
a street
[JUNCTIONS]
 a 40 5
 b 38 2
[RESERVOIRS]
 r 90
[PIPES]
 p1 r a 100 300 130 0 OPEN
 p2 a b 200 200 130 0 OPEN
[OPTIONS]
 UNITS CMH
 HEADLOSS H-W
[COORDINATES]
 r 282000 6684000
 a 282100 6684000
 b 282300 6684000
[END]
"""


def town(database: Database) -> OpenCity:
    return OpenCity(Settings(), FACTS, database, Door(database))


def rows(database: Database, table: str) -> int:
    with database.writing() as connection:
        return int(connection.scalar(sa.text(f"SELECT count(*) FROM {table}")) or 0)


def test_a_water_model_is_stored_and_leaves_as_it_came(database: Database, tmp_path: Path) -> None:
    file, said = tmp_path / "street.inp", list[str]()
    file.write_text(WATER, encoding="utf-8")
    store_model(town(database), file, kind="water", datum=METRIC, owner="W", say=said.append)
    assert (rows(database, "pipe_points"), rows(database, "pipe_segments")) == (3, 2)
    area = shapely.box(281_900, 6_683_900, 282_400, 6_684_100)
    place = crs.to_lonlat([area], crs.declare(METRIC))[0]  # type: ignore[arg-type]
    desk = Desk(database, layers.load(), Viewer(Role.admin, name="test"), METRIC)
    made = models.export(desk, "water", place)
    assert made.pipes == 2
    network = epanet.read_model(made.text)
    assert (network.num_junctions, network.num_reservoirs, network.num_pipes) == (2, 1, 2)
    assert network.get_node("W/a").base_demand * 3600 == pytest.approx(5)
    assert network.get_link("W/p2").length == pytest.approx(200)
    loss = models.pressure_loss(desk, place, ["W/p2"], 14.0, 10)
    assert loss["worst"] == [{"code": "W/b", "before_m": pytest.approx(100, abs=60), "after_m": 0.0, "cut_off": True}]


def test_rows_that_are_refused_leave_nothing(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "wide.inp"
    file.write_text(WATER.replace(" 200 200 130", " 200 99000 130"), encoding="utf-8")
    with pytest.raises(Unprocessable, match="rows are refused"):
        store_model(town(database), file, kind="water", datum=METRIC, owner="W", say=print)
    assert (rows(database, "pipe_points"), rows(database, "pipe_segments")) == (0, 0)


@pytest.mark.shared
def test_a_real_storm_model_is_stored(database: Database, shared: Path) -> None:
    file, said = shared / "drainage" / "bantian_shenzhen_rebuilt.inp", list[str]()
    store_model(town(database), file, kind="storm", datum="EPSG:4547", owner="D", say=said.append)
    assert (rows(database, "pipe_points"), rows(database, "pipe_segments")) == (553, 461)


def test_the_command_says_what_it_needs() -> None:
    told = CliRunner().invoke(main, ["model", "--help"])
    assert told.exit_code == 0
    assert "EPANET" in told.output
