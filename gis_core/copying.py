"""Arrow into PostGIS by binary COPY: straight into an empty table, through a staging table into one that has rows.

Everything here runs in the caller's transaction, so a crash or an error leaves what stood before. pgpq (Arrow to
PostgreSQL's binary COPY format) stands behind this one file. Geometries travel as WKB: the column knows its SRID.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pgpq
import pyarrow as pa
import sqlalchemy as sa

from gis_core.batches import ahead
from gis_core.spec import Layer

Rows: TypeAlias = npt.NDArray[np.int64]

WORTH_REBUILDING: Final = 2_000
"""From so many rows on, an empty table is filled without its indexes, which are then built at once."""
_BATCH: Final = 65_536
_STAGED: Final = "arriving"
_STAGED_COVER: Final = "arriving_cells"
_BUILD_MEMORY: Final = "256MB"
_ANALYZE: Final = "ANALYZE {}"
_CONSTANT: Final = {bool: pa.bool_(), int: pa.int32(), str: pa.string()}


@dataclass(frozen=True)
class Cover:
    """Shares of features in cells: row number of the feature, cell, share, in parallel."""

    row: Rows
    cell: npt.NDArray[np.int64]
    share: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Arrivals:
    """Rows on their way in: those of `table` that `order` names, in the order in which they shall lie on disk.

    `table` has the layer's columns in their final types, `geom` as WKB, and `row`, the row number in the file.
    `constant` columns have one value for all rows. `updated` are the columns that replace those of a row that stands
    under the same key; columns that a file does not have stay as they are.
    """

    table: pa.Table
    order: Rows
    cover: Cover | None
    constant: dict[str, Any]
    updated: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many rows arrive."""
        return len(self.order)

    @property
    def columns(self) -> tuple[str, ...]:
        """The layer's columns that have a value of their own in each row."""
        return tuple(name for name in self.table.column_names if name != "row")

    def batches(self, first_id: int | None = None) -> Iterator[pa.RecordBatch]:
        """The rows in order: from `first_id` on with ids and constants, without it with row numbers."""
        for start in range(0, self.count, _BATCH):
            order = self.order[start : start + _BATCH]
            part = self.table.take(pa.array(order)).combine_chunks()
            columns = {name: part.column(name).chunk(0) for name in self.columns}
            if first_id is None:
                columns["row"] = part.column("row").chunk(0)
            else:
                columns["id"] = pa.array(np.arange(first_id + start, first_id + start + len(order)))
                for name, value in self.constant.items():
                    columns[name] = pa.repeat(pa.scalar(value, _CONSTANT[type(value)]), len(order))
            yield pa.record_batch(columns)


