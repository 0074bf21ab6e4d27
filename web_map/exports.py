"""`/api/export/{layer}`: what somebody may see of a layer, to take away as a file."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from gis_core.export import LIMIT_S, Format, export, may_export
from gis_core.queries import read_query
from web_map.asking import AskedLayer, Asker, TheCity

router = APIRouter(tags=["export"])

_OURS = ("bbox", "filter", "filter-lang", "filter-crs", "bbox-crs", "datetime")


@router.get("/api/export/{layer}", response_class=FileResponse)
def export_layer(
    request: Request,
    city: TheCity,
    viewer: Asker,
    layer: AskedLayer,
    format: Annotated[Format, Query(description="the kind of file")] = Format.gpkg,  # noqa: A002  its name in the URL
    bbox: Annotated[str | None, Query(description="west,south,east,north")] = None,  # noqa: ARG001  read with the rest
    filter: Annotated[str | None, Query(description="CQL2")] = None,  # noqa: A002, ARG001
) -> FileResponse:
    """The layer's features as GeoPackage, GeoParquet or CSV; `bbox`, `datetime` and `filter` as in `/ogc`."""
    may_export(layer, viewer)
    pairs = [(name, value) for name, value in request.query_params.multi_items() if name != "format"]
    query = read_query(pairs, layer, viewer, city.facts.get("metric_crs"), allowed=_OURS)
    folder = Path(tempfile.mkdtemp(prefix="chengtu-export-"))
    try:
        with city.database.reading(viewer, limit_s=LIMIT_S) as connection:
            made = export(connection, layer, viewer, query, format, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        made.path,
        media_type=format.media_type,
        filename=made.name,
        headers={"X-Simulated-Rows": str(made.simulated), "X-Rows": str(made.rows), "Cache-Control": "no-store"},
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )
