"""Files that were only tried, kept in the home folder for a week, so that their givers can publish them by id."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from gis_core.database import Database

KEPT_DAYS: Final = 7
MOST_BYTES: Final = 8 * 2**30
"""What all kept files together may take; the oldest go first."""


class Shelf:
    """The kept files of one city; one home may hold several."""

    def __init__(self, home: Path, database: Database) -> None:
        """Look at this city's place, which is made with the first file."""
        self._folder = home / "uploads" / str(database.engine.url.database or "city")

    def keep(self, upload: str, file: Path) -> None:
        """Keep a copy of a file under the id of its upload; it is there whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sweep(file.stat().st_size)
        part = self._folder / f"{upload}.part"
        shutil.copyfile(file, part)
        part.replace(self._folder / upload)

    def find(self, upload: str) -> Path | None:
        """The file of an upload, if it is still kept."""
        place = self._folder / upload
        return place if place.is_file() else None

    def remove(self, upload: str) -> None:
        """Let a file go."""
        (self._folder / upload).unlink(missing_ok=True)

    def _sweep(self, coming: int) -> None:
        """Let go what is too old, and of the others the oldest, until what is coming fits."""
        limit = time.time() - KEPT_DAYS * 86_400
        total = coming
        with suppress(FileNotFoundError):  # another process may sweep too
            found = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
            for path in found:
                total += path.stat().st_size
                if path.stat().st_mtime < limit or total > MOST_BYTES:
                    path.unlink(missing_ok=True)