def claim(connection: sa.Connection, layer: Layer) -> bool:
    """Keep all others from writing to the layer until the transaction ends; whether it may be filled as if new.

    It may when it has no row and no other table refers to it.
    """
    table = layer.model.__table__
    name = _quoted(connection, table)
    connection.exec_driver_sql(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
    if connection.scalar(sa.select(sa.exists().select_from(table))):
        return False
    cover = layer.model.cover
    others = sa.text(
        "SELECT EXISTS (SELECT 1 FROM pg_constraint WHERE contype = 'f' AND confrelid = CAST(:t AS regclass)"
        " AND conrelid IS DISTINCT FROM CAST(:cover AS regclass))"
    )
    return not connection.scalar(others, {"t": name, "cover": None if cover is None else _quoted(connection, cover)})


def fill(connection: sa.Connection, layer: Layer, arrivals: Arrivals) -> int:
    """Copy rows straight into an empty table and build its indexes afterwards; returns how many.

    Readers wait until the transaction ends. The table counts as new (TRUNCATE), so that rows arrive frozen and, with
    `wal_level = minimal`, without being written twice.
    """
    table: Any = layer.model.__table__
    cover = layer.model.cover
    tables = [table] if cover is None else [table, cover]
    names = ", ".join(_quoted(connection, t) for t in tables)
    connection.exec_driver_sql(f"SET LOCAL maintenance_work_mem = '{_BUILD_MEMORY}'")
    rebuilt = [statement for t in reversed(tables) for statement in _strip(connection, t)]
    connection.exec_driver_sql(f"TRUNCATE {names}")
    first = _reserve(connection, table, arrivals.count)
    copy(connection, table.name, arrivals.batches(first), options="FREEZE true")
    if cover is not None and arrivals.cover is not None:
        rows = arrivals.table.column("row").to_numpy()[arrivals.order]
        copy(connection, cover.name, _numbered(arrivals.cover, rows, first), options="FREEZE true")
    for statement in reversed(rebuilt):
        connection.exec_driver_sql(statement)
    return arrivals.count


def stage(connection: sa.Connection, layer: Layer, arrivals: Arrivals) -> None:
    """Copy rows into a staging table of this transaction, where they can be compared with what stands."""
    table: Any = layer.model.__table__
    columns = ", ".join(_name(connection, c) for c in arrivals.columns)
    connection.exec_driver_sql(
        f"CREATE TEMP TABLE {_STAGED} ON COMMIT DROP AS"  # noqa: S608  quoted names of our own tables
        f" SELECT 0::bigint AS row, {columns} FROM {_quoted(connection, table)} WITH NO DATA"
    )
    copy(connection, _STAGED, arrivals.batches())
    connection.exec_driver_sql(_ANALYZE.format(_STAGED))
    if arrivals.cover is not None:
        connection.exec_driver_sql(
            f"CREATE TEMP TABLE {_STAGED_COVER} (row bigint, cell bigint, share real) ON COMMIT DROP"
        )
        cover = pa.table(
            {"row": arrivals.cover.row, "cell": arrivals.cover.cell, "share": arrivals.cover.share.astype(np.float32)}
        )
        copy(connection, _STAGED_COVER, cover.to_batches(_BATCH))
        connection.exec_driver_sql(_ANALYZE.format(_STAGED_COVER))


def standing(connection: sa.Connection, layer: Layer, condition: str, **values: Any) -> Rows:
    """The row numbers of staged rows whose key stands already in a row `t` for which the condition holds."""
    key = _name(connection, layer.key)
    found = connection.execute(
        sa.text(
            f"SELECT a.row FROM {_STAGED} a JOIN {_quoted(connection, layer.model.__table__)} t"  # noqa: S608
            f" ON t.{key} = a.{key} WHERE {condition} ORDER BY 1"
        ),
        values,
    )
    return np.array(found.scalars().all(), np.int64)


def unstage(connection: sa.Connection, rows: Rows) -> None:
    """Take rows out of the staging table."""
    connection.execute(sa.text(f"DELETE FROM {_STAGED} WHERE row = ANY(:rows)"), {"rows": rows.tolist()})  # noqa: S608


def publish(connection: sa.Connection, layer: Layer, arrivals: Arrivals) -> int:
    """Insert what is staged, or replace the rows that stand under the same keys; returns how many."""
    table = layer.model.__table__
    target, key = _quoted(connection, table), _name(connection, layer.key)
    cover = layer.model.cover
    if cover is not None:
        connection.exec_driver_sql(
            f"DELETE FROM {_quoted(connection, cover)} c USING {target} t, {_STAGED} a"  # noqa: S608
            f" WHERE t.{key} = a.{key} AND c.feature_id = t.id"
        )
    names = [_name(connection, c) for c in arrivals.columns]
    values = {f"constant_{name}": value for name, value in arrivals.constant.items()}
    listed = ", ".join([*names, *(_name(connection, c) for c in arrivals.constant)])
    chosen = ", ".join([*names, *(f":{value}" for value in values)])
    replaced = [_name(connection, c) for c in (*arrivals.updated, *arrivals.constant)]
    changes = ", ".join([*(f"{name} = excluded.{name}" for name in replaced), "updated_at = now()"])
    stored: int = connection.execute(
        sa.text(
            f"INSERT INTO {target} ({listed}) SELECT {chosen} FROM {_STAGED}"  # noqa: S608
            f" ON CONFLICT ({key}) DO UPDATE SET {changes}"
        ),
        values,
    ).rowcount
    if cover is not None and arrivals.cover is not None:
        connection.exec_driver_sql(
            f"INSERT INTO {_quoted(connection, cover)} (feature_id, cell, share)"  # noqa: S608
            f" SELECT t.id, c.cell, c.share FROM {_STAGED_COVER} c JOIN {_STAGED} a ON a.row = c.row"
            f" JOIN {target} t ON t.{key} = a.{key}"
        )
    return stored


def analyze(connection: sa.Connection, layer: Layer) -> None:
    """Let the planner know what came in."""
    cover = layer.model.cover
    for table in [layer.model.__table__] if cover is None else [layer.model.__table__, cover]:
        connection.exec_driver_sql(_ANALYZE.format(_quoted(connection, table)))


def copy(connection: sa.Connection, table: str, batches: Iterable[pa.RecordBatch], *, options: str = "") -> None:
    """Send record batches into a table's columns of the same names by binary COPY, in one statement."""
    rest = iter(batches)
    first = next(rest, None)
    if first is None:
        return
    driver: Any = connection.connection.driver_connection
    encoder = pgpq.ArrowToPostgresBinaryEncoder(first.schema)
    columns = ", ".join(_name(connection, c) for c in first.schema.names)
    settings = ", ".join(["FORMAT binary", *([options] if options else [])])
    order = f"COPY {_name(connection, table)} ({columns}) FROM STDIN ({settings})"
    # The next batch is put together while the server takes in this one.
    encoded = (encoder.write_batch(batch) for batch in chain([first], rest))
    with driver.cursor() as cursor, cursor.copy(order) as stream, closing(ahead(encoded)) as ready:
        stream.write(encoder.write_header())
        for data in ready:
            stream.write(data)
        stream.write(encoder.finish())


def _numbered(cover: Cover, rows: Rows, first: int) -> Iterator[pa.RecordBatch]:
    """Shares under the ids that the features got, in the features' order on disk; `rows` are theirs in that order."""
    place = np.full(int(rows.max(initial=0)) + 1, -1, np.int64)
    place[rows] = np.arange(len(rows))
    feature = place[cover.row]
    order = np.argsort(feature, kind="stable")
    for start in range(0, len(order), _BATCH):
        part = order[start : start + _BATCH]
        yield pa.record_batch(
            {
                "feature_id": feature[part] + first,
                "cell": cover.cell[part],
                "share": cover.share[part].astype(np.float32),
            }
        )


def _reserve(connection: sa.Connection, table: Any, count: int) -> int:
    """The first of `count` ids that nobody else gets; the caller holds the table's lock."""
    sequence = connection.scalar(sa.text("SELECT pg_get_serial_sequence(:t, 'id')"), {"t": _quoted(connection, table)})
    first: int = connection.scalar(sa.text("SELECT nextval(:s)"), {"s": sequence})
    connection.execute(sa.text("SELECT setval(:s, :last)"), {"s": sequence, "last": first + max(count, 1) - 1})
    return first


def _strip(connection: sa.Connection, table: Any) -> Sequence[str]:
    """Drop a table's foreign keys, keys and indexes; returns the statements that make them again, last first."""
    name = _quoted(connection, table)
    found = connection.execute(
        sa.text(
            "SELECT c.conname, pg_get_constraintdef(c.oid), NULL FROM pg_constraint c"
            " WHERE c.conrelid = CAST(:t AS regclass) AND c.contype = 'f' UNION ALL"
            " SELECT coalesce(c.conname, i.indexrelid::regclass::text), pg_get_constraintdef(c.oid),"
            " pg_get_indexdef(i.indexrelid) FROM pg_index i"
            " LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u')"
            " WHERE i.indrelid = CAST(:t AS regclass)"
        ),
        {"t": name},
    ).all()
    again: list[str] = []
    for known, constraint, index in found:
        if constraint is not None:
            quoted = _name(connection, known)
            connection.exec_driver_sql(f"ALTER TABLE {name} DROP CONSTRAINT {quoted}")
            again.append(f"ALTER TABLE {name} ADD CONSTRAINT {quoted} {constraint}")
        else:
            connection.exec_driver_sql(f"DROP INDEX {known}")
            again.append(index)
    return again


def _quoted(connection: sa.Connection, table: Any) -> str:
    return connection.dialect.identifier_preparer.format_table(table)


def _name(connection: sa.Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)
