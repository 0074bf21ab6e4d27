"""`/api/export/{layer}`: what somebody may see of a layer, to take away as a file."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from gis_core.access import Viewer, is_guarded
from gis_core.allowance import CELL_KM2, RESOLUTION
from gis_core.export import LIMIT_S, Format, export, footprint, may_export
from gis_core.queries import Query as FeatureQuery
from gis_core.queries import read_query
from gis_core.spec import Layer
from web_map.asking import AskedLayer, Asker, TheCity
from web_map.city import City

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
    asked = read_query(pairs, layer, viewer, city.facts.get("metric_crs"), allowed=_OURS)
    taken = _take(city, viewer, layer, asked)
    folder = Path(tempfile.mkdtemp(prefix="chengtu-export-"))
    try:
        with city.database.reading(viewer, limit_s=LIMIT_S) as connection:
            made = export(connection, layer, viewer, asked, format, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    city.trail.record(
        viewer, "export", request.url.path, allowed=True, detail=f"{made.rows} rows as {format.value}{taken}"
    )
    return FileResponse(
        made.path,
        media_type=format.media_type,
        filename=made.name,
        headers={"X-Simulated-Rows": str(made.simulated), "X-Rows": str(made.rows), "Cache-Control": "no-store"},
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )


def _take(city: City, viewer: Viewer, layer: Layer, asked: FeatureQuery) -> str:
    """Count the ground of an export against what the viewer may take, in words. Raises OverAllowance."""
    if not is_guarded(layer):
        return ""
    with city.database.reading(viewer, limit_s=LIMIT_S) as connection:
        cells, rows = footprint(connection, layer, viewer, asked, RESOLUTION)
    sum_km2 = city.allowance.take(viewer, cells, f"an export of {rows} rows of {layer.name}")
    limit_km2 = city.allowance.limit_km2
    return f" from {len(cells) * CELL_KM2:.2f} km2; {sum_km2:.2f} of {limit_km2:g} km2 taken within 24 hours"
