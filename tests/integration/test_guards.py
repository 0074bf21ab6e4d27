"""The locks inside PostGIS: who reads which rows under the reader role, and what raises a layer's version."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

import layers
from gis_core import guards
from gis_core.access import PUBLIC, READER, Role, Viewer
from gis_core.cluster import Cluster
from gis_core.database import Database
from gis_core.errors import Unavailable
from gis_core.model import metadata
from gis_core.spec import Layer

WATER = Viewer(Role.utility, owner="water works")
GAS = Viewer(Role.utility, owner="gas board")
STAFF = (Viewer(Role.wall), Viewer(Role.planner), Viewer(Role.operator), Viewer(Role.admin))
OUTSIDERS = (PUBLIC, Viewer(Role.auditor))
OWNED = [layer.name for layer in layers.load().values() if layer.access.owner is not None]


def lay_pipes(database: Database, count: int = 40) -> None:
    """Short pipes in a square of 0.3 degrees, in turn of both owners, each with one cell."""
    with database.writing() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO pipe_segments"
                " (geom, cell, code, pipe_class, diameter_mm, start_depth_m, end_depth_m, owner)"
                " SELECT ST_SetSRID(ST_MakeLine(ST_Point(x, y), ST_Point(x + 0.0005, y + 0.0003)), 4326), i, 'c' || i,"
                " 'water', 300, 1, 2, CASE mod(i, 2) WHEN 0 THEN :water ELSE :gas END"
                " FROM (SELECT i, -71.4 + mod(i * 7919, 10007) * 0.3 / 10007 AS x,"
                " -30 + mod(i * 104729, 10009) * 0.3 / 10009 AS y FROM generate_series(1, CAST(:count AS bigint)) i) s"
            ),
            {"count": count, "water": WATER.owner, "gas": GAS.owner},
        )
        connection.exec_driver_sql("INSERT INTO pipe_segments_cells SELECT id, cell, 1 FROM pipe_segments")


def version(database: Database, layer: str = "pipe_segments") -> int:
    with database.writing() as connection:
        query = sa.text("SELECT version FROM change WHERE layer = :layer")
        return int(connection.scalar(query, {"layer": layer}) or 0)


def owners(database: Database, viewer: Viewer) -> list[str]:
    with database.reading(viewer) as connection:
        return list(connection.scalars(sa.text("SELECT DISTINCT owner FROM pipe_segments ORDER BY 1")))


def test_the_second_lock_alone_keeps_owners_apart(database: Database) -> None:
    lay_pipes(database)
    assert owners(database, WATER) == ["water works"]
    assert owners(database, GAS) == ["gas board"]
    assert owners(database, Viewer(Role.utility, owner="nobody")) == []
    for viewer in STAFF:
        assert owners(database, viewer) == ["gas board", "water works"]
    for viewer in OUTSIDERS:
        assert owners(database, viewer) == []


def test_an_owner_called_like_a_scope_opens_nothing(database: Database) -> None:
    lay_pipes(database)
    with database.writing() as connection:
        for name, code in (("-", "c1"), ("", "c2"), ("*", "c3")):
            connection.execute(
                sa.text("UPDATE pipe_segments SET owner = :name WHERE code = :code"), {"name": name, "code": code}
            )
    for viewer in OUTSIDERS:
        assert owners(database, viewer) == []
    assert owners(database, WATER) == ["water works"]
    with database.writing() as connection:
        connection.exec_driver_sql(f"SET LOCAL ROLE {READER}")
        for scope in ("", "-"):
            connection.exec_driver_sql(f"SET LOCAL {guards.SCOPE} = '{scope}'")
            assert connection.scalar(sa.text("SELECT count(*) FROM pipe_segments")) == 0
            assert connection.scalar(sa.text("SELECT count(*) FROM pipe_segments_cells")) == 0


def test_of_a_layer_that_all_may_see_only_the_bound_see_less(database: Database) -> None:
    pipes = layers.load()["pipe_segments"]
    open_pipes = replace(pipes, access=replace(pipes.access, read="public"))
    with database.writing() as connection:
        guards.install(connection, [la if la is not pipes else open_pipes for la in layers.load().values()])
    lay_pipes(database)
    for viewer in (*OUTSIDERS, *STAFF):
        assert owners(database, viewer) == ["gas board", "water works"]
    assert owners(database, WATER) == ["water works"]
    with database.writing() as connection:
        connection.exec_driver_sql(f"SET LOCAL ROLE {READER}")
        assert connection.scalar(sa.text("SELECT count(*) FROM pipe_segments")) == 0


def test_shares_of_cells_are_closed_to_outsiders(database: Database) -> None:
    lay_pipes(database)
    for viewer, expected in ((WATER, 40), (STAFF[0], 40), (PUBLIC, 0)):
        with database.reading(viewer) as connection:
            assert connection.scalar(sa.text("SELECT count(*) FROM pipe_segments_cells")) == expected
    with database.reading(WATER) as connection:
        joined = "SELECT count(*) FROM pipe_segments_cells JOIN pipe_segments f ON f.id = feature_id"
        assert connection.scalar(sa.text(joined)) == 20


def test_no_scope_means_no_row(database: Database) -> None:
    lay_pipes(database)
    with database.writing() as connection:
        connection.exec_driver_sql(f"SET LOCAL ROLE {READER}")
        assert connection.scalar(sa.text("SELECT count(*) FROM pipe_segments")) == 0


def test_every_owned_layer_is_locked(database: Database) -> None:
    query = sa.text("SELECT relname FROM pg_class WHERE relrowsecurity AND relname = ANY(:names)")
    assert OWNED
    with database.writing() as connection:
        assert sorted(connection.scalars(query, {"names": OWNED})) == sorted(OWNED)


def test_the_reader_reads_layers_and_nothing_else(database: Database) -> None:
    allowed = {t.name for t in guards.readable(layers.load().values())}
    assert not allowed & {"token", "audit", "upload"}
    with database.reading(STAFF[3]) as connection:
        for name in sorted(metadata.tables):
            query = sa.text(f"SELECT 1 FROM {name} LIMIT 1")
            if name in allowed:
                connection.execute(query).all()
            else:
                with pytest.raises(sa.exc.ProgrammingError, match="permission denied"), connection.begin_nested():
                    connection.execute(query)


def test_the_reader_writes_nothing(database: Database) -> None:
    with (
        pytest.raises(sa.exc.DBAPIError, match=r"read-only|permission denied"),
        database.reading(STAFF[3]) as connection,
    ):
        connection.exec_driver_sql("DELETE FROM pipe_segments")
    with database.writing() as connection:
        connection.exec_driver_sql(f"SET LOCAL ROLE {READER}")
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"), connection.begin_nested():
            connection.exec_driver_sql("UPDATE pipe_segments SET owner = 'gas board'")


def test_a_connection_goes_back_with_no_role_and_no_scope(database: Database) -> None:
    with database.reading(WATER) as connection:
        pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
    with database.writing() as connection:
        query = "SELECT pg_backend_pid(), current_user, current_setting('chengtu.scope', true)"
        again, user, scope = connection.execute(sa.text(query)).one()
    assert again == pid
    assert user != READER
    assert not scope


@pytest.mark.parametrize("viewer", [WATER, STAFF[0]], ids=["owner", "staff"])
@pytest.mark.parametrize(
    "condition",
    ["shape && ST_TileEnvelope(14, 4950, 9620)", "geom && ST_MakeEnvelope(-71.3, -29.9, -71.29, -29.89, 4326)"],
)
def test_the_spatial_index_serves_under_row_level_security(database: Database, viewer: Viewer, condition: str) -> None:
    lay_pipes(database, 50_000)
    with database.writing() as connection:
        connection.exec_driver_sql("ANALYZE pipe_segments")
    with database.reading(viewer) as connection:
        plan = json.dumps(
            connection.scalar(sa.text(f"EXPLAIN (FORMAT JSON) SELECT count(*) FROM pipe_segments WHERE {condition}"))
        )
    column = condition.split(" ", maxsplit=1)[0]
    assert f"ix_pipe_segments_{column}" in plan
    assert "Seq Scan" not in plan


def test_without_the_mend_the_index_is_lost(database: Database) -> None:
    """What the mend is for: were this to pass no more, PostGIS would need it no more."""
    lay_pipes(database, 5_000)
    with database.writing() as connection:
        connection.exec_driver_sql("ANALYZE pipe_segments")
        connection.exec_driver_sql("ALTER FUNCTION geometry_overlaps(geometry, geometry) NOT LEAKPROOF")
    query = sa.text("EXPLAIN SELECT * FROM pipe_segments WHERE shape && ST_TileEnvelope(14, 4950, 9620)")
    with database.reading(WATER) as connection:
        assert any("Seq Scan" in line for line in connection.scalars(query))
    with database.writing() as connection:
        assert guards.install(connection, layers.load().values()) == ()
    with database.reading(WATER) as connection:
        assert not any("Seq Scan" in line for line in connection.scalars(query))


def test_overlap_tells_nothing_by_failing(database: Database) -> None:
    """Declared leakproof, `&&` must answer for every stored geometry, never fail with what it saw."""
    shapes = (
        "POINT EMPTY", "POINT(1 2)", "POINT(NaN NaN)", "LINESTRING EMPTY", "POLYGON EMPTY", "GEOMETRYCOLLECTION EMPTY",
        "POINT ZM (1 2 3 4)", "CIRCULARSTRING(0 0, 1 1, 2 0)", "POINT(1e308 -1e308)", "TIN EMPTY",
    )  # fmt: skip
    query = sa.text("SELECT ST_SetSRID(CAST(:a AS geometry), :i) && ST_SetSRID(CAST(:b AS geometry), 4326)")
    with database.writing() as connection:
        for a in shapes:
            for b in shapes:
                for srid in (4326, 3857, 0):
                    answer = connection.scalar(query, {"a": a, "b": b, "i": srid})
                    assert isinstance(answer, bool)


def test_installing_again_changes_nothing_and_locks_nothing(database: Database) -> None:
    with database.reading(PUBLIC) as reader:
        reader.exec_driver_sql("SELECT count(*) FROM pipe_segments")
        with database.writing() as connection:
            connection.exec_driver_sql("SET LOCAL lock_timeout = '2s'")
            assert guards.install(connection, layers.load().values()) == ()


def test_a_table_made_again_is_guarded_again(database: Database) -> None:
    with database.writing() as connection:
        for table in (metadata.tables["pipe_segments_cells"], metadata.tables["pipe_segments"]):
            table.drop(connection)
        for table in (metadata.tables["pipe_segments"], metadata.tables["pipe_segments_cells"]):
            table.create(connection)
        guards.install(connection, layers.load().values())
    before = version(database)
    lay_pipes(database)
    assert version(database) == before + 1
    assert owners(database, WATER) == ["water works"]


# ---- versions


def test_a_million_rows_or_many_statements_are_one_step(database: Database) -> None:
    before = version(database)
    with database.writing() as connection:
        for _ in range(3):
            connection.exec_driver_sql("UPDATE pipe_segments SET diameter_mm = 400")
    assert version(database) == before + 1
    lay_pipes(database, 2_000)
    assert version(database) == before + 2


@pytest.mark.parametrize(
    "statement",
    ["UPDATE pipe_segments SET diameter_mm = 400", "DELETE FROM pipe_segments", "TRUNCATE pipe_segments CASCADE"],
)
def test_each_kind_of_statement_raises_the_version(database: Database, statement: str) -> None:
    before = version(database)
    with database.writing() as connection:
        connection.exec_driver_sql(statement)
    assert version(database) == before + 1
    assert version(database, "roads") == 0


def test_a_rolled_back_savepoint_takes_its_step_back(database: Database) -> None:
    before = version(database)
    with database.writing() as connection:
        savepoint = connection.begin_nested()
        connection.exec_driver_sql("DELETE FROM pipe_segments")
        savepoint.rollback()
        assert version(database) == before
        connection.exec_driver_sql("DELETE FROM pipe_segments")
    assert version(database) == before + 1


def test_live_updates_may_be_quiet(database: Database) -> None:
    before = version(database, "parking")
    with database.writing() as connection:
        connection.exec_driver_sql(f"SET LOCAL {guards.QUIET} = 'on'")
        connection.exec_driver_sql("UPDATE parking SET updated_at = now()")
    assert version(database, "parking") == before
    with database.writing() as connection:
        connection.exec_driver_sql(f"SET LOCAL {guards.QUIET} = 'on'")
        connection.exec_driver_sql("DELETE FROM parking")
    assert version(database, "parking") == before + 1


def test_writers_at_once_lose_no_step(database: Database) -> None:
    before = version(database)

    def write(_: int) -> None:
        with database.writing() as connection:
            connection.exec_driver_sql("UPDATE pipe_segments SET diameter_mm = 400")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    assert version(database) == before + 40


def test_every_step_is_told(database: Database) -> None:
    stopping = threading.Event()
    notices: Iterator[str | None] = database.notices(guards.CHANNEL, stopping)
    assert next(notices) is None
    lay_pipes(database)
    told: dict[str, Any] = json.loads(next(notices) or "")
    stopping.set()
    assert told["layer"] == "pipe_segments"
    assert told["version"] == version(database)
    assert set(told) == {"layer", "version", "changed_at"}


# ---- limits


def test_a_read_that_takes_too_long_is_ended(database: Database) -> None:
    with pytest.raises(Unavailable, match="too long"), database.reading(PUBLIC, limit_s=0.05) as connection:
        connection.exec_driver_sql("SELECT pg_sleep(30)")
    with database.reading(PUBLIC) as connection:
        assert connection.scalar(sa.text("SHOW statement_timeout")) == "20s"
    with database.writing() as connection:
        assert connection.scalar(sa.text("SHOW statement_timeout")) == "0"


def test_a_database_that_is_not_there_is_told_without_its_address(cluster: Cluster) -> None:
    absent = Database(cluster.url("no_such_city"))
    with pytest.raises(Unavailable) as caught, absent.reading(PUBLIC):
        pass
    assert "no_such_city" not in caught.value.detail


# ---- a server of somebody else's


@pytest.fixture
def plain_user(cluster: Cluster, all_layers: dict[str, Layer]) -> Iterator[sa.Connection]:
    """Somebody who owns the tables of a database and nothing more of the server."""
    assert all_layers
    user, name = "plain_user", "plain_city"
    cluster.create_database(name)
    with psycopg.connect(cluster.url(name), autocommit=True) as server:
        server.execute(f"CREATE ROLE {user} NOLOGIN")
        server.execute(f"GRANT CREATE ON SCHEMA public TO {user}")
        if server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [READER]).fetchone() is None:
            server.execute(f"CREATE ROLE {READER} NOLOGIN")
    foreign = Database(cluster.url(name))
    with foreign.engine.begin() as connection:
        connection.exec_driver_sql(f"SET ROLE {user}")
        metadata.create_all(connection)
        yield connection
    foreign.close()
    cluster.drop_database(name)
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as server:
        server.execute(f"DROP ROLE {user}")


def test_without_the_role_the_gate_alone_holds_and_a_note_says_so(plain_user: sa.Connection) -> None:
    (note,) = guards.install(plain_user, layers.load().values())
    assert READER in note
    assert f"GRANT {READER} TO plain_user" in note
    plain_user.exec_driver_sql("DELETE FROM parking")
    assert plain_user.scalar(sa.text("SELECT version FROM change WHERE layer = 'parking'")) == 1


def test_without_a_superuser_rows_are_locked_and_a_note_says_what_is_slow(plain_user: sa.Connection) -> None:
    plain_user.exec_driver_sql("RESET ROLE")
    plain_user.exec_driver_sql(f"GRANT {READER} TO plain_user")
    plain_user.exec_driver_sql("SET ROLE plain_user")
    (note,) = guards.install(plain_user, layers.load().values())
    assert "ALTER FUNCTION geometry_overlaps(geometry, geometry) LEAKPROOF;" in note
    plain_user.exec_driver_sql(f"SET LOCAL ROLE {READER}")
    assert plain_user.scalar(sa.text("SELECT count(*) FROM pipe_segments")) == 0
