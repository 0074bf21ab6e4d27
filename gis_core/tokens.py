"""Tokens: who made them, who comes in with them, for how long. Only their digests are stored.

A token is 256 random bits behind `ct_`. There are three kinds:

    lasting   a person's or a machine's own, sent as `Authorization: Bearer`; it may open any number of sessions
    link      `once`: stands in a link; the first who opens the link gets a session, and then it is used up
    session   what a browser keeps in its cookie; lives half a day at most, and ends with the token it came from
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from gis_core import audit, records
from gis_core.access import EVERYONE, OUTSIDE, RIGHTS, Role, Viewer
from gis_core.database import Database
from gis_core.errors import BadInput, Forbidden, NotFound, NotSignedIn
from gis_core.spec import Layer

Areas = Callable[[str], bytes | None]
"""From an area's code to its outline, WKB in EPSG:4326; None where there is no such area."""

SESSION = timedelta(hours=12)
USUAL = timedelta(days=30)
LONGEST = timedelta(days=366)
REMEMBERED_S = 5.0
"""How long another process's revocation may take to be noticed here; a token asks the database only this often."""

KEEPER = Viewer(Role.admin, name="command line")
"""Who makes and withdraws tokens unless somebody else is named: whoever can start commands on this machine."""

_REFUSED = "the token is not valid: it is unknown, used up, expired or withdrawn"
_HOUR = timedelta(hours=1)
_FORM = re.compile(r"ct_[A-Za-z0-9_-]{43}")
_LONGEST_TEXT = 200
_MOST_REMEMBERED = 4096
_SHORTEST_ID = 8
_TOKEN: Any = records.Token.__table__
_VALID = sa.and_(_TOKEN.c.revoked_at.is_(None), _TOKEN.c.expires_at > sa.func.now())
_UNCLAIMED = sa.or_(sa.not_(_TOKEN.c.once), _TOKEN.c.claimed_at.is_(None))


@dataclass(frozen=True)
class Key:
    """A token as an administrator sees it in a list; `id` is what `Door.revoke` takes."""

    id: str
    role: str
    name: str
    owner: str | None
    area: str | None
    kind: str
    state: str
    made_at: datetime
    expires_at: datetime


