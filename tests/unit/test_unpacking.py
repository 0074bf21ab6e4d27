"""What files are, by their content; archives that would do harm leave nothing behind."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

import pytest

from gis_core.errors import TooLarge
from gis_core.ingest import unpacking
from gis_core.ingest.unpacking import Kind, Unreadable, UnsafeArchive, opened, sniff


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"type": "FeatureCollection"}', Kind.geojson),
        (b'\xef\xbb\xbf  {"type": "Feature", "geometry": null}', Kind.lines),
        (b'{"type": "Feature"}\n{"type": "Feature"}\n', Kind.lines),
        (b'\x1e{"type": "Feature"}\n', Kind.lines),
        (b'{"type": "Feature",\n"geometry": null}', Kind.geojson),
        (b"SQLite format 3\0" + bytes(52) + b"GPKG", Kind.geopackage),
        (b"SQLite format 3\0" + bytes(60), None),
        (b"PAR1", Kind.parquet),
        (b"PK\x03\x04", Kind.zip),
        (b"\x00\x00\x27\x0a", Kind.shapefile),
        (b"a,b\n1,2", Kind.csv),
        ("编号,名称".encode("gbk"), Kind.csv),
        ("编号,名称".encode("utf-16"), Kind.csv),
        (b"", None),
        (b"<OGRVRTDataSource>", None),
        (b"\x7fELF\0\0", None),
        (b"[1]", None),
    ],
)
def test_a_file_is_what_its_first_bytes_are(content: bytes, kind: Kind | None) -> None:
    assert sniff(io.BytesIO(content)) is kind


def archive(path: Path, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return path


def test_a_shapefile_is_unpacked_under_our_own_names_and_taken_away_again(tmp_path: Path) -> None:
    entries = {"城/Pipes.SHP": b"\x00\x00\x27\x0a", "城/pipes.dbf": b"d", "城/pipes.sbn": b"x", "__MACOSX/p.shp": b"x"}
    with opened(archive(tmp_path / "a.zip", **entries)) as (kind, place):
        assert (kind, place.name) == (Kind.shapefile, "data.shp")
        assert {p.name for p in place.parent.iterdir()} == {"data.shp", "data.dbf"}
    assert not place.parent.exists()


def test_an_archive_that_lies_about_its_size_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "LARGEST_UNPACKED", 1000)
    path = archive(tmp_path / "a.zip", **{"a.csv": b"a,b\n" * 1000})
    with pytest.raises(TooLarge), opened(path):
        pass
    # The size in the directory is made small; what comes out is counted all the same.
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = (500).to_bytes(4, "little")
    path.write_bytes(data)
    before = set(Path(tempfile.gettempdir()).glob("chengtu-in-*"))
    with pytest.raises((UnsafeArchive, Unreadable)), opened(path):
        pass
    assert set(Path(tempfile.gettempdir()).glob("chengtu-in-*")) <= before


def test_more_entries_than_anybody_needs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MOST_ENTRIES", 3)
    with pytest.raises(UnsafeArchive), opened(archive(tmp_path / "a.zip", a=b"", b=b"", c=b"", d=b"")):
        pass
