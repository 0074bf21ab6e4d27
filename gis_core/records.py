"""The tables that are not layers: where data came from, what changed when, who may come in, what was refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from gis_core.model import Record


class City(Record):
    """The city this database holds: one row."""

    __tablename__ = "city"

    name: Mapped[str] = mapped_column(primary_key=True)
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    fingerprint: Mapped[str]
    loaded_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class Dataset(Record):
    """One file or maker from which rows of one layer came; `origin` is `pack` or `upload`."""

    __tablename__ = "dataset"

    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    layer: Mapped[str] = mapped_column(index=True)
    title: Mapped[str]
    licence: Mapped[str] = mapped_column(default="")
    attribution: Mapped[str] = mapped_column(default="")
    datum: Mapped[str] = mapped_column(default="WGS 84")
    simulated: Mapped[bool] = mapped_column(default=False)
    origin: Mapped[str] = mapped_column(default="upload", server_default="upload")
    stored: Mapped[int] = mapped_column(default=0)
    loaded_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class Change(Record):
    """The newest version of each layer: raised by a trigger at every statement that changes its rows."""

    __tablename__ = "change"

    layer: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    changed_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class Token(Record):
    """A key to the doors, known only by its SHA-256 digest; `parent` is that of the key which a session came from."""

    __tablename__ = "token"

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    role: Mapped[str]
    name: Mapped[str] = mapped_column(default="")
    owner: Mapped[str | None]
    area: Mapped[str | None]
    once: Mapped[bool] = mapped_column(default=False)
    claimed_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    made_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    parent: Mapped[bytes | None] = mapped_column(index=True)


class Audit(Record):
    """What was asked of the doors and refused, and every change of data; rows are only ever added.

    `digest` is made of the row and of `previous`, the digest of the row before: see `gis_core.audit`.
    """

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=sa.func.now(), index=True)
    who: Mapped[str]
    role: Mapped[str]
    action: Mapped[str]
    target: Mapped[str]
    allowed: Mapped[bool]
    detail: Mapped[str] = mapped_column(default="")
    previous: Mapped[bytes]
    digest: Mapped[bytes] = mapped_column(unique=True)


class Upload(Record):
    """A file somebody gave, its report, and what became of it."""

    __tablename__ = "upload"

    id: Mapped[str] = mapped_column(primary_key=True)
    layer: Mapped[str]
    who: Mapped[str]
    owner: Mapped[str | None]
    filename: Mapped[str]
    mode: Mapped[str]
    dry_run: Mapped[bool]
    state: Mapped[str]
    stored: Mapped[int] = mapped_column(default=0)
    report: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    said: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")
    at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class Survey(Record):
    """A pipe survey under way: its files lie in the home folder, what was found in them beside those and here.

    `round` counts examinations; what an earlier one still says of itself is not believed. `corrections` are a
    person's to the columns, `report` is what the newest examination found, `difference` what publishing would change.
    """

    __tablename__ = "survey"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(index=True)
    who: Mapped[str]
    name: Mapped[str]
    files: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    datum: Mapped[str | None]
    encoding: Mapped[str | None]
    scope: Mapped[str]
    area: Mapped[bytes | None]
    corrections: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str]
    round: Mapped[int] = mapped_column(default=1)
    begun: Mapped[int] = mapped_column(default=0)
    step: Mapped[dict[str, Any]] = mapped_column(JSONB)
    progress: Mapped[float] = mapped_column(default=0.0)
    report: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    difference: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    version: Mapped[int | None]
    at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    touched_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class SurveyMapping(Record):
    """How an owner's columns are called, as a person corrected and saved it."""

    __tablename__ = "survey_mapping"

    owner: Mapped[str] = mapped_column(primary_key=True)
    mapping: Mapped[dict[str, Any]] = mapped_column(JSONB)
    at: Mapped[datetime] = mapped_column(server_default=sa.func.now())


class SurveyVersion(Record):
    """All pipes of one owner as they stood once something was published; `number` counts from 1 for each owner.

    `origin` is `survey`, `restore` (of the version `restored`), or `before`: what stood when nobody had yet published
    or what came in by another way. `snapshot` holds the rows, `digest` is its SHA-256.
    """

    __tablename__ = "survey_version"
    __table_args__ = (sa.UniqueConstraint("owner", "number"),)

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    owner: Mapped[str]
    number: Mapped[int]
    published_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    who: Mapped[str]
    origin: Mapped[str]
    survey: Mapped[str | None]
    restored: Mapped[int | None]
    points: Mapped[int]
    lines: Mapped[int]
    difference: Mapped[dict[str, Any]] = mapped_column(JSONB)
    digest: Mapped[bytes]
    snapshot: Mapped[bytes] = mapped_column(deferred=True)
