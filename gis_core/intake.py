"""Rows of one file on their way in: read a batch at a time, checked against each other at the end, put in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from gis_core import crs, values
from gis_core.access import Viewer, owned
from gis_core.batches import Batch
from gis_core.columns import Plan, Target, accepted_names, fold
from gis_core.copying import Arrivals, Cover
from gis_core.crs import Bounds
from gis_core.errors import Problem, TooLarge
from gis_core.placing import Mask, Piece, Placer
from gis_core.report import KEPT_PER_KIND, Rows, Tally
from gis_core.spec import Layer

MOST_ROWS: Final = 5_000_000
MOST_VERTICES: Final = 60_000_000
"""Vertices of one file: what fits into memory beside everything else."""
_THREADS: Final = min(os.cpu_count() or 1, 4)
_DATUM_HEADERS: Final = frozenset(
    {"datum", "crs", "srs", "coordsys", "coordsystem", "coordinatesystem", "坐标系", "坐标系统", "坐标基准", "大地基准"}
)


class Intake:
    """What becomes of the rows of one file: give it their batches by `take`, then ask for `arrivals` once."""

    def __init__(
        self,
        layer: Layer,
        plan: Plan,
        source: crs.Source,
        *,
        viewer: Viewer | None = None,
        bounds: Bounds | None = None,
        zone: str = "UTC",
    ) -> None:
        """Start on a file whose columns are planned and whose coordinates are in `source`.

        `bounds` are the city's in degrees, `zone` is where the clock of times without an offset hangs. Raises
        Unprocessable when a required column is missing.
        """
        self.layer = layer
        self.plan = plan
        self.source = source
        self.viewer = viewer
        self.tally = Tally()
        self.rows = 0
        self._vertices = 0
        self._zone = zone
        self._placer = Placer(layer, source, bounds, viewer)
        self._done: list[Piece] = []
        self._open: list[Piece] = []
        self._owner = owned(layer)
        self._require_columns()
        if plan.unused:
            self.tally.note("Columns that the layer has no place for: " + ", ".join(plan.unused[:50]))

    def take(self, batches: Iterable[Batch]) -> None:
        """Read and check rows, a few batches at a time. Raises TooLarge where the file has more than fits."""
        waiting: deque[Future[tuple[Piece, bool, int]]] = deque()
        with ThreadPoolExecutor(_THREADS) as pool:
            for batch in batches:
                count = len(batch.geometries)
                rows: Rows = np.arange(self.rows + 1, self.rows + count + 1)
                self.rows += count
                if self.rows > MOST_ROWS:
                    raise TooLarge(f"The file has more than {MOST_ROWS:,} rows; split it.")
                waiting.append(pool.submit(self._piece, batch, rows))
                if len(waiting) > _THREADS:
                    self._collect(*waiting.popleft().result())
            while waiting:
                self._collect(*waiting.popleft().result())

    def arrivals(self) -> Arrivals:
        """The rows that passed every check, and their order on disk. Whatever else is wrong goes to the tally."""
        self._placer.settle(self._open, self.tally, others=bool(self._done))
        pieces = [*self._done, *self._open]
        for piece in self._open:
            self.tally.merge(piece.tally)
        self._done, self._open = [], []
        table, cover, places = _joined(self.layer, pieces)
        keep = ~(self._repeated(table) | self._checked(table))
        kept = np.flatnonzero(keep)
        order = kept[np.argsort(places[kept], kind="stable")]
        if cover is not None and len(kept) < len(keep):
            chosen = np.isin(cover.row, table.column("row").to_numpy()[kept])
            cover = Cover(cover.row[chosen], cover.cell[chosen], cover.share[chosen])
        updated = [name for name in self.plan.columns if name in table.column_names]
        return Arrivals(table, order, cover, {}, (*updated, "geom", "cell"))

    def _piece(self, batch: Batch, rows: Rows) -> tuple[Piece, bool, int]:
        """A batch read and checked; whether it lies where it should as declared, and how many vertices it has."""
        tally = Tally()
        bad = np.zeros(len(rows), bool)
        for name, fault in batch.faults:
            _tell(tally, fault, name, rows)
            bad |= fault.mask
        wkb = None
        if isinstance(batch.geometries, np.ndarray):
            geoms, bad = self._placer.usable(batch.geometries, rows, bad, tally)
        else:
            geoms, bad, wkb = self._placer.read(batch.geometries, rows, tally)
        bad |= self._strangers(batch.columns, rows, tally)
        columns = {t.name: self._column(t, batch.columns, rows, bad, tally) for t in self.plan.written}
        if self._owner is not None and self._owner not in columns and self.viewer is not None:
            columns[self._owner] = values.constant(self.viewer.owner, len(rows), pa.string())
        piece = Piece(pa.record_batch(columns), rows, bad, geoms, tally, wkb)
        vertices = int(shapely.get_num_coordinates(geoms).sum())
        return piece, self._placer.place(piece), vertices

    def _collect(self, piece: Piece, placed: bool, vertices: int) -> None:
        self._vertices += vertices
        if self._vertices > MOST_VERTICES:
            raise TooLarge(f"The file has more than {MOST_VERTICES:,} vertices; split it.")
        if placed:
            self.tally.merge(piece.tally)
        (self._done if placed else self._open).append(piece)

    def _require_columns(self) -> None:
        for target in self.plan.missing:
            if target.name == self._owner and self.viewer is not None and self.viewer.owner is not None:
                continue
            names = ", ".join(accepted_names(self.layer, target.name))
            self.tally.add_problem(Problem(None, target.name, f"is required, and no column is called so: {names}"))
        if self.tally.faulty:
            raise self.tally.refusal(f"The file lacks columns that {self.layer.name} needs.")

    def _column(self, target: Target, batch: Mapping[str, pa.Array], rows: Rows, bad: Mask, tally: Tally) -> pa.Array:
        """One field of a batch, checked; rows with an error become bad."""
        if target.name not in self.plan.columns:
            return values.constant(target.default, len(rows), target.type)
        read = values.convert(batch[self.plan.columns[target.name]], target, self._zone)
        column, faults = read.values, [*read.faults]
        spoilt = np.zeros(len(rows), bool)
        for fault in faults:
            spoilt |= fault.mask
        if target.default is not None:
            column = values.fill(column, target.default)
        if target.name == self._owner and self.viewer is not None and self.viewer.owner is not None:
            column = values.fill(column, self.viewer.owner)
            other = pc.not_equal(column, self.viewer.owner).to_numpy(zero_copy_only=False).astype(bool)
            faults.append(values.Fault(other, "is not the owner this token is bound to", column))
        # A value that could not be read is missing by that, and told once.
        faults += [values.Fault(f.mask & ~spoilt, f.why, f.values, f.hint) for f in values.check(column, target)]
        for fault in faults:
            _tell(tally, fault, target.name, rows)
            bad |= fault.mask
        return column

    def _strangers(self, batch: Mapping[str, pa.Array], rows: Rows, tally: Tally) -> Mask:
        """Rows that say themselves, in a column of the file, that they are in another system than the file."""
        bad = np.zeros(len(rows), bool)
        taken = set(self.plan.columns.values())
        for header, column in batch.items():
            if header in taken or not is_datum_column(header) or not pa.types.is_string(column.type):
                continue
            encoded = pc.dictionary_encode(column)
            words = encoded.dictionary.to_pylist()
            other = pa.array([self._differs(word) for word in words], pa.bool_())
            mask = pc.fill_null(pc.take(other, encoded.indices), fill_value=False)
            found = mask.to_numpy(zero_copy_only=False).astype(bool)
            why = f"is in another system than the file ({self.source.tag})"
            _tell(tally, values.Fault(found, why, column), header, rows)
            bad |= found
        return bad

    def _differs(self, word: str) -> bool:
        if not word.strip():
            return False
        try:
            said = crs.declare(word)
        except crs.UnknownCrs:
            return True
        return not (said.plain and self.source.plain) and (said.datum, said.crs) != (self.source.datum, self.source.crs)

    def _repeated(self, table: pa.Table) -> Mask:
        """Rows whose key an earlier row has already."""
        keys = table.column(self.layer.key).combine_chunks()
        encoded = pc.dictionary_encode(keys)
        bad = np.zeros(len(keys), bool)
        if len(encoded.dictionary) < len(keys):
            codes = encoded.indices.to_numpy(zero_copy_only=False)
            bad[:] = True
            bad[np.unique(codes, return_index=True)[1]] = False
            rows = table.column("row").to_numpy()
            _tell(self.tally, values.Fault(bad, "is the same as in an earlier row", keys), self.layer.key, rows)
        return bad

    def _checked(self, table: pa.Table) -> Mask:
        """Rows that the layer's own checks refuse; they see the rows that are good so far as one frame."""
        bad = np.zeros(table.num_rows, bool)
        if not self.layer.ingest.checks or not table.num_rows:
            return bad
        rows = table.column("row").to_numpy()
        frame = gpd.GeoDataFrame(
            table.drop_columns(["row", "geom", "cell"]).to_pandas().set_axis(rows),
            geometry=np.asarray(shapely.from_wkb(table.column("geom").to_numpy())),
            crs=crs.LONLAT,
        )
        for look in self.layer.ingest.checks:
            self._ask(look, frame, rows, bad)
        return bad

    def _ask(self, look: Callable[[Any], Any], frame: gpd.GeoDataFrame, rows: Rows, bad: Mask) -> None:
        for problem in look(frame):
            self.tally.add_problem(problem)
            if problem.severity == "error":
                if problem.row is None:
                    bad[:] = True
                else:
                    bad[np.searchsorted(rows, problem.row)] = True


