"""The audit trail: nothing is lost, nothing is changed unseen, a flood does not drown the database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from gis_core import audit
from gis_core.access import PUBLIC, Role, Viewer
from gis_core.audit import Trail
from gis_core.cluster import Cluster
from gis_core.database import Database

WHO = Viewer(Role.operator, name="Wang Fang 王芳")


@pytest.fixture
def trail(database: Database) -> Iterator[Trail]:
    opened = Trail(database)
    yield opened
    opened.close()


def fill(database: Database, rows: int = 12) -> list[int]:
    with database.writing() as connection:
        for number in range(rows):
            audit.record(connection, WHO, "upload", f"pipes/{number}", detail=f"{number} rows")
    return [id_ for id_, _ in reversed(audit.read(database))]


def tamper(database: Database, statement: str, **values: Any) -> None:
    """Change the trail as only a superuser can."""
    with database.writing() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.execute(sa.text(statement), values)


def test_what_is_noted_is_stored_as_it_was(database: Database, trail: Trail) -> None:
    trail.record(PUBLIC, "GET", "/api/export/pipe_segments", allowed=False, detail="role public may not")
    trail.record(WHO, "sign-in", "/", allowed=True)
    assert trail.flush()
    (_, second), (_, first) = audit.read(database)
    assert (first.who, first.role, first.action, first.allowed) == ("public", "public", "GET", False)
    assert (second.who, second.role, second.target) == ("Wang Fang 王芳", "operator", "/")
    assert audit.verify(database).whole


@pytest.mark.parametrize("text", ["\0", "\ud800", "x" * 100_000, "\U0001f6b0 管线", "'; DROP TABLE audit; --", "\r\n"])
def test_any_text_is_kept_and_holds(database: Database, trail: Trail, text: str) -> None:
    trail.record(PUBLIC, "GET", text, allowed=False, detail=text)
    assert trail.flush()
    ((_, entry),) = audit.read(database)
    assert len(entry.target) <= audit.LONGEST_TEXT
    assert audit.verify(database).whole


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit SET who = 'nobody'", "DELETE FROM audit", "TRUNCATE audit", "DELETE FROM audit WHERE false"],
)
def test_rows_are_only_ever_added(database: Database, statement: str) -> None:
    fill(database, 2)
    with pytest.raises(sa.exc.ProgrammingError, match="only ever added"), database.writing() as connection:
        connection.exec_driver_sql(statement)
    assert len(audit.read(database)) == 2


@pytest.mark.parametrize(
    "change",
    [
        "who = 'nobody'", "role = 'admin'", "action = 'view'", "target = ''", "allowed = NOT allowed",
        "detail = detail || '.'", "at = at + interval '1 microsecond'", "digest = sha256(digest)", "previous = digest",
    ],
)  # fmt: skip
def test_an_altered_row_is_found_at_its_place(database: Database, change: str) -> None:
    ids = fill(database)
    assert audit.verify(database) == audit.Verdict(12, audit.verify(database).head)
    tamper(database, f"UPDATE audit SET {change} WHERE id = :id", id=ids[5])
    verdict = audit.verify(database)
    assert not verdict.whole
    assert verdict.broken_at == ids[5]
    assert verdict.rows == 5


def test_a_row_sealed_anew_betrays_itself_at_the_next(database: Database) -> None:
    ids = fill(database)
    _, entry = audit.read(database, before=ids[6], limit=1)[0]
    with database.writing() as connection:
        previous = connection.scalar(sa.text("SELECT previous FROM audit WHERE id = :id"), {"id": ids[5]})
    forged = audit.Entry(entry.at, "nobody", entry.role, entry.action, entry.target, entry.allowed, entry.detail)
    digest = forged.sealed(previous)
    tamper(database, "UPDATE audit SET who = 'nobody', digest = :digest WHERE id = :id", id=ids[5], digest=digest)
    assert audit.verify(database).broken_at == ids[6]


@pytest.mark.parametrize(("gone", "found_at"), [(0, 1), (5, 6)])
def test_a_removed_row_is_found(database: Database, gone: int, found_at: int) -> None:
    ids = fill(database)
    tamper(database, "DELETE FROM audit WHERE id = :id", id=ids[gone])
    assert audit.verify(database).broken_at == ids[found_at]


def test_a_cut_end_is_found_by_whoever_kept_the_newest_digest(database: Database) -> None:
    ids = fill(database)
    head = audit.verify(database).head
    assert audit.verify(database, head).whole
    tamper(database, "DELETE FROM audit WHERE id > :id", id=ids[8])
    assert audit.verify(database).whole
    assert not audit.verify(database, head).whole


def test_an_entry_stands_with_the_change_it_tells_of_or_not_at_all(database: Database) -> None:
    with database.writing() as connection:
        savepoint = connection.begin_nested()
        audit.record(connection, WHO, "upload", "roads")
        savepoint.rollback()
    assert audit.read(database) == []
    with database.writing() as connection:
        audit.record(connection, WHO, "upload", "roads")
    assert len(audit.read(database)) == 1


def test_writers_at_once_make_one_chain(database: Database) -> None:
    trails = [Trail(database) for _ in range(3)]

    def write(number: int) -> None:
        if number % 4 == 3:
            with database.writing() as connection:
                audit.record(connection, WHO, "upload", f"direct {number}")
        else:
            trails[number % 4].record(WHO, "GET", f"queued {number}", allowed=False)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(80)))
    for trail in trails:
        trail.close()
    assert audit.verify(database).rows == 80
    assert len({entry.target for _, entry in audit.read(database)}) == 80


def test_a_flood_of_equal_refusals_becomes_few_rows(database: Database, trail: Trail) -> None:
    for _ in range(5000):
        trail.record(PUBLIC, "GET", "/ogc/collections/pipe_segments", allowed=False, detail="no")
    assert trail.flush()
    entries = [entry for _, entry in audit.read(database)]
    counts = [int(entry.detail[5:-1]) if "(x" in entry.detail else 1 for entry in entries]
    assert sum(counts) == 5000
    assert len(entries) < 50


def test_what_does_not_fit_is_counted(database: Database) -> None:
    with database.writing() as blocked:
        blocked.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('chengtu.audit'))"))
        trail = Trail(database, most=10)
        for number in range(100):
            trail.record(PUBLIC, "GET", f"/{number}", allowed=False)
        assert not trail.flush(0.01)
    trail.close()
    entries = [entry for _, entry in audit.read(database)]
    assert len(entries) <= 21
    told = sum(int(e.detail.split()[0]) for e in entries if e.action == "audit")
    assert told + sum(e.action == "GET" for e in entries) == 100


def test_a_database_that_is_away_is_waited_for(cluster: Cluster, template: str) -> None:
    name = "t_audit_away"
    database = Database(cluster.url(name))
    trail = Trail(database)
    trail.record(PUBLIC, "GET", "/early", allowed=False)
    assert not trail.flush(0.5)
    cluster.create_database(name, template=template)
    assert trail.flush(20)
    assert [entry.target for _, entry in audit.read(database)] == ["/early"]
    trail.close()
    database.close()
    cluster.drop_database(name)


def test_closing_stores_what_waits_and_ends_without_a_database(database: Database, cluster: Cluster) -> None:
    trail = Trail(database)
    trail.record(PUBLIC, "GET", "/last", allowed=False)
    trail.close()
    assert len(audit.read(database)) == 1
    absent = Trail(Database(cluster.url("no_such_city")))
    absent.record(PUBLIC, "GET", "/lost", allowed=False)
    absent.close()


def test_pages_go_backwards(database: Database) -> None:
    ids = fill(database)
    first = audit.read(database, limit=5)
    second = audit.read(database, limit=5, before=first[-1][0])
    assert [id_ for id_, _ in first + second] == ids[::-1][:10]


def test_the_seal_does_not_hang_on_the_time_zone(database: Database) -> None:
    fill(database, 3)
    with database.writing() as connection:
        name = connection.scalar(sa.text("SELECT current_database()"))
        connection.exec_driver_sql(f"ALTER DATABASE {json.dumps(name)} SET timezone = 'Asia/Shanghai'")
    database.engine.dispose()
    assert audit.verify(database).whole
