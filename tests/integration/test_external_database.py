"""Somebody else's PostgreSQL, reached by DATABASE_URL: as superuser, as a plain user, and where we are kept out."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient
from psycopg import sql

from gis_core.access import READER
from gis_core.cluster import Cluster
from gis_core.settings import Settings
from scripts import opening
from scripts.cli import main
from tests.towns import make_town
from web_map.service import create_app

PASSWORD = "s3cr%t/wort"  # noqa: S105  of the test's own server
PIPES = (
    "code,pipe_class,diameter_mm,start_depth_m,end_depth_m,length_m,owner,WKT\n"
    'A1,water,300,1,1,100,A,"LINESTRING(24.95 60.15,24.951 60.15)"\n'
    'A2,water,300,1,1,100,A,"LINESTRING(24.95 60.151,24.951 60.151)"\n'
    'B1,gas,300,1,1,100,B,"LINESTRING(24.95 60.152,24.951 60.152)"\n'
)
TILE = "/ogc/collections/pipe_segments/tiles/WebMercatorQuad/16/18976/37310"


@dataclass
class Server:
    """A server with a superuser and the plain user `plain`, who comes with a password; a cluster of its own."""

    cluster: Cluster
    town: Path
    home: Path

    def make(self, name: str, *, owner: str = "chengtu", postgis: bool = False) -> None:
        """A new database."""
        self.tell("postgres", sql.SQL("CREATE DATABASE {} OWNER {}").format(*map(sql.Identifier, (name, owner))))
        if postgis:
            self.tell(name, "CREATE EXTENSION postgis")

    def tell(self, database: str, order: Any) -> None:
        """Do something as the superuser."""
        with psycopg.connect(self.cluster.url(database), autocommit=True) as connection:
            connection.execute(order)

    def ask(self, database: str, query: Any) -> Any:
        """The first value that a query gives the superuser."""
        with psycopg.connect(self.cluster.url(database)) as connection:
            row = connection.execute(query).fetchone()
            return row[0] if row else None

    def url(self, database: str, user: str = "plain", password: str = PASSWORD, more: str = "") -> str:
        """Where a user finds a database."""
        query = self.cluster.url(database).partition("?")[2]
        return f"postgresql://{user}:{quote(password, safe='')}@/{database}?{query}{more}"

    def run(self, url: str, *words: object) -> Result:
        """The command line with that DATABASE_URL, to its end."""
        environment = {"DATABASE_URL": url, "CHENGTU_HOME": str(self.home)}
        told = CliRunner(env=environment).invoke(main, [str(word) for word in words])
        if told.exception is not None and not isinstance(told.exception, SystemExit):
            raise told.exception
        assert PASSWORD not in told.output
        assert "Traceback" not in told.output
        return told

    def refused(self, url: str, *words: object) -> str:
        """What a command says that must fail: one line."""
        told = self.run(url, *words)
        assert told.exit_code == 1, told.output
        assert told.output.count("\n") == 1, told.output
        return told.output

    @contextmanager
    def served(self, url: str) -> Iterator[TestClient]:
        """The town, served out of that database."""
        settings = Settings(home=self.home, database_url=url, city=str(self.town))
        with opening.city(settings) as city, TestClient(create_app(settings, city.database, city.facts)) as client:
            yield client


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    home = Path(tempfile.mkdtemp(prefix="chengtu-external-"))
    home.chmod(0o755)
    cluster = Cluster(home / "postgres")
    try:
        cluster.start()
        town = make_town(home / "town", parking=20)
        (town / "pipe_segments.csv").write_text(PIPES, encoding="utf-8")
        made = Server(cluster, town, home)
        made.tell("postgres", sql.SQL("CREATE ROLE plain LOGIN PASSWORD {}").format(PASSWORD))
        access = cluster.place / "data" / "pg_hba.conf"
        access.write_text("local all plain scram-sha-256\n" + access.read_text(encoding="utf-8"), encoding="utf-8")
        made.tell("postgres", "SELECT pg_reload_conf()")
        yield made
    finally:
        cluster.remove()
        shutil.rmtree(home, ignore_errors=True)


def as_role(client: TestClient, role: str, owner: str | None = None) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.app.state.city.door.make(role, owner=owner)}"}  # type: ignore[attr-defined]


def look(client: TestClient) -> None:
    """Everything is served, and owners are kept apart."""
    assert client.get("/healthz").status_code == 200
    operator, mine = as_role(client, "operator"), as_role(client, "utility", "A")
    for sent, pipes in ((operator, 3), (mine, 2)):
        found = client.get("/ogc/collections/pipe_segments/items", headers=sent).json()
        assert len(found["features"]) == pipes
        catalog = client.get("/api/catalog", headers=sent).json()
        assert {la["name"]: la["count"] for la in catalog["layers"]}["pipe_segments"] == pipes
        cells = client.get("/api/hexagons/pipe_segments?measure=segments", headers=sent).json()
        assert sum(cells["values"]) == pytest.approx(pipes)
    tile = client.get(TILE, headers=operator)
    assert (tile.status_code, b"B1" in tile.content) == (200, True), tile.text
    tile = client.get(TILE, headers=mine)
    assert (tile.status_code, b"A1" in tile.content, b"B1" in tile.content) == (200, True, False)
    assert client.get(TILE).status_code == 403
    assert client.get("/api/export/parking?format=csv").text.count("\n") == 21
    given = client.post(
        "/api/uploads/parking",
        headers=operator,
        files={"file": ("a.csv", b"code,kind,bays,lon,lat\nP0,surface,9,24.95,60.15\n")},
        data={"datum": "WGS84"},
    )
    assert given.status_code == 201, given.text


def test_a_plain_user_is_served_and_told_what_is_missing(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.make("plain", owner="plain", postgis=True)
    url = server.url("plain")
    assert server.ask("postgres", f"SELECT count(*) FROM pg_roles WHERE rolname = '{READER}'") == 0
    with caplog.at_level(logging.WARNING):
        assert server.run(url, "load", "--city", server.town).exit_code == 0
    assert f"plain cannot act as the role {READER}" in caplog.text
    assert f"CREATE ROLE {READER} NOLOGIN; GRANT {READER} TO plain" in caplog.text
    with server.served(url) as client:
        look(client)
    # Once a superuser has done what was said, both locks hold; only the speed of one is left to mend.
    server.tell("plain", f"CREATE ROLE {READER} NOLOGIN")
    with server.served(url) as client:
        look(client)
    server.tell("plain", f"GRANT {READER} TO plain")
    caplog.clear()
    with caplog.at_level(logging.WARNING), server.served(url) as client:
        look(client)
    assert "cannot act as" not in caplog.text
    assert "LEAKPROOF" in caplog.text
    assert server.ask("plain", "SELECT relrowsecurity FROM pg_class WHERE relname = 'pipe_segments'") is True


def test_a_superuser_needs_nothing_prepared(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.make("bare")
    url = server.cluster.url("bare")
    with caplog.at_level(logging.WARNING):
        told = server.run(url, "load", "--city", server.town)
    assert (told.exit_code, "loaded tinytown" in told.stdout) == (0, True), told.output
    assert not [record for record in caplog.records if "gis_core" in record.name or "scripts" in record.name]
    with server.served(url) as client:
        look(client)
        # Somebody ends all our connections: each pool makes new ones.
        server.tell(
            "bare",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = 'bare' AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
        )
        look(client)
    assert server.run(url, "db", "check").exit_code == 0
    assert server.run(url, "token", "--role", "wall").output.startswith("ct_")


def test_an_address_may_say_how_to_connect(server: Server) -> None:
    more = "&sslmode=prefer&connect_timeout=5&application_name=town&keepalives=1&channel_binding=prefer"
    with server.served(server.cluster.url("bare") + more) as client:
        look(client)


def test_without_postgis_it_says_what_to_type(server: Server) -> None:
    server.make("flat", owner="plain")
    assert "CREATE EXTENSION postgis" in server.refused(server.url("flat"), "load", "--city", server.town)
    assert server.ask("flat", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0


def test_without_the_right_to_make_tables_it_says_so(server: Server) -> None:
    server.make("closed", postgis=True)
    assert "may not make tables" in server.refused(server.url("closed"), "load", "--city", server.town)


def test_another_citys_rows_are_left_alone(server: Server, tmp_path: Path) -> None:
    url = server.cluster.url("bare")
    other = make_town(tmp_path / "other", parking=3)
    (other / "city.toml").write_text(
        (other / "city.toml").read_text(encoding="utf-8").replace("tinytown", "elsewhere"), encoding="utf-8"
    )
    before = server.ask("bare", "SELECT string_agg(code || name, ',' ORDER BY code) FROM parking")
    for words in (("load", "--city", other), ("load", "--again", "--city", other), ("db", "upgrade", "--city", other)):
        assert "holds the city tinytown, not elsewhere" in server.refused(url, *words)
    assert server.ask("bare", "SELECT string_agg(code || name, ',' ORDER BY code) FROM parking") == before


def test_tables_of_the_same_names_are_left_alone(server: Server) -> None:
    server.make("theirs", postgis=True)
    server.tell("theirs", "CREATE TABLE parking AS SELECT 7 AS answer")
    said = server.refused(server.cluster.url("theirs"), "load", "--city", server.town)
    assert "tables that Chengtu did not make: parking" in said
    assert server.ask("theirs", "SELECT answer FROM parking") == 7
    assert server.ask("theirs", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 2


def test_another_programs_migrations_are_left_alone(server: Server) -> None:
    server.make("migrated", postgis=True)
    server.tell("migrated", "CREATE TABLE alembic_version AS SELECT 'abc123'::varchar(32) AS version_num")
    assert "stands at revision abc123" in server.refused(server.cluster.url("migrated"), "load", "--city", server.town)
    assert server.ask("migrated", "SELECT version_num FROM alembic_version") == "abc123"


def test_tables_of_other_names_stay_beside_ours(server: Server) -> None:
    server.make("shared", postgis=True)
    server.tell("shared", "CREATE TABLE invoices AS SELECT 7 AS answer")
    url = server.cluster.url("shared")
    assert server.run(url, "load", "--city", server.town).exit_code == 0
    assert server.run(url, "db", "check").exit_code == 0
    assert server.run(url, "load", "--again", "--city", server.town).exit_code == 0
    assert server.ask("shared", "SELECT answer FROM invoices") == 7
    assert server.ask("shared", f"SELECT has_table_privilege('{READER}', 'invoices', 'SELECT')") is False


def test_who_is_not_let_in_is_told_in_one_line(server: Server) -> None:
    sockets = server.cluster.url("bare").partition("?")[2]
    for url, said in (
        (server.url("plain", password="wr%ng"), "password authentication failed"),  # noqa: S106
        (server.url("plain", user="nobody"), "nobody"),
        (server.url("no_such_database"), "does not exist"),
        (f"postgresql://plain:{quote(PASSWORD, safe='')}@/plain?host=/no/such/folder", "/no/such/folder"),
        (f"postgresql://plain:{quote(PASSWORD, safe='')}@127.0.0.1:1/plain", "127.0.0.1"),
        (f"postgresql://plain:{PASSWORD}@/plain?{sockets}", "postgresql://USER:PASSWORD@HOST:5432/NAME"),
        (f"mysql://plain:{quote(PASSWORD, safe='')}@/plain", "postgresql://USER:PASSWORD@HOST:5432/NAME"),
        (f"postgresql://plain:{quote(PASSWORD, safe='')}@host:port/plain", "postgresql://USER:PASSWORD@HOST:5432/NAME"),
        (f"host=/tmp user=plain password={PASSWORD}", "postgresql://USER:PASSWORD@HOST:5432/NAME"),
        (f"postgresql://plain:{quote(PASSWORD, safe='')}@/plain?{sockets}&no_such_word=1", "5432/NAME"),
        ("postgresql://[::1/plain", "5432/NAME"),
        ("nonsense", "5432/NAME"),
    ):
        assert said in server.refused(url, "load", "--city", server.town), url
        assert said in server.refused(url, "serve", "--port", "0", "--city", server.town), url
