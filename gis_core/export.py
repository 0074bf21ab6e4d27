"""What a viewer may see of a layer as a file: GeoPackage, GeoParquet or CSV, written piece by piece.

Rows stream from one server-side cursor in blocks, so a million of them take no more memory than one block. Whatever
is simulated says so: in a column, in the file's metadata, and in its name where all rows are.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pyogrio
import pyproj
import shapely
import sqlalchemy as sa

from gis_core.access import PUBLIC, Viewer, hidden, may_read, require
from gis_core.features import conditions
from gis_core.hexgrid import parent
from gis_core.queries import Query
from gis_core.records import Dataset
from gis_core.rows import answered, bare, spatial
from gis_core.spec import Layer

_BLOCK: Final = 50_000
LIMIT_S: Final = 600.0
"""The longest that reading may take: a million rows are some seconds, a slow disk has time."""
_DIGITS: Final = 7
_FORMULA: Final = r"^[=+\-@\t\r]"
"""A cell that begins so is run as a formula by spreadsheet programs (OWASP, CSV injection)."""


class Format(StrEnum):
    """The kinds of file."""

    gpkg = "gpkg"
    geoparquet = "geoparquet"
    csv = "csv"

    @property
    def suffix(self) -> str:
        """The ending of the file's name."""
        return {"gpkg": ".gpkg", "geoparquet": ".parquet", "csv": ".csv"}[self.value]

    @property
    def media_type(self) -> str:
        """The type that HTTP tells."""
        return {
            "gpkg": "application/geopackage+sqlite3",
            "geoparquet": "application/vnd.apache.parquet",
            "csv": "text/csv; charset=utf-8",
        }[self.value]


@dataclass(frozen=True)
class Exported:
    """A file that was written, the name to give it, and how many rows it has (and how many of them are simulated)."""

    path: Path
    name: str
    rows: int
    simulated: int


def may_export(layer: Layer, viewer: Viewer) -> None:
    """Raise Forbidden unless the viewer may take the layer away: what the public sees anyone may, else by right."""
    if not may_read(layer, PUBLIC):
        require(viewer, "export", f"export the layer {layer.name}")


def export(
    connection: sa.Connection, layer: Layer, viewer: Viewer, query: Query, kind: Format, folder: Path
) -> Exported:
    """Write the rows that a query asks for into a file in `folder`.

    Raises:
        Forbidden: the viewer may not see or not export the layer.
        BadInput: the filter asks for what is not there, or cannot be computed.
        Unavailable: it took too long.

    """
    may_export(layer, viewer)
    rows, wanted = conditions(layer, viewer, query)
    unseen = hidden(layer, viewer)
    names = [name for name in layer.fields if name not in unseen]
    counts = sa.select(sa.func.count(), sa.func.count().filter(rows.c.simulated)).select_from(rows).where(*wanted)
    schema = _schema(layer, names)
    source = sa.select(Dataset.title).where(Dataset.id == rows.c.dataset_id).scalar_subquery()
    columns = [_column(rows, layer, name) for name in names]
    chosen = sa.select(
        rows.c.id, *columns, source, rows.c.simulated, rows.c.updated_at, spatial("ST_AsBinary", bare(rows.c.geom))
    )
    chosen = chosen.select_from(rows).where(*wanted).order_by(rows.c.id)
    path = folder / f"export{kind.suffix}"
    with answered():
        total, simulated = connection.execute(counts).one()
        found = connection.execution_options(stream_results=True, yield_per=_BLOCK).execute(chosen)
        told = {
            "layer": layer.name,
            "title": f"{layer.title.zh} {layer.title.en}",
            "rows": total,
            "simulated_rows": simulated,
            "note": f"{simulated} of {total} rows are simulated (模拟数据)" if simulated else "no row is simulated",
            "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        _WRITERS[kind](path, layer, schema, _blocks(found, schema), told)
    stamp = datetime.now(UTC).strftime("%Y%m%d")
    name = f"{layer.name}_{stamp}{'_simulated' if total and simulated == total else ''}{kind.suffix}"
    return Exported(path, name, total, simulated)


def footprint(
    connection: sa.Connection, layer: Layer, viewer: Viewer, query: Query, resolution: int
) -> tuple[list[int], int]:
    """The cells of a resolution in which the rows lie that `export` would write, and how many rows those are.

    Raises Forbidden, BadInput, Unavailable as `export`.
    """
    rows, wanted = conditions(layer, viewer, query)
    cell = parent(rows.c.cell, resolution)
    with answered():
        found = connection.execute(sa.select(cell, sa.func.count()).select_from(rows).where(*wanted).group_by(cell))
        cells = [(int(row[0]), int(row[1])) for row in found]
    return [cell for cell, _ in cells], sum(count for _, count in cells)


def _column(rows: sa.Subquery, layer: Layer, name: str) -> Any:
    return sa.type_coerce(rows.c[name], sa.Text) if layer.codes(name) else rows.c[name]


_ARROW: Final = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date-time": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
}


