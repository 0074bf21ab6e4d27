"""An owner's pipes as they stand in the city, read as Arrow tables in one COPY a layer, and packed into one snapshot.

Reads go through the gate as the owner sees its own rows. A snapshot is a zip of one Parquet file a layer.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import shapely
import sqlalchemy as sa

from gis_core.access import Role, Viewer, visible
from gis_core.database import Database
from gis_core.errors import CityError
from gis_core.rows import as_text, bare, spatial
from gis_core.spec import Layer
from twin.survey.fields import LAYERS, Table

Shapes: TypeAlias = npt.NDArray[np.object_]

GEOMETRY: Final = "geometry"
_KINDS: Final = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date-time": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
}
_TRUE, _FALSE = ["t"], ["f"]


@dataclass(frozen=True)
class Standing:
    """Rows of one layer: `frame` has the layer's fields, `id`, `dataset_id`, `simulated`; `shapes` are in degrees."""

    frame: pd.DataFrame
    shapes: Shapes

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.frame)

    def only(self, mask: npt.NDArray[np.bool_]) -> Standing:
        """Some of the rows."""
        return Standing(self.frame[mask].reset_index(drop=True), self.shapes[mask])


@dataclass(frozen=True)
class Stand:
    """Both layers of one owner, and the versions of the layers that they show."""

    tables: Mapping[Table, Standing]
    packed: Mapping[Table, pa.Table]
    versions: tuple[int, ...] = ()

    def snapshot(self) -> tuple[bytes, bytes]:
        """Everything in one file, and its SHA-256."""
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for table, rows in self.packed.items():
                part = io.BytesIO()
                pq.write_table(rows, part, compression="zstd")
                archive.writestr(zipfile.ZipInfo(f"{table}.parquet"), part.getvalue())
        content = target.getvalue()
        return content, hashlib.sha256(content).digest()


def unpack(content: bytes, digest: bytes) -> Stand:
    """What a snapshot holds. Raises CityError where it is not what was written."""
    if hashlib.sha256(content).digest() != digest:
        raise CityError("this version was altered where it is kept, so it cannot be restored")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        packed = {table: pq.read_table(io.BytesIO(archive.read(f"{table}.parquet"))) for table in Table}
    return Stand({table: _standing(rows) for table, rows in packed.items()}, packed)


def read(
    connection: sa.Connection, database: Database, layers: Mapping[str, Layer], owner: str, area: bytes | None = None
) -> Stand:
    """All rows of an owner in both layers, within the caller's transaction; those that touch an area if it is given.

    `area` is WKB in degrees.
    """
    viewer = Viewer(Role.utility, owner, area_wkb=area, name="chengtu")
    versions = layer_versions(connection)
    packed = {table: _read(connection, database, layers[name], viewer) for table, name in LAYERS.items()}
    return Stand({table: _standing(rows) for table, rows in packed.items()}, packed, versions)


def layer_versions(connection: sa.Connection) -> tuple[int, ...]:
    """How often each of the two layers has changed."""
    told = {str(row.layer): int(row.version) for row in connection.execute(_VERSIONS)}
    return tuple(told.get(name, 0) for name in LAYERS.values())


_VERSIONS: Final = sa.text("SELECT layer, version FROM change WHERE layer IN ('pipe_points', 'pipe_segments')")


def _read(connection: sa.Connection, database: Database, layer: Layer, viewer: Viewer) -> pa.Table:
    rows = visible(layer, viewer)
    names = [*layer.fields, "id", "dataset_id", "simulated"]
    columns = [sa.cast(rows.c[name], sa.Text) if layer.codes(name) else rows.c[name] for name in layer.fields]
    columns += [rows.c[name] for name in names[len(columns) :]]
    wkb = sa.func.encode(spatial("ST_AsBinary", bare(rows.c.geom)), "hex").label(GEOMETRY)
    query = as_text(sa.select(*columns, wkb).order_by(rows.c.code))
    order = f"COPY ({query}) TO STDOUT (FORMAT csv)"
    with database.raw(connection) as driver, driver.cursor() as cursor, cursor.copy(order) as copy:
        content = b"".join(copy)
    kinds = {name: _KINDS.get(layer.kind_of(name), pa.string()) for name in layer.fields}
    kinds |= {"id": pa.int64(), "dataset_id": pa.int64(), "simulated": pa.bool_(), GEOMETRY: pa.string()}
    if not content:
        return pa.table({name: pa.array([], kind) for name, kind in kinds.items()})
    return pa_csv.read_csv(
        io.BytesIO(content),
        pa_csv.ReadOptions(column_names=[*names, GEOMETRY], block_size=1 << 24),
        pa_csv.ParseOptions(newlines_in_values=True),
        pa_csv.ConvertOptions(
            column_types=kinds, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
            true_values=_TRUE, false_values=_FALSE,
        ),
    ).combine_chunks()  # fmt: skip


def _standing(rows: pa.Table) -> Standing:
    shapes = np.asarray(shapely.from_wkb(rows.column(GEOMETRY).to_numpy()), object)
    return Standing(frame_of(rows.drop_columns([GEOMETRY])), shapes)


def frame_of(rows: pa.Table) -> pd.DataFrame:
    """Columns as comparing and storing want them: text and numbers plain, whole numbers and flags with gaps."""
    frame: dict[str, Any] = {}
    for name in rows.column_names:
        column = rows.column(name)
        kind = column.type
        if pa.types.is_floating(kind):
            frame[name] = pc.fill_null(column, float("nan")).to_numpy()
        elif pa.types.is_integer(kind):
            frame[name] = column.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        elif pa.types.is_boolean(kind):
            frame[name] = column.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get)
        elif pa.types.is_date(kind):
            frame[name] = column.to_pandas(types_mapper={pa.date32(): pd.ArrowDtype(pa.date32())}.get)
        else:
            frame[name] = column.to_pandas().astype("str")
    return pd.DataFrame(frame)
