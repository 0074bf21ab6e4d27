"""The product's own application over a database, served as `chengtu serve` does: PORT URL CACHE_MB."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import uvicorn

from gis_core.database import Database
from gis_core.settings import Settings
from web_map.connections import OnePiece
from web_map.service import create_app

FACTS = {
    "name": "bench",
    "title": {"zh": "测试", "en": "Bench"},
    "bounds": [-71.5, -30.2, -71.0, -29.7],
    "metric_crs": "EPSG:32719",
    "attribution": [],
}


def main(port: int, url: str, cache_mb: int) -> None:
    """Serve until a signal comes."""
    settings = replace(Settings(), home=Path("unused"), tile_cache_mb=cache_mb)
    app = create_app(settings, Database(url), FACTS)
    uvicorn.run(app, port=port, http=OnePiece, loop="uvloop", log_level="error", access_log=False, server_header=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