class Door:
    """Makes, recognises and withdraws the tokens of one city."""

    def __init__(self, database: Database, areas: Areas | None = None) -> None:
        """Keep the doors of this database; without `areas` no token can be bound to an area."""
        self._database = database
        self._areas = areas
        self._known: OrderedDict[bytes, tuple[Viewer, float]] = OrderedDict()
        self._forgotten = 0
        self._lock = threading.Lock()

    def make(
        self,
        role: str,
        *,
        owner: str | None = None,
        area: str | None = None,
        days: float | None = None,
        hours: float | None = None,
        once: bool = False,
        name: str = "",
        by: Viewer = KEEPER,
    ) -> str:
        """A new token, which is known only to the caller from now on; valid for 30 days unless told otherwise.

        The audit trail says who made it.

        Raises:
            BadInput: no such role, a utility without its owner, an unknown area, a lifetime not within (0, 366 days].

        """
        if role not in RIGHTS or role == Role.public:
            roles = ", ".join(r for r in Role if r is not Role.public)
            raise BadInput(f"there are no tokens for the role {role!r}; the roles are {roles}")
        if role == Role.utility and owner is None:
            raise BadInput("a token for a utility needs the owner whose rows it may see")
        for word, text in (("owner", owner), ("area", area), ("name", name or None)):
            if text is not None and (not text.strip() or not text.isprintable() or len(text) > _LONGEST_TEXT):
                raise BadInput(f"the {word} is blank, longer than {_LONGEST_TEXT} characters, or not plain text")
        if owner in (EVERYONE, OUTSIDE):
            raise BadInput(f"{owner!r} is no owner's name")
        if area is not None and self._outline(area) is None:
            raise BadInput(f"there is no area with the code {area!r}")
        lasts_h = USUAL / _HOUR if days is None and hours is None else (days or 0) * 24 + (hours or 0)
        if not 0 < lasts_h <= LONGEST / _HOUR:
            raise BadInput(f"a token is valid for more than 0 and at most {LONGEST.days} days")
        with self._database.writing() as connection:
            token = _store(
                connection,
                {"role": role, "owner": owner, "area": area, "name": name, "once": once},
                expires_at=datetime.now(UTC) + lasts_h * _HOUR,
            )
            words = f"role {role}, owner {owner}, area {area}, {lasts_h:g} h, name {name!r}"
            audit.record(connection, by, "make token", id_of(digest_of(token)), detail=words)
        return token

    def recognise(self, token: str) -> Viewer:
        """Who comes with this token.

        Raises:
            NotSignedIn: the token is forged, used up, expired or withdrawn; it does not say which.
            Forbidden: the area that the token is bound to is no longer there.

        """
        digest = digest_of(token)
        known = self.remembered(token)
        if known is not None:
            return known
        before = self._forgotten
        query = sa.select(_TOKEN).where(_TOKEN.c.digest == digest, _VALID, _UNCLAIMED)
        row = None
        if _FORM.fullmatch(token):
            with self._database.writing() as connection:
                row = connection.execute(query).one_or_none()
        if row is None:
            self._known.pop(digest, None)
            raise NotSignedIn(_REFUSED)
        viewer = self._viewer(row)
        left_s = (row.expires_at - datetime.now(UTC)).total_seconds()
        with self._lock:
            # A token that was withdrawn while its row was on its way here must not be remembered.
            if before == self._forgotten:
                self._known[digest] = (viewer, time.monotonic() + min(REMEMBERED_S, left_s))
                self._known.move_to_end(digest)
                if len(self._known) > _MOST_REMEMBERED:
                    self._known.popitem(last=False)
        return viewer

    def remembered(self, token: str) -> Viewer | None:
        """Who comes with this token if that was asked a moment ago: no query, nothing to wait for."""
        known = self._known.get(digest_of(token))
        return known[0] if known is not None and time.monotonic() < known[1] else None

    def has_met(self, token: str) -> bool:
        """Whether this token was valid when it was last looked at here, however long ago."""
        return digest_of(token) in self._known

    def claim(self, token: str) -> str:
        """A new session's token in exchange for a link's or a lasting one, with the same rights, for half a day.

        Of all who come with the same link at once, exactly one gets a session.

        Raises:
            NotSignedIn: as `recognise`; and a session opens no further session.

        """
        claim = (
            sa.update(_TOKEN)
            .where(_TOKEN.c.digest == digest_of(token), _VALID, _UNCLAIMED, _TOKEN.c.parent.is_(None))
            .values(claimed_at=sa.func.now())
            .returning(_TOKEN)
        )
        with self._database.writing() as connection:
            row = connection.execute(claim).one_or_none()
            if row is None:
                raise NotSignedIn(_REFUSED)
            self._viewer(row)
            end = datetime.now(UTC) + SESSION
            rights = {"role": row.role, "owner": row.owner, "area": row.area, "name": row.name, "once": False}
            session = _store(
                connection,
                {**rights, "parent": row.digest},
                expires_at=end if row.once else min(end, row.expires_at),
            )
        if row.once:
            self._forget(row.digest)
        return session

    def revoke(self, token: str, by: Viewer = KEEPER) -> int:
        """Withdraw a token, given itself or its id, and all sessions that came from it; returns how many were valid.

        Takes effect at once in this process and within seconds in others.

        Raises:
            NotFound: there is no such token, or the id stands for several.

        """
        text = sa.func.encode(_TOKEN.c.digest, "hex")
        if _FORM.fullmatch(token):
            chosen = _TOKEN.c.digest == digest_of(token)
        elif re.fullmatch(rf"[0-9a-f]{{{_SHORTEST_ID},64}}", token):
            chosen = text.startswith(token, autoescape=True)
        else:
            raise NotFound("this is neither a token nor a token's id")
        with self._database.writing() as connection:
            found = list(connection.scalars(sa.select(_TOKEN.c.digest).where(chosen).with_for_update()))
            if len(found) != 1:
                raise NotFound("there is no such token" if not found else "more than one token's id begins like this")
            gone = (
                sa.update(_TOKEN)
                .where(sa.or_(_TOKEN.c.digest == found[0], _TOKEN.c.parent == found[0]), _TOKEN.c.revoked_at.is_(None))
                .values(revoked_at=sa.func.now())
                .returning(_TOKEN.c.digest)
            )
            withdrawn = list(connection.scalars(gone))
            audit.record(connection, by, "withdraw token", id_of(found[0]), detail=f"{len(withdrawn)} were valid")
        self._forget(*withdrawn)
        return len(withdrawn)

    def list(self) -> tuple[Key, ...]:
        """All tokens that were ever made, newest first."""
        state = sa.case(
            (_TOKEN.c.revoked_at.is_not(None), "withdrawn"),
            (sa.not_(_UNCLAIMED), "used"),
            (_TOKEN.c.expires_at <= sa.func.now(), "expired"),
            else_="valid",
        )
        kind = sa.case((_TOKEN.c.parent.is_not(None), "session"), (_TOKEN.c.once, "link"), else_="lasting")
        query = sa.select(_TOKEN, state.label("state"), kind.label("kind")).order_by(_TOKEN.c.made_at.desc())
        with self._database.writing() as connection:
            return tuple(
                Key(
                    id_of(row.digest), row.role, row.name, row.owner, row.area, row.kind, row.state,
                    row.made_at, row.expires_at,
                )
                for row in connection.execute(query)
            )  # fmt: skip

    def _viewer(self, row: Any) -> Viewer:
        outline = None
        if row.area is not None:
            outline = self._outline(row.area)
            if outline is None:
                raise Forbidden(f"this token is bound to the area {row.area}, which is no longer there")
        name = row.name or f"{row.role} {row.digest.hex()[:_SHORTEST_ID]}"
        user = row.name or id_of(row.parent or row.digest)
        return Viewer(Role(row.role), row.owner, row.area, outline, name, row.expires_at, user)

    def _outline(self, code: str) -> bytes | None:
        return self._areas(code) if self._areas is not None else None

    def _forget(self, *digests: bytes) -> None:
        with self._lock:
            self._forgotten += 1
            for digest in digests:
                self._known.pop(digest, None)


def digest_of(token: str) -> bytes:
    """What is stored of a token. It is random and long, so a plain digest gives nothing away."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def id_of(digest: bytes) -> str:
    """How a token is called where it must not be known."""
    return digest.hex()[:16]


def areas_of(database: Database, layer: Layer) -> Areas:
    """The outlines of a layer of areas, by its key."""
    table = layer.model.__table__
    geom = sa.type_coerce(table.c.geom, sa.types.NullType())

    def outline(code: str) -> bytes | None:
        query = sa.select(sa.func.ST_AsBinary(geom, type_=sa.LargeBinary)).where(table.c[layer.key] == code)
        with database.writing() as connection:
            found = connection.scalar(query)
        return bytes(found) if found is not None else None

    return outline


def _store(connection: sa.Connection, values: dict[str, Any], *, expires_at: datetime) -> str:
    token = f"ct_{secrets.token_urlsafe(32)}"
    connection.execute(sa.insert(_TOKEN).values(digest=digest_of(token), expires_at=expires_at, **values))
    return token
