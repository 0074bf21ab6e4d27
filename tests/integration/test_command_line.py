"""The command line in this process: every command, what it prints, what it refuses, and with which exit code."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import geopandas as gpd
import pandas as pd
import psycopg
import pytest
from click.testing import CliRunner, Result

from gis_core.access import Role
from gis_core.cluster import Cluster
from gis_core.database import Database
from gis_core.tokens import Door
from scripts.cli import main
from tests.towns import BAYS, FACTS, make_town, table

TOKEN = re.compile(r"ct_[A-Za-z0-9_-]{43}")
AREA = 'code,name,level,WKT\n110115,Town,1,"POLYGON((24.9 60.1,25 60.1,25 60.2,24.9 60.2,24.9 60.1))"\n'


@dataclass
class Command:
    """The command line, always with the same home."""

    home: Path
    cluster: Cluster

    def __call__(self, *arguments: object, **environment: str) -> Result:
        """Run a command to its end; nothing but an exit may leave it."""
        words = [str(word) for word in arguments]
        told = CliRunner(env={"DATABASE_URL": None, "CHENGTU_HOME": str(self.home), **environment}).invoke(main, words)
        if told.exception is not None and not isinstance(told.exception, SystemExit):
            raise told.exception
        return told

    def done(self, *arguments: object) -> str:
        """What a command that must succeed prints."""
        told = self(*arguments)
        assert told.exit_code == 0, told.output
        return told.stdout

    def refused(self, *arguments: object) -> str:
        """The last line of what a command that must fail says."""
        told = self(*arguments)
        assert told.exit_code in (1, 2), told.output
        assert "Traceback" not in told.output
        return told.stderr.splitlines()[-1]

    def ask(self, query: str) -> Any:
        """The first value that a query gives."""
        with psycopg.connect(self.cluster.url("chengtu_tinytown")) as connection:
            row = connection.execute(query).fetchone()
            return row[0] if row else None


@pytest.fixture(scope="module")
def chengtu() -> Iterator[Command]:
    """A home with a small loaded city; its server is kept running between the commands."""
    home = Path(tempfile.mkdtemp(prefix="chengtu-cli-"))
    home.chmod(0o755)
    keeper = Cluster(home / "postgres")
    try:
        keeper.start()
        command = Command(home, keeper)
        town = make_town(home / "town", parking=40)
        (town / "admin_areas.csv").write_text(AREA, encoding="utf-8")
        command.done("load", "--city", town)
        yield command
    finally:
        keeper.remove()
        shutil.rmtree(home, ignore_errors=True)


def every_command(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("path", list(every_command(main)), ids=" ".join)
def test_every_command_says_what_it_does(chengtu: Command, path: tuple[str, ...]) -> None:
    told = chengtu.done(*path, "--help")
    assert told.startswith("Usage: main")
    command: Any = main
    for name in path:
        command = command.commands[name]
    assert " ".join(command.help.split()[:6]) in " ".join(told.split())
    for option in command.params:
        if isinstance(option, click.Option) and "--home" not in option.opts:
            assert option.help or option.default is not None, (path, option.opts)


@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.public, Role.utility)])
def test_a_token_for_each_role(chengtu: Command, role: Role) -> None:
    made = chengtu.done("token", "--role", role, "--days", "2", "--name", "Ada").strip()
    assert TOKEN.fullmatch(made)
    database = Database(chengtu.cluster.url("chengtu_tinytown"))
    viewer = Door(database).recognise(made)
    database.close()
    assert (viewer.role, viewer.name, viewer.owner) == (role, "Ada", None)


def test_a_token_bound_to_an_owner_or_an_area(chengtu: Command) -> None:
    chengtu.done("token", "--role", "utility", "--owner", "Water Works")
    chengtu.done("token", "--role", "wall", "--area", "110115")
    listed = chengtu.done("token", "--list")
    assert re.search(r"utility .*owner Water Works", listed)
    assert re.search(r"wall .*area 110115", listed)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--role", "utility"), "needs the owner"),
        (("--role", "public"), "no tokens for the role 'public'"),
        (("--role", "king"), "wall, planner, utility"),
        (("--role", "wall", "--days", "0"), "at most 366 days"),
        (("--role", "wall", "--days", "-1"), "at most 366 days"),
        (("--role", "wall", "--days", "367"), "at most 366 days"),
        (("--role", "wall", "--days", "soon"), "'soon'"),
        (("--role", "wall", "--area", "000000"), "no area with the code '000000'"),
        (("--role", "utility", "--owner", " "), "owner is blank"),
        (("--role", "utility", "--owner", "*"), "no owner's name"),
        (("--role", "wall", "--name", "a\0b"), "not plain text"),
        ((), "--role ROLE"),
        (("--role", "wall", "--list"), "--role ROLE"),
        (("--revoke", "zz"), "neither a token nor a token's id"),
        (("--revoke", "0" * 16), "no such token"),
    ],
)
def test_a_token_that_cannot_be(chengtu: Command, given: tuple[str, ...], said: str) -> None:
    tokens = chengtu.ask("SELECT count(*) FROM token")
    assert said in chengtu.refused("token", *given)
    assert chengtu.ask("SELECT count(*) FROM token") == tokens


def test_a_token_is_listed_and_withdrawn(chengtu: Command) -> None:
    made = chengtu.done("token", "--role", "operator", "--name", "to go").strip()
    line = next(line for line in chengtu.done("token", "--list").splitlines() if line.endswith("to go"))
    assert made not in line
    assert " valid " in line
    assert chengtu.done("token", "--revoke", line.split()[0]) == "1 withdrawn\n"
    line = next(line for line in chengtu.done("token", "--list").splitlines() if line.endswith("to go"))
    assert " withdrawn " in line


def test_an_upload_good_bad_and_tried(chengtu: Command, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text(table("G", 5), encoding="utf-8")
    bad.write_text(table("B", 3) + "B9,none,surface,-7,24.95,60.15\nB9,,castle,2,,\n", encoding="utf-8")
    upload = ("upload", "parking")
    before = chengtu.ask("SELECT count(*) FROM parking")
    told = chengtu(*upload, good, "--datum", "WGS84", "--dry-run")
    assert (told.exit_code, "5 of 5 rows would be stored" in told.stdout) == (0, True), told.output
    assert chengtu("upload", "parking", bad, "--datum", "WGS84", "--dry-run").exit_code == 1
    assert chengtu.ask("SELECT count(*) FROM parking") == before
    assert "5 of 5 rows stored" in chengtu.done(*upload, good, "--datum", "WGS84", "--title", "five")
    told = chengtu(*upload, bad, "--datum", "WGS84")
    assert (told.exit_code, "0 of 5 rows stored" in told.stdout) == (1, True), told.output
    assert "row 4, bays" in told.stdout
    assert chengtu.ask("SELECT count(*) FROM parking") == before + 5
    told = chengtu(*upload, bad, "--datum", "WGS84", "--mode", "good-rows")
    assert (told.exit_code, "3 of 5 rows stored" in told.stdout) == (1, True), told.output
    assert chengtu.ask("SELECT count(*) FROM parking") == before + 8
    assert chengtu.ask("SELECT count(*) FROM dataset WHERE title = 'five' AND origin = 'upload'") == 1


def test_an_upload_that_cannot_be(chengtu: Command, tmp_path: Path) -> None:
    good, cut = tmp_path / "good.csv", tmp_path / "cut.zip"
    good.write_text(table("G", 5), encoding="utf-8")
    with zipfile.ZipFile(cut, "w") as archive:
        archive.writestr("a.shp", b"0" * 1000)
    cut.write_bytes(cut.read_bytes()[:500])
    before = chengtu.ask("SELECT count(*) FROM parking"), chengtu.ask("SELECT count(*) FROM dataset")
    for given, said in (
        (("castles", good), "there is no layer 'castles'; the layers are"),
        (("parking", tmp_path / "none.csv"), "none.csv"),
        (("parking", good), "datum"),
        (("parking", good, "--datum", "Mars"), "Mars"),
        (("parking", good, "--mode", "some"), "some"),
        (("parking", cut, "--datum", "WGS84"), "zip"),
        (("parking", tmp_path, "--datum", "WGS84"), ""),
        (("pipe_segments", good, "--datum", "WGS84"), ""),
        (("parking",), "FILE"),
    ):
        assert said in chengtu(*("upload", *given)).stderr, given
        assert chengtu.refused("upload", *given)
    assert (chengtu.ask("SELECT count(*) FROM parking"), chengtu.ask("SELECT count(*) FROM dataset")) == before


def test_an_export_of_each_kind(chengtu: Command, tmp_path: Path) -> None:
    there = chengtu.ask("SELECT count(*) FROM parking")
    readers: dict[str, Any] = {".gpkg": gpd.read_file, ".parquet": gpd.read_parquet, ".csv": pd.read_csv}
    for ending, read in readers.items():
        file = tmp_path / f"bays{ending}"
        for _ in range(2):  # a file that stands is replaced
            assert chengtu.done("export", "parking", file) == f"{there} features in {file}\n"
        assert len(read(file)) == there
    for given, said in (
        (("parking", tmp_path / "bays.xls"), ".gpkg, .parquet, .csv"),
        (("parking", tmp_path / "no" / "bays.csv"), "its folder is not there"),
        (("castles", tmp_path / "bays.csv"), "there is no layer"),
    ):
        assert said in chengtu.refused("export", *given)


def test_the_tables_are_brought_up_to_date_and_checked(chengtu: Command) -> None:
    assert "up to date: chengtu_tinytown" in chengtu.done("db", "upgrade", "--city", chengtu.home / "town")
    chengtu.done("db", "check")
    with psycopg.connect(chengtu.cluster.url("chengtu_tinytown"), autocommit=True) as connection:
        connection.execute("ALTER TABLE parking ADD COLUMN extra text")
        assert "extra" in chengtu.refused("db", "check")
        connection.execute("ALTER TABLE parking DROP COLUMN extra")
    chengtu.done("db", "check")


WRONG = {
    "an unknown city": (("--city", "atlantis"), "coquimbo, daxing, helsinki"),
    "a folder that is no city": (("--city", "/"), "folder with a city.toml"),
    "a data folder that is not there": (("--data", "/nowhere/at/all"), "/nowhere/at/all"),
    "a data folder that is a file": (("--data", __file__), "test_command_line.py"),
    "an extract that is not there": (("--osm", "/nowhere/at.osm.pbf"), "/nowhere/at.osm.pbf"),
    "an extract that is none": (("--osm", __file__), "test_command_line.py"),
    "a port that is none": (("--port", "-1"), "-1"),
    "a port that is too high": (("--port", "65536"), "65536"),
    "a host that is none": (("--host", "no such host"), "no such host"),
    "a home that cannot be": (("--home", "/dev/null/home"), "/dev/null/home"),
}


@pytest.mark.parametrize(("given", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_argument_is_named(chengtu: Command, given: tuple[str, ...], said: str) -> None:
    assert said in chengtu.refused("serve", "--port", "0", *given)


TOMLS = {
    "nothing": "",
    "no TOML": "name = ",
    "another encoding": "\xff",
    "no title": 'name = "a"\nbounds = [1, 2, 3, 4]',
    "bounds of text": FACTS.replace("24.9,", '"west",'),
    "bounds that are nowhere": FACTS.replace("24.9", "nan"),
    "bounds off the globe": FACTS.replace("25.0", "1925.0"),
    "an unknown system": f'metric_crs = "EPSG:1"\n{FACTS}',
    "a system in degrees": f'metric_crs = "EPSG:4326"\n{FACTS}',
    "a name that is a path": FACTS.replace("tinytown", "../town"),
    "a name that is too long": FACTS.replace("tinytown", "t" * 99),
    "a time zone that is none": f'time_zone = "Moon/Sea"\n{FACTS}',
    "a licence for a layer that is none": f'{FACTS}\n[sources.parking]\ndatum = "Mars"',
}


@pytest.mark.parametrize("text", TOMLS.values(), ids=TOMLS)
def test_a_broken_city_is_named(chengtu: Command, tmp_path: Path, text: str) -> None:
    town = make_town(tmp_path / "town", parking=1)
    (town / "city.toml").write_bytes(text.encode("utf-8" if "小" in text else "latin-1"))
    cities = chengtu.cluster.databases()
    assert "city.toml" in chengtu.refused("load", "--city", town)
    assert chengtu.cluster.databases() == cities


def test_what_changed_is_loaded_again_and_uploads_stay(chengtu: Command, tmp_path: Path) -> None:
    town, extra, gift = chengtu.home / "town", tmp_path / "extra", tmp_path / "gift.csv"
    # One row that the pack has too, and two of its own.
    gift.write_text(table("P", 1, "corrected") + table("U", 2, "given").removeprefix(BAYS), encoding="utf-8")
    chengtu.done("upload", "parking", gift, "--datum", "WGS84")

    def load(*more: object) -> bool:
        """Whether this command loads the city."""
        before = chengtu.ask("SELECT loaded_at FROM city")
        chengtu.done("load", "--city", town, *more)
        return bool(chengtu.ask("SELECT loaded_at FROM city") != before)

    assert not load()
    make_town(town, parking=30)
    assert load()
    assert chengtu.ask("SELECT count(*) FROM parking WHERE code LIKE 'P%'") == 30
    names = "SELECT string_agg(name, ',' ORDER BY code) FROM parking WHERE name IN ('given', 'corrected')"
    assert chengtu.ask(names) == "corrected,given,given"
    extra.mkdir()
    for text, loads in (("one", True), (None, False), ("three", True)):
        if text is not None:
            (extra / "notes.txt").write_text(text)
        assert load("--data", extra) is loads, text
    # Other commands take the city as it stands: they do not load it anew without the files it came from.
    before = chengtu.ask("SELECT loaded_at FROM city")
    chengtu.done("token", "--role", "wall", "--city", town)
    assert chengtu.ask("SELECT loaded_at FROM city") == before
    assert load("--again")
    assert chengtu.ask(names) == "corrected,given,given"