def _schema(layer: Layer, names: Sequence[str]) -> pa.Schema:
    own = [pa.field(name, _ARROW.get(layer.kind_of(name), pa.string())) for name in names]
    return pa.schema(
        [
            pa.field("id", pa.int64()),
            *own,
            pa.field("source", pa.string()),
            pa.field("simulated", pa.bool_()),
            pa.field("updated_at", pa.timestamp("us", "UTC")),
            pa.field("geometry", pa.binary()),
        ]
    )


def _blocks(found: sa.CursorResult[Any], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Rows as Arrow, block by block; one empty block when there are none, so that the file has its columns."""
    empty = True
    for block in found.partitions():
        empty = False
        columns = zip(*block, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        yield pa.record_batch(arrays, schema=schema)
    if empty:
        yield pa.record_batch([pa.array([], field.type) for field in schema], schema=schema)


def _write_gpkg(
    path: Path, layer: Layer, schema: pa.Schema, blocks: Iterator[pa.RecordBatch], told: Mapping[str, Any]
) -> None:
    # The column `id` becomes an ordinary one: GeoPackage numbers its rows itself.
    names = ["feature_id" if n == "id" else n for n in schema.names]
    for number, block in enumerate(blocks):
        pyogrio.write_arrow(
            pa.Table.from_batches([block]).rename_columns(names),
            path,
            layer=layer.name,
            driver="GPKG",
            append=number > 0,
            geometry_name="geometry",
            geometry_type=_OGR_TYPES.get(layer.geometry, "Unknown"),
            crs="EPSG:4326",
            dataset_metadata=None if number else {"DESCRIPTION": json.dumps(told, ensure_ascii=False)},
            layer_metadata=None if number else {"DESCRIPTION": json.dumps(told, ensure_ascii=False)},
        )


_OGR_TYPES: Final = {"POINT": "Point", "LINESTRING": "LineString", "MULTIPOLYGON": "MultiPolygon"}


def _write_geoparquet(
    path: Path, layer: Layer, schema: pa.Schema, blocks: Iterator[pa.RecordBatch], told: Mapping[str, Any]
) -> None:
    """GeoParquet 1.1.0; geoparquet.org/releases/v1.1.0."""
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {
            "geometry": {
                "encoding": "WKB",
                "geometry_types": [_OGR_TYPES.get(layer.geometry, "Unknown")],
                "crs": json.loads(pyproj.CRS("OGC:CRS84").to_json()),
            }
        },
    }
    schema = schema.with_metadata({"geo": json.dumps(geo), "chengtu": json.dumps(told, ensure_ascii=False)})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for block in blocks:
            writer.write_batch(block.replace_schema_metadata(schema.metadata))


def _write_csv(
    path: Path, layer: Layer, schema: pa.Schema, blocks: Iterator[pa.RecordBatch], told: Mapping[str, Any]
) -> None:
    """UTF-8 with a byte order mark, which spreadsheet programs want; points as lon and lat, all else as WKT."""
    del told  # a table of plain text has no place for it; the column `simulated` says it row by row
    options = pa_csv.WriteOptions(quoting_style="needed")
    with path.open("wb") as file:
        file.write(codecs.BOM_UTF8)
        with pa_csv.CSVWriter(file, _plain_schema(layer, schema), write_options=options) as writer:
            for block in blocks:
                writer.write_batch(_plain(layer, block, _plain_schema(layer, schema)))


def _plain_schema(layer: Layer, schema: pa.Schema) -> pa.Schema:
    own = [pa.field(f.name, pa.string() if pa.types.is_temporal(f.type) else f.type) for f in list(schema)[:-1]]
    places = [("lon", pa.float64()), ("lat", pa.float64())] if layer.is_point else [("wkt", pa.string())]
    return pa.schema([*own, *places])


def _plain(layer: Layer, block: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A block as text and numbers."""
    *columns, geometry = block.columns
    shapes = shapely.from_wkb(geometry.to_numpy(zero_copy_only=False))
    if layer.is_point:
        places = [pa.array(values) for values in shapely.get_coordinates(shapes).round(_DIGITS).T]
    else:
        places = [pa.array(shapely.to_wkt(shapes, rounding_precision=_DIGITS), pa.string())]
    return pa.record_batch([*map(_harmless, columns), *places], schema=schema)


def _harmless(column: pa.Array) -> pa.Array:
    """A column as a spreadsheet may safely open it: a text that it would run as a formula starts with an apostrophe."""
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column, "%Y-%m-%dT%H:%M:%SZ")
    if pa.types.is_date(column.type):
        return pc.strftime(column, "%Y-%m-%d")
    if not pa.types.is_string(column.type):
        return column
    marked = pc.binary_join_element_wise(pa.scalar("'"), column, "")
    return pc.if_else(pc.match_substring_regex(column, _FORMULA), marked, column)


_WRITERS: Final = {Format.gpkg: _write_gpkg, Format.geoparquet: _write_geoparquet, Format.csv: _write_csv}
