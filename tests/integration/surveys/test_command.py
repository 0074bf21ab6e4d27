"""`chengtu survey`: what it prints, what it publishes, when it fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gis_core.database import Database
from gis_core.settings import Settings
from gis_core.tokens import Door
from scripts.cli import main
from scripts.opening import OpenCity
from scripts.surveying import survey
from tests.integration.surveys.conftest import FACTS, WATER
from tests.survey_maker import CRS, Made


def run(database: Database, home: Path, files: tuple[Path, Path], *, publish: bool) -> tuple[bool, list[str]]:
    city = OpenCity(Settings(home=home), FACTS, database, Door(database, None))
    said: list[str] = []
    done = survey(
        city, *files, owner=WATER, datum=CRS, encoding=None, scope="extent", publish=publish, accept_warnings=True,
        say=said.append,
    )  # fmt: skip
    return done, said


def test_a_survey_is_told_and_published(database: Database, home: Path, town: Made, tmp_path: Path) -> None:
    done, said = run(database, home, town.write_csv(tmp_path), publish=True)
    assert done
    count = len(town.points) + len(town.lines)
    assert said[-1] == f"published as version 1 of {WATER}: {count} rows"
    assert f"publishing: {count} added, 0 removed, 0 moved, 0 changed" in said
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM pipe_points").scalar_one() == len(town.points)


def test_a_survey_with_errors_is_not_published(
    database: Database, home: Path, altered: Callable[[Callable[[Made], None]], Made], tmp_path: Path
) -> None:
    def spoil(made: Made) -> None:
        made.lines[3]["起点埋深"] = "deep"

    done, said = run(database, home, altered(spoil).write_csv(tmp_path), publish=True)
    assert not done
    assert said[-1].startswith("cannot be published: It has ")
    assert any(line.startswith("error: lines, row 4, start_depth_m: A3 ") for line in said), said
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM pipe_points").scalar_one() == 0


def test_the_command_is_there() -> None:
    names = {option.name for option in main.commands["survey"].params}
    assert {"points", "lines", "owner", "datum", "scope", "publish", "accept_warnings"} <= names