def _tell(tally: Tally, fault: values.Fault, name: str, rows: Rows) -> None:
    at = np.flatnonzero(fault.mask)
    if len(at):
        said = None if fault.values is None else fault.values.take(pa.array(at[:KEPT_PER_KIND])).to_pylist()
        tally.add(rows[at], name, fault.why, said, hint=fault.hint)


def is_datum_column(header: str) -> bool:
    """Whether a column says what each row's coordinates are in."""
    return fold(header) in _DATUM_HEADERS


def _joined(layer: Layer, pieces: list[Piece]) -> tuple[pa.Table, Cover | None, np.ndarray[Any, Any]]:
    """The good rows of all pieces as one table in the file's order, their cover, and their places in Hilbert order."""
    pieces = sorted((p for p in pieces if len(p.rows)), key=lambda p: int(p.rows[0]))
    if not pieces:
        empty = pa.table({layer.key: pa.array([], pa.string()), "row": pa.array([], pa.int64())})
        return empty, None, np.empty(0, np.uint64)
    cells = np.concatenate([p.cell for p in pieces if p.cell is not None])
    order = np.concatenate([p.order for p in pieces if p.order is not None])
    table = pa.Table.from_batches([p.values for p in pieces])
    table = table.append_column("geom", pa.chunked_array([p.wkb for p in pieces]))
    table = table.append_column("cell", pa.array(cells))
    table = table.append_column("row", pa.array(np.concatenate([p.rows for p in pieces])))
    covers = [p.cover for p in pieces if p.cover is not None]
    if not covers:
        return table.combine_chunks(), None, order
    whole = Cover(*(np.concatenate([getattr(c, n) for c in covers]) for n in ("row", "cell", "share")))
    return table.combine_chunks(), whole, order
