"""Tokens: what is refused, what a link gives and to whom, how soon a withdrawal holds."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa

import layers
from gis_core import tokens
from gis_core.access import EVERYONE, OUTSIDE, Role
from gis_core.database import Database
from gis_core.errors import BadInput, Forbidden, NotFound, NotSignedIn
from gis_core.tokens import Door


@pytest.fixture
def door(database: Database) -> Door:
    return Door(database)


@pytest.fixture
def elsewhere(database: Database) -> Door:
    """The same doors as another process has them: nothing remembered."""
    return Door(database)


@pytest.fixture
def queries(database: Database) -> Iterator[list[str]]:
    asked: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    sa.event.listen(database.engine, "before_cursor_execute", note)
    yield asked
    sa.event.remove(database.engine, "before_cursor_execute", note)


def end_now(database: Database, token: str) -> None:
    with database.writing() as connection:
        connection.execute(
            sa.text("UPDATE token SET expires_at = now() - interval '1 second' WHERE digest = :digest"),
            {"digest": tokens.digest_of(token)},
        )


def refusal(door: Door, token: str) -> str:
    with pytest.raises(NotSignedIn) as caught:
        door.recognise(token)
    return caught.value.detail


def test_a_token_is_stored_as_a_digest_only(database: Database, door: Door) -> None:
    token = door.make("wall", name="the wall in the hall")
    assert len(token) == len("ct_") + 43
    with database.writing() as connection:
        stored = connection.execute(sa.text("SELECT t::text FROM token t")).scalar_one()
    assert token not in stored
    assert token[3:] not in stored
    assert tokens.digest_of(token).hex() in stored


@pytest.mark.parametrize("role", [r for r in Role if r is not Role.public])
def test_every_role_comes_in(door: Door, elsewhere: Door, role: Role) -> None:
    token = door.make(role, owner="water works" if role == Role.utility else None)
    viewer = elsewhere.recognise(token)
    assert viewer.role is role
    assert viewer.scope == ("water works" if role == Role.utility else EVERYONE if viewer.may("staff") else OUTSIDE)
    assert viewer.expires_at is not None
    assert timedelta(days=29) < viewer.expires_at - datetime.now(UTC) <= timedelta(days=30)


@pytest.mark.parametrize(
    ("role", "more", "word"),
    [
        ("public", {}, "role"),
        ("mayor", {}, "role"),
        ("", {}, "role"),
        ("utility", {}, "owner"),
        ("utility", {"owner": "  "}, "owner"),
        ("utility", {"owner": "*"}, "owner"),
        ("utility", {"owner": "-"}, "owner"),
        ("utility", {"owner": "a\0b"}, "owner"),
        ("utility", {"owner": "x" * 201}, "owner"),
        ("wall", {"name": "line\nbreak"}, "name"),
        ("wall", {"area": "110115"}, "area"),
        ("wall", {"days": 0}, "days"),
        ("wall", {"days": -1}, "days"),
        ("wall", {"days": 367}, "days"),
        ("wall", {"days": float("nan")}, "days"),
        ("wall", {"days": 1e300}, "days"),
        ("wall", {"hours": -3}, "days"),
    ],
)
def test_what_cannot_be_a_token(door: Door, role: str, more: dict[str, Any], word: str) -> None:
    with pytest.raises(BadInput, match=word):
        door.make(role, **more)
    assert door.list() == ()


def test_every_bad_token_is_refused_in_the_same_words(database: Database, door: Door, elsewhere: Door) -> None:
    expired, withdrawn, used = door.make("admin", hours=1), door.make("admin"), door.make("admin", once=True)
    end_now(database, expired)
    door.revoke(withdrawn)
    door.claim(used)
    good = door.make("admin")
    forged = [
        "", "ct_", "ct_" + secrets.token_urlsafe(32), good[:-1] + ("A" if good[-1] != "A" else "B"), good.lower(),
        good + " ", "x" * 100_000, "\ud800", "\0", "ct_' OR 1=1 --", tokens.digest_of(good).hex(),
    ]  # fmt: skip
    words = {refusal(d, token) for d in (door, elsewhere) for token in (expired, withdrawn, used, *forged)}
    assert len(words) == 1
    for token in (*forged, expired, withdrawn, used):
        with pytest.raises(NotSignedIn):
            door.claim(token)
    assert door.recognise(good).role is Role.admin


def test_a_token_that_was_just_recognised_costs_no_query(door: Door, queries: list[str]) -> None:
    token = door.make("wall")
    door.recognise(token)
    queries.clear()
    for _ in range(100):
        assert door.recognise(token).role is Role.wall
    assert queries == []


def test_forged_tokens_do_not_push_out_what_is_remembered(door: Door, queries: list[str]) -> None:
    token = door.make("wall")
    door.recognise(token)
    for _ in range(20):
        refusal(door, "ct_" + secrets.token_urlsafe(32))
    queries.clear()
    door.recognise(token)
    assert queries == []


def test_a_withdrawn_token_is_refused_at_once_here_and_soon_elsewhere(
    door: Door, elsewhere: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = door.make("operator")
    door.recognise(token)
    elsewhere.recognise(token)
    assert door.revoke(token) == 1
    refusal(door, token)
    later = time.monotonic() + tokens.REMEMBERED_S
    monkeypatch.setattr(time, "monotonic", lambda: later)
    refusal(elsewhere, token)


def test_a_token_withdrawn_while_it_is_looked_up_is_not_remembered(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    token = door.make("operator")
    real = Door._viewer

    def withdraw_first(self: Door, row: Any) -> Any:
        self.revoke(token)
        return real(self, row)

    monkeypatch.setattr(Door, "_viewer", withdraw_first)
    door.recognise(token)
    refusal(door, token)


def test_a_remembered_token_still_expires_on_time(database: Database, door: Door) -> None:
    token = door.make("wall", hours=1)
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE token SET expires_at = now() + interval '300 ms'")
    door.recognise(token)
    with database.writing() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(0.35)")
    refusal(door, token)


# ---- links and sessions


def test_a_link_works_until_it_is_opened_and_then_never_again(door: Door, elsewhere: Door) -> None:
    link = door.make("utility", owner="gas board", once=True, name="gas")
    assert door.recognise(link).owner == "gas board"
    session = elsewhere.claim(link)
    viewer = elsewhere.recognise(session)
    assert (viewer.role, viewer.owner, viewer.name) == (Role.utility, "gas board", "gas")
    assert viewer.expires_at is not None
    assert viewer.expires_at - datetime.now(UTC) <= tokens.SESSION
    with pytest.raises(NotSignedIn):
        door.claim(link)
    refusal(elsewhere, link)


def test_of_twenty_who_open_a_link_at_once_one_gets_in(database: Database) -> None:
    doors = [Door(database) for _ in range(4)]
    for _ in range(3):
        link, start = doors[0].make("admin", once=True), Barrier(20)

        def race(i: int, link: str = link, start: Barrier = start) -> str | None:
            start.wait()
            try:
                return doors[i % 4].claim(link)
            except NotSignedIn:
                return None

        with ThreadPoolExecutor(20) as pool:
            won = [session for session in pool.map(race, range(20)) if session]
        assert len(won) == 1
        assert doors[1].recognise(won[0]).role is Role.admin


def test_a_lasting_token_opens_many_sessions_none_longer_than_itself(door: Door) -> None:
    token = door.make("planner", hours=2)
    first, second = door.claim(token), door.claim(token)
    assert first != second
    until = door.recognise(token).expires_at
    for session in (first, second):
        assert door.recognise(session).expires_at == until
        with pytest.raises(NotSignedIn):
            door.claim(session)


def test_withdrawing_a_token_ends_its_sessions_and_no_others(door: Door, elsewhere: Door) -> None:
    token, other = door.make("planner"), door.make("planner")
    session, spared = door.claim(token), door.claim(other)
    door.recognise(session)
    assert door.revoke(token) == 2
    assert door.revoke(token) == 0
    for d in (door, elsewhere):
        refusal(d, session)
        d.recognise(spared)


def test_signing_out_leaves_the_token_itself(door: Door) -> None:
    token = door.make("planner")
    session = door.claim(token)
    assert door.revoke(session) == 1
    refusal(door, session)
    assert door.recognise(token).role is Role.planner


def test_the_list_says_what_each_token_is_and_its_id_withdraws_it(database: Database, door: Door) -> None:
    link, lasting, old = door.make("wall", once=True), door.make("admin", name="Li Wei"), door.make("wall")
    end_now(database, old)
    door.claim(link)
    keys = {(key.kind, key.state): key for key in door.list()}
    assert set(keys) == {("link", "used"), ("session", "valid"), ("lasting", "valid"), ("lasting", "expired")}
    key = keys["lasting", "valid"]
    assert key.name == "Li Wei"
    door.recognise(lasting)
    assert door.revoke(key.id) == 1
    refusal(door, lasting)
    for wrong in ("", "ct_x", "0" * 16, "%" * 16, "admin"):
        with pytest.raises(NotFound):
            door.revoke(wrong)


# ---- areas


def test_a_token_may_be_bound_to_an_area(database: Database) -> None:
    door = Door(database, tokens.areas_of(database, layers.load()["admin_areas"]))
    with pytest.raises(BadInput, match="110115001"):
        door.make("wall", area="110115001")
    with database.writing() as connection:
        connection.exec_driver_sql(
            "INSERT INTO admin_areas (geom, cell, code, name, level) VALUES"
            " (ST_Multi(ST_MakeEnvelope(116, 39, 117, 40, 4326)), 0, '110115001', 'Xingfeng', 2)"
        )
    token = door.make("wall", area="110115001")
    session = door.claim(token)
    viewer = door.recognise(session)
    assert viewer.area == "110115001"
    with database.writing() as connection:
        query = sa.text("SELECT ST_Area(ST_GeomFromWKB(:wkb, 4326))")
        assert connection.scalar(query, {"wkb": viewer.area_wkb}) == pytest.approx(1.0)
        connection.exec_driver_sql("DELETE FROM admin_areas")
    fresh = Door(database, tokens.areas_of(database, layers.load()["admin_areas"]))
    with pytest.raises(Forbidden, match="no longer there"):
        fresh.recognise(token)
    with pytest.raises(Forbidden, match="no longer there"):
        Door(database).recognise(token)
