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

from gis_core.ingest.batches import ahead
from gis_core.spec import Layer

Rows: TypeAlias = npt.NDArray[np.int64]

WORTH_REBUILDING: Final = 2_000
"""From so many rows on, an empty table is filled without its indexes, which are then built at once."""
_BATCH: Final = 65_536
_STAGED: Final = "arriving"
_STAGED_COVER: Final = "arriving_cells"
_BUILD_MEMORY: Final = "256MB"
_LONGEST_WAIT: Final = "300s"
_ANALYZE: Final = "ANALYZE {}"
_CONSTANT: Final = {bool: pa.bool_(), int: pa.int32(), str: pa.string()}


@dataclass(frozen=True)
class Cover:
    """Shares of features in cells: row number of the feature, cell, share, in parallel."""

    row: Rows
    cell: npt.NDArray[np.int64]
    share: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Run:
    """Rows on their way in: those of `table` that `order` names, in the order in which they shall lie on disk.

    `table` has the layer's columns in their final types, `geom` as WKB, and `row`, the row number in the file.
    """

    table: pa.Table
    order: Rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows in order, some at a time."""
        for start in range(0, len(self.order), _BATCH):
            part = self.table.take(pa.array(self.order[start : start + _BATCH])).combine_chunks()
            yield pa.record_batch({name: part.column(name).chunk(0) for name in part.column_names})


def begin(connection: sa.Connection, layer: Layer) -> None:
    """Wait until no other load of the layer runs; the first thing to do in a load's transaction.

    Two loads that have both touched the table would wait for each other when one of them needs it for itself.
    """
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LONGEST_WAIT}'")
    order = sa.text("SELECT pg_advisory_xact_lock(hashtext('chengtu.ingest'), hashtext(:layer))")
    connection.execute(order, {"layer": layer.name})


def claim(connection: sa.Connection, layer: Layer) -> bool:
    """Whether the layer may be filled as if new: it has no row, and no other table refers to it.

    If so, nobody else can write to it until the transaction ends.
    """
    table = layer.model.__table__
    empty = sa.select(~sa.exists().select_from(table))
    if not connection.scalar(empty):
        return False
    lock(connection, layer)
    cover = layer.model.cover
    others = sa.text(
        "SELECT EXISTS (SELECT 1 FROM pg_constraint WHERE contype = 'f' AND confrelid = CAST(:t AS regclass)"
        " AND conrelid IS DISTINCT FROM CAST(:cover AS regclass))"
    )
    names = {"t": _quoted(connection, table), "cover": None if cover is None else _quoted(connection, cover)}
    return bool(connection.scalar(empty)) and not connection.scalar(others, names)


def lock(connection: sa.Connection, layer: Layer) -> None:
    """Keep all others from writing to the layer until the transaction ends; they may read."""
    connection.exec_driver_sql(f"LOCK TABLE {_quoted(connection, layer.model.__table__)} IN SHARE ROW EXCLUSIVE MODE")


class Filling:
    """An empty layer being filled without its indexes, which are built at once when all is in; readers wait for that.

    The tables count as new (TRUNCATE), so that rows arrive frozen and, with `wal_level = minimal`, are not written
    twice. The caller has claimed the layer, and ends the transaction.
    """

    def __init__(self, connection: sa.Connection, layer: Layer) -> None:
        """Take the indexes and keys off."""
        self._connection = connection
        self._table: Any = layer.model.__table__
        self._cover = layer.model.cover
        tables = [self._table] if self._cover is None else [self._table, self._cover]
        names = ", ".join(_quoted(connection, t) for t in tables)
        connection.exec_driver_sql(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
        connection.exec_driver_sql(f"SET LOCAL maintenance_work_mem = '{_BUILD_MEMORY}'")
        self._rebuilt = [statement for t in reversed(tables) for statement in _strip(connection, t)]
        connection.exec_driver_sql(f"TRUNCATE {names}")
        name = {"t": _quoted(connection, self._table)}
        self._sequence = connection.scalar(sa.text("SELECT pg_get_serial_sequence(:t, 'id')"), name)
        self._first: int = connection.scalar(sa.text("SELECT nextval(:s)"), {"s": self._sequence})
        self._rows: list[Rows] = []

    def pour(self, runs: Iterable[Run], constant: dict[str, Any]) -> None:
        """Copy all runs in one statement; `constant` columns have one value for all rows."""
        copy(self._connection, self._table.name, self._numbered(runs, constant), options="FREEZE true")

    def finish(self, bad: Rows, cover: Cover | None) -> int:
        """Take bad rows out again, add the shares of the others, build the indexes; returns how many rows stand."""
        rows = np.concatenate([np.empty(0, np.int64), *self._rows])
        ids = np.full(int(rows.max(initial=0)) + 1, -1, np.int64)
        ids[rows] = np.arange(self._first, self._first + len(rows))
        if len(bad):
            table = _quoted(self._connection, self._table)
            order = sa.text(f"DELETE FROM {table} WHERE id = ANY(:ids)")  # noqa: S608  a quoted name of our own
            self._connection.execute(order, {"ids": ids[bad].tolist()})
            ids[bad] = -1
        if self._cover is not None and cover is not None:
            copy(self._connection, self._cover.name, _shares(cover, ids), options="FREEZE true")
        for statement in reversed(self._rebuilt):
            self._connection.exec_driver_sql(statement)
        last = self._first + max(len(rows), 1) - 1
        self._connection.execute(sa.text("SELECT setval(:s, :last)"), {"s": self._sequence, "last": last})
        return len(rows) - len(bad)

    def _numbered(self, runs: Iterable[Run], constant: dict[str, Any]) -> Iterator[pa.RecordBatch]:
        """All rows with ids, which grow in the order on disk."""
        next_id = self._first
        for run in runs:
            for batch in run.batches():
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                self._rows.append(columns.pop("row").to_numpy())
                columns["id"] = pa.array(np.arange(next_id, next_id + batch.num_rows))
                for name, value in constant.items():
                    columns[name] = pa.repeat(pa.scalar(value, _CONSTANT[type(value)]), batch.num_rows)
                next_id += batch.num_rows
                yield pa.record_batch(columns)


@dataclass(frozen=True)
class Staging:
    """Rows in a table of this transaction's own, where they can be compared with what stands."""

    connection: sa.Connection
    layer: Layer
    columns: tuple[str, ...]

    @classmethod
    def of(cls, connection: sa.Connection, layer: Layer, runs: Iterable[Run]) -> Staging:
        """Copy all runs; there is at least one."""
        rest = iter(runs)
        first = next(rest)
        columns = tuple(name for name in first.table.column_names if name != "row")
        chosen = ", ".join(_name(connection, c) for c in columns)
        connection.exec_driver_sql(
            f"CREATE TEMP TABLE {_STAGED} ON COMMIT DROP AS"  # noqa: S608  quoted names of our own tables
            f" SELECT 0::bigint AS row, {chosen} FROM {_quoted(connection, layer.model.__table__)} WITH NO DATA"
        )
        copy(connection, _STAGED, (batch for run in chain([first], rest) for batch in run.batches()))
        connection.exec_driver_sql(_ANALYZE.format(_STAGED))
        return cls(connection, layer, columns)

    def remove(self, rows: Rows) -> None:
        """Take rows out again, by their numbers in the file."""
        if len(rows):
            order = sa.text(f"DELETE FROM {_STAGED} WHERE row = ANY(:rows)")  # noqa: S608
            self.connection.execute(order, {"rows": rows.tolist()})

    def standing(self, condition: str, **values: Any) -> Rows:
        """The numbers of rows whose key stands already in a row `t` for which the condition holds."""
        key, table = _name(self.connection, self.layer.key), _quoted(self.connection, self.layer.model.__table__)
        joined = f"SELECT a.row FROM {_STAGED} a JOIN {table} t ON t.{key} = a.{key}"  # noqa: S608
        found = self.connection.execute(sa.text(f"{joined} WHERE {condition} ORDER BY 1"), values)
        return np.array(found.scalars().all(), np.int64)

    def publish(self, updated: Iterable[str], constant: dict[str, Any], cover: Cover | None) -> int:
        """Insert the rows, or replace the `updated` columns of those that stand under the same keys; how many.

        The staging table is gone then, so that a transaction may stage another layer.
        """
        connection = self.connection
        target, key = _quoted(connection, self.layer.model.__table__), _name(connection, self.layer.key)
        if cover is not None:
            self._stage_cover(cover)
            connection.exec_driver_sql(
                f"DELETE FROM {_quoted(connection, self.layer.model.cover)} c USING {target} t, {_STAGED} a"  # noqa: S608
                f" WHERE t.{key} = a.{key} AND c.feature_id = t.id"
            )
        names = [_name(connection, c) for c in self.columns]
        values = {f"constant_{name}": value for name, value in constant.items()}
        listed = ", ".join([*names, *(_name(connection, c) for c in constant)])
        chosen = ", ".join([*names, *(f":{value}" for value in values)])
        replaced = [_name(connection, c) for c in (*updated, *constant)]
        changes = ", ".join([*(f"{name} = excluded.{name}" for name in replaced), "updated_at = now()"])
        stored: int = connection.execute(
            sa.text(
                f"INSERT INTO {target} ({listed}) SELECT {chosen} FROM {_STAGED}"  # noqa: S608
                f" ON CONFLICT ({key}) DO UPDATE SET {changes}"
            ),
            values,
        ).rowcount
        if cover is not None:
            connection.exec_driver_sql(
                f"INSERT INTO {_quoted(connection, self.layer.model.cover)} (feature_id, cell, share)"  # noqa: S608
                f" SELECT t.id, c.cell, c.share FROM {_STAGED_COVER} c JOIN {_STAGED} a ON a.row = c.row"
                f" JOIN {target} t ON t.{key} = a.{key}"
            )
            connection.exec_driver_sql(f"DROP TABLE {_STAGED_COVER}")
        connection.exec_driver_sql(f"DROP TABLE {_STAGED}")
        return stored

    def _stage_cover(self, cover: Cover) -> None:
        self.connection.exec_driver_sql(
            f"CREATE TEMP TABLE {_STAGED_COVER} (row bigint, cell bigint, share real) ON COMMIT DROP"
        )
        table = pa.table({"row": cover.row, "cell": cover.cell, "share": cover.share})
        copy(self.connection, _STAGED_COVER, table.to_batches(_BATCH))
        self.connection.exec_driver_sql(_ANALYZE.format(_STAGED_COVER))


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


def _shares(cover: Cover, ids: Rows) -> Iterator[pa.RecordBatch]:
    """Shares under the ids of their features, in the features' order on disk; `ids` by row number, -1 for none."""
    feature = ids[cover.row]
    order = np.argsort(feature, kind="stable")
    order = order[np.searchsorted(feature[order], 0) :]
    for start in range(0, len(order), _BATCH):
        part = order[start : start + _BATCH]
        yield pa.record_batch(
            {"feature_id": feature[part], "cell": cover.cell[part], "share": cover.share[part].astype(np.float32)}
        )


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
