"""Everything a process may be told, read once from arguments and the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Settings:
    """How this process runs. Made by the command line or a test; nothing is read at import.

    `home` holds what the product itself makes: the database cluster, caches, fetched wheels. `data` is a folder of
    files that the user gives to a city pack; `osm` is one OSM extract. `city` is a pack's name or folder (None: the
    extract's own city where one is given, else the default). `detail_limit_km2` is how much ground one person may
    take full detail of within a day, from layers that mark how secret their rows are (`gis_core.allowance`).
    """

    home: Path = ROOT / "var"
    database_url: str | None = None
    city: str | None = None
    data: Path | None = None
    osm: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    feeds: bool = True
    upload_limit_mb: int = 512
    tile_cache_mb: int = 256
    detail_limit_km2: float = 25.0

    @classmethod
    def from_environment(cls, **given: object) -> Settings:
        """Arguments first, then CHENGTU_HOME and DATABASE_URL, then the defaults."""
        values: dict[str, object] = {}
        if home := os.environ.get("CHENGTU_HOME"):
            values["home"] = Path(home)
        if url := os.environ.get("DATABASE_URL"):
            values["database_url"] = url
        values |= {name: value for name, value in given.items() if value is not None}
        if "home" in values:
            values["home"] = Path(str(values["home"])).expanduser().resolve()
        return cls(**values)  # type: ignore[arg-type]
