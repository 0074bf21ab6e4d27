"""Rows of one file on their way in: read a batch at a time, checked against each other at the end, put in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from gis_core import crs
from gis_core.access import Viewer, owned
from gis_core.crs import Bounds
from gis_core.errors import Problem, TooLarge
from gis_core.ingest import values
from gis_core.ingest.batches import ROW, Batch
from gis_core.ingest.columns import Plan, Target, accepted_names, fold
from gis_core.ingest.copying import Cover, Run
from gis_core.ingest.placing import Mask, Piece, Placer, count_vertices
from gis_core.ingest.report import KEPT_PER_KIND, Rows, Tally
from gis_core.spec import Layer

RUN: Final = 262_144
"""Rows that are put in order together; while the server takes in a run, the next one is read and checked."""
MOST_ROWS: Final = 5_000_000
MOST_VERTICES: Final = 60_000_000
"""Vertices of one file: what fits into memory beside everything else."""
_THREADS: Final = min(os.cpu_count() or 1, 4)
_DATUM_HEADERS: Final = frozenset(
    {"datum", "crs", "srs", "coordsys", "coordsystem", "coordinatesystem", "坐标系", "坐标系统", "坐标基准", "大地基准"}
)


class Intake:
    """What becomes of the rows of one file: ask for its `runs` to the end, then `finish`, then for their `cover`."""

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
        self.good = 0
        self._open: list[Piece] = []
        self._keys: list[tuple[Rows, pa.Array]] = []
        self._covers: list[Cover] = []
        self._checkable: list[Piece] = []
        self._owner = owned(layer)
        self._require_columns()
        if plan.unused:
            self.tally.note("Columns that the layer has no place for: " + ", ".join(plan.unused[:50]))

    def runs(self, batches: Iterable[Batch]) -> Iterator[Run]:
        """The rows that are good by themselves, read and checked a few batches at a time, in runs in order on disk.

        Rows that do not lie where they should as declared come last, when it is known how many they are. Raises
        TooLarge where the file has more than fits.
        """
        gathered: list[Piece] = []
        for piece in self._pieces(batches):
            gathered.append(piece)
            if sum(len(p.rows) for p in gathered) >= RUN:
                yield self._run(gathered)
                gathered = []
        with np.errstate(all="ignore"):
            self._placer.settle(self._open, self.tally, others=self.good > 0)
        for piece in self._open:
            self._admit(piece)
            gathered.append(piece)
        self._open = []
        if any(len(piece.rows) for piece in gathered):
            yield self._run(gathered)

    def finish(self) -> Rows:
        """Once all runs were taken: the numbers of those rows that are bad beside the others; they no longer count."""
        if not self._keys:
            return np.empty(0, np.int64)
        rows = np.concatenate([rows for rows, _ in self._keys])
        bad = self._repeated(pa.chunked_array([keys for _, keys in self._keys]).combine_chunks(), rows)
        bad = np.union1d(bad, self._checked())
        self.good -= len(bad)
        return bad

    def cover(self) -> Cover | None:
        """The shares in cells of all rows in the runs."""
        if not self._covers:
            return None
        return Cover(*(np.concatenate([getattr(c, n) for c in self._covers]) for n in ("row", "cell", "share")))

    @property
    def updated(self) -> tuple[str, ...]:
        """The columns that replace those of a row that stands under the same key."""
        names = [target.name for target in self.plan.written if target.name in self.plan.columns]
        return (*names, "geom", "cell")

    def _pieces(self, batches: Iterable[Batch]) -> Iterator[Piece]:
        """Pieces that lie where they should as declared; the others are kept for later."""
        waiting: deque[Future[tuple[Piece, bool, int]]] = deque()
        with ThreadPoolExecutor(_THREADS) as pool:
            for batch in batches:
                count = len(batch.geometries)
                rows: Rows = np.arange(self.rows + 1, self.rows + count + 1)
                self.rows += count
                if self.rows > MOST_ROWS:
                    raise TooLarge(f"The file has more than {MOST_ROWS:,} rows; split it.")
                waiting.append(pool.submit(self._quietly, batch, rows))
                if len(waiting) > _THREADS:
                    yield from self._collect(*waiting.popleft().result())
            while waiting:
                yield from self._collect(*waiting.popleft().result())

    def _quietly(self, batch: Batch, rows: Rows) -> tuple[Piece, bool, int]:
        """A batch read and checked. Coordinates that are no numbers are told as problems, not as warnings."""
        with np.errstate(all="ignore"):
            return self._piece(batch, rows)

    def _piece(self, batch: Batch, rows: Rows) -> tuple[Piece, bool, int]:
        """A batch read and checked; whether it lies where it should as declared, and how many vertices it has."""
        tally = Tally()
        bad = np.zeros(len(rows), bool)
        unread = np.zeros(len(rows), bool)
        for name, fault in batch.faults:
            _tell(tally, fault, name, rows)
            bad |= fault.mask
            if name == ROW:
                unread |= fault.mask
        read = self._placer.read(batch.geometries, rows, bad, tally)
        bad = read.bad
        bad |= self._strangers(batch.columns, rows, tally)
        # Of a row that could not be read at all, no field is complained of.
        told = np.where(unread, 0, rows)
        columns = {t.name: self._column(t, batch.columns, told, bad, tally) for t in self.plan.written}
        if self._owner is not None and self._owner not in columns and self.viewer is not None:
            columns[self._owner] = values.constant(self.viewer.owner, len(rows), pa.string())
        piece = Piece(pa.record_batch(columns), rows, bad, read.shapes, tally, read.wkb if self.source.plain else None)
        vertices = count_vertices(read.shapes)
        return piece, self._placer.place(piece), vertices

    def _collect(self, piece: Piece, placed: bool, vertices: int) -> Iterator[Piece]:
        self._vertices += vertices
        if self._vertices > MOST_VERTICES:
            raise TooLarge(f"The file has more than {MOST_VERTICES:,} vertices; split it.")
        if placed:
            self._admit(piece)
            yield piece
        else:
            self._open.append(piece)

    def _admit(self, piece: Piece) -> None:
        """Count a piece's good rows and problems, and keep of it what rows are compared by."""
        self.tally.merge(piece.tally)
        self.good += len(piece.rows)
        if len(piece.rows):
            self._keys.append((piece.rows, piece.values.column(self.layer.key)))
        if piece.cover is not None:
            self._covers.append(piece.cover)
        if self.layer.ingest.checks:
            self._checkable.append(piece)

    def _run(self, pieces: list[Piece]) -> Run:
        pieces = [piece for piece in pieces if len(piece.rows)]
        table = pa.Table.from_batches([piece.values for piece in pieces])
        table = table.append_column("geom", pa.chunked_array([piece.wkb for piece in pieces]))
        table = table.append_column("cell", pa.array(np.concatenate([p.cell for p in pieces if p.cell is not None])))
        table = table.append_column("row", pa.array(np.concatenate([piece.rows for piece in pieces])))
        places = np.concatenate([piece.order for piece in pieces if piece.order is not None])
        for piece in pieces:  # what the run holds now
            piece.cell = piece.order = piece.cover = None
        return Run(table.combine_chunks(), np.argsort(places))

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

    def _repeated(self, keys: pa.Array, rows: Rows) -> Rows:
        """Rows whose key an earlier row has already."""
        if pa.types.is_integer(keys.type):
            ordered = np.sort(keys.to_numpy())
            if not (ordered[1:] == ordered[:-1]).any():
                return rows[:0]
        order = np.argsort(rows)  # pieces that had to be mended come late
        keys, rows = keys.take(pa.array(order)), rows[order]
        encoded = pc.dictionary_encode(keys)
        bad = np.zeros(len(keys), bool)
        if len(encoded.dictionary) < len(keys):
            bad[:] = True
            bad[np.unique(encoded.indices.to_numpy(), return_index=True)[1]] = False
            _tell(self.tally, values.Fault(bad, "is the same as in an earlier row", keys), self.layer.key, rows)
        return rows[bad]

    def _checked(self) -> Rows:
        """Rows that the layer's own checks refuse; they see the rows that are good so far as one frame."""
        pieces = sorted((piece for piece in self._checkable if len(piece.rows)), key=lambda p: int(p.rows[0]))
        if not pieces:
            return np.empty(0, np.int64)
        rows = np.concatenate([piece.rows for piece in pieces])
        wkb = pa.chunked_array([piece.wkb for piece in pieces])
        frame = gpd.GeoDataFrame(
            pa.Table.from_batches([piece.values for piece in pieces]).to_pandas().set_axis(rows),
            geometry=np.asarray(shapely.from_wkb(wkb.to_numpy())),
            crs=crs.LONLAT,
        )
        bad: list[Rows] = []
        for look in self.layer.ingest.checks:
            for problem in look(frame):
                self.tally.add_problem(problem)
                if problem.severity == "error":
                    bad.append(rows if problem.row is None else rows[rows == problem.row])
        return np.unique(np.concatenate(bad)) if bad else rows[:0]


def _tell(tally: Tally, fault: values.Fault, name: str, rows: Rows) -> None:
    at = np.flatnonzero(fault.mask & (rows > 0))
    if len(at):
        said = None if fault.values is None else fault.values.take(pa.array(at[:KEPT_PER_KIND])).to_pylist()
        tally.add(rows[at], name, fault.why, said, hint=fault.hint)


def is_datum_column(header: str) -> bool:
    """Whether a column says what each row's coordinates are in."""
    return fold(header) in _DATUM_HEADERS
