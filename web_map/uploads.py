"""`/api/uploads`: give a file for a layer, and read again what was said about it."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import FormData, UploadFile

from gis_core.access import Viewer, require, require_write
from gis_core.errors import BadInput, CityError, Conflict, NotFound, Problem, TooLarge, Unavailable, Unprocessable
from gis_core.ingest import Mode, Report, Source, ingest_file, uploads
from gis_core.ingest.report import SHOWN
from gis_core.ingest.shelf import Shelf
from gis_core.spec import Layer
from web_map.asking import AskedLayer, Asker, TheCity
from web_map.city import City
from web_map.forms import read_form

router = APIRouter(tags=["uploads"])

_AT_ONCE: Final = 2
"""Files that are read at the same time: each may need some hundred megabytes."""
_WAIT_S: Final = 120.0
_places = threading.BoundedSemaphore(_AT_ONCE)
_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "datum": {"type": "string"},
                        "mode": {"type": "string", "enum": [str(mode) for mode in Mode]},
                        "dry_run": {"type": "boolean"},
                        "encoding": {"type": "string"},
                        "inner": {"type": "string"},
                        "title": {"type": "string"},
                        "licence": {"type": "string"},
                    },
                }
            }
        },
    }
}


class Wish(BaseModel):
    """What somebody says beside a file, in the address or in the form, which counts first."""

    datum: str | None = Field(None, description="what the coordinates are in, if the file does not say")
    mode: Mode = Field(Mode.all_or_nothing, description="what happens to good rows beside bad ones")
    dry_run: bool = Field(default=False, description="only say what would happen")
    encoding: str | None = Field(None, description="of text in the file, if it does not say")
    inner: str | None = Field(None, description="the layer of a GeoPackage that has several")
    title: str | None = Field(None, description="of the data set; default: the file's name", max_length=300)
    licence: str | None = Field(None, max_length=300)


@router.post("/api/uploads/{layer}", openapi_extra=_FORM)
async def upload(
    request: Request, city: TheCity, viewer: Asker, layer: AskedLayer, wish: Annotated[Wish, Query()]
) -> Response:
    """Check a file (GeoJSON, zipped Shapefile, GeoPackage, CSV, GeoParquet) and store its rows in the layer.

    A row whose key stands already replaces that row. The answer is the report, 201 when rows were stored; a file
    that is refused as a whole is answered by a problem with the rows at fault. Both can be read again under the id. A
    file that was only tried is kept for a week and can be published by its id.
    """
    require(viewer, "upload", f"upload files to {layer.name}")
    require_write(layer, viewer)
    form = await read_form(request, city.settings.upload_limit_mb)
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise BadInput("Send the file as the field `file` of a multipart form.")
        wish = _with_form(wish, form)
        return await run_in_threadpool(_take, city, layer, viewer, file, wish)
    finally:
        await form.close()


@router.get("/api/uploads/{upload_id}")
def read_upload(city: TheCity, viewer: Asker, upload_id: str) -> dict[str, Any]:
    """What was said about a file, for whoever gave it and for administrators."""
    return uploads.find(city.database, upload_id, viewer).as_json()


@router.get("/api/uploads/{upload_id}/problems.csv", response_class=Response)
def read_problems(city: TheCity, viewer: Asker, upload_id: str) -> Response:
    """The problems of a file as a table."""
    found = uploads.find(city.database, upload_id, viewer)
    name = f"problems-{found.layer}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    # The mark makes spreadsheets read it as UTF-8.
    return Response("\ufeff" + found.problems_csv(), media_type="text/csv; charset=utf-8", headers=headers)


@router.post("/api/uploads/{upload_id}/publish")
def publish(city: TheCity, viewer: Asker, upload_id: str) -> Response:
    """Store the file of an upload that was only tried (`dry_run`), as its giver said then; it is kept for a week."""
    require(viewer, "upload", "publish uploads")
    uploads.find(city.database, upload_id, viewer)
    with city.database.alone(f"upload {upload_id}"):
        found = uploads.find(city.database, upload_id, viewer)
        layer = city.layers.get(found.layer)
        if layer is None:
            raise NotFound(f"there is no layer {found.layer!r} any more")
        require_write(layer, viewer)
        if not found.publishable:
            raise Conflict("This upload was not only tried: it is stored already, or was refused.")
        place = _shelf(city).find(upload_id)
        if place is None:
            raise Conflict("The file is no longer kept; upload it again.")
        report = _ingest(city, layer, viewer, place, found.filename, Wish.model_validate(found.said))
        known = uploads.conclude(city.database, upload_id, report)
    if not report.stored:
        raise _refusal(report, known)
    _shelf(city).remove(upload_id)
    return JSONResponse(known.as_json(), 201, {"Location": f"/api/uploads/{upload_id}"})


def _take(city: City, layer: Layer, viewer: Viewer, file: UploadFile, wish: Wish) -> Response:
    """Put the file where libraries can read it, ingest it, and keep what was said."""
    name = PurePosixPath((file.filename or "").replace("\\", "/")).name or "upload"
    said = wish.model_dump(mode="json", exclude={"dry_run"})

    def keep(outcome: Report | CityError) -> uploads.Upload:
        return uploads.keep(
            city.database, layer.name, viewer, name, wish.mode, dry_run=wish.dry_run, outcome=outcome, said=said
        )

    with tempfile.TemporaryDirectory(prefix="chengtu-upload-") as folder:
        place = Path(folder) / "file"
        try:
            with place.open("wb") as target:
                shutil.copyfileobj(file.file, target, 2**20)
            report = _ingest(city, layer, viewer, place, name, wish)
        except (BadInput, TooLarge) as error:
            error.more = {**error.more, "upload": keep(error).id}
            raise
        known = keep(report)
        if wish.dry_run:
            _shelf(city).keep(known.id, place)
    if not wish.dry_run and not report.stored:
        raise _refusal(report, known)
    headers = {"Location": f"/api/uploads/{known.id}"} if report.stored else {}
    return JSONResponse(known.as_json(), 201 if report.stored else 200, headers)


def _ingest(city: City, layer: Layer, viewer: Viewer, place: Path, name: str, wish: Wish) -> Report:
    """Read a file when one of the few places is free."""
    if not _places.acquire(timeout=_WAIT_S):
        raise Unavailable("Other files are being read; try again in a while.", retry_after=60)
    try:
        return ingest_file(
            city.database,
            layer,
            place,
            source=Source(wish.title or name, licence=wish.licence or "", datum=""),
            datum=wish.datum,
            mode=wish.mode,
            viewer=viewer,
            facts=city.facts,
            dry_run=wish.dry_run,
            encoding=wish.encoding,
            name=name,
            inner=wish.inner,
        )
    finally:
        _places.release()


def _shelf(city: City) -> Shelf:
    return Shelf(city.settings.home, city.database)


def _refusal(report: Report, known: uploads.Upload) -> CityError:
    """Nothing was stored: the rows at fault as the problem's."""
    said = (
        f"{report.refused} of {report.rows} rows have errors, so nothing was stored."
        if report.refused
        else "The file has no rows."
        if not report.rows
        else "Other rows have errors, so nothing was stored."
    )
    return Unprocessable(said, problems=report.problems[:SHOWN], upload=known.id, report=known.as_json(0))


def _with_form(wish: Wish, form: FormData) -> Wish:
    """The wish with what the form says in place of the address. Raises BadInput."""
    said = {name: value for name, value in form.items() if isinstance(value, str) and value.strip()}
    try:
        return Wish.model_validate(wish.model_dump() | said)
    except ValidationError as error:
        problems = [Problem(None, ".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors()]
        raise BadInput("; ".join(f"{p.field}: {p.why}" for p in problems), problems=problems) from error
