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
    at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
