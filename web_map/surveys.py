"""`/api/surveys`: pipe surveys handed in, examined, mended, compared, published, and versions taken back."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from starlette.datastructures import FormData, UploadFile

from gis_core.access import Viewer, require
from gis_core.errors import BadInput, Problem
from twin.survey.desk import RIGHT
from twin.survey.difference import Scope
from web_map.asking import Asker, TheCity
from web_map.city import City
from web_map.forms import read_form

router = APIRouter(tags=["surveys"])

_WORKBOOK: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_NO_STORE: Final = {"Cache-Control": "no-store"}
_FILES: Final = ("points", "lines")
_LARGEST_NUMBER: Final = 2**31 - 1
_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["points"],
                    "properties": {
                        "points": {"type": "string", "format": "binary"},
                        "lines": {"type": "string", "format": "binary"},
                        "datum": {"type": "string"},
                        "owner": {"type": "string"},
                        "mapping": {"type": "string"},
                        "encoding": {"type": "string"},
                        "name": {"type": "string"},
                        "scope": {"type": "string", "enum": [str(scope) for scope in Scope]},
                    },
                }
            }
        },
    }
}

Survey = Annotated[str, Field(max_length=100)]
Rule = Annotated[str | None, Query(max_length=20, description="only problems of this rule")]
Severity = Annotated[Literal["error", "warning"] | None, Query(description="only problems so grave")]


class Wish(BaseModel):
    """What is said beside the files of a survey."""

    datum: str | None = Field(None, max_length=300)
    owner: str | None = Field(None, max_length=200)
    mapping: dict[str, JsonValue] | None = None
    encoding: str | None = Field(None, max_length=40)
    name: str | None = Field(None, max_length=200)
    scope: Scope = Scope.extent


class Columns(BaseModel):
    """Which column is which field: by column, null for a column of no use; or as the survey itself says it."""

    model_config = ConfigDict(extra="forbid")

    points: dict[str, JsonValue] | None = None
    lines: dict[str, JsonValue] | None = None
    save: bool = Field(default=False, description="keep it for the owner's next surveys")


class Consent(BaseModel):
    """What the publisher accepts."""

    model_config = ConfigDict(extra="forbid")

    accept_warnings: bool = False


@router.post("/api/surveys", status_code=202, openapi_extra=_FORM)
async def hand_in(request: Request, city: TheCity, viewer: Asker) -> Response:
    """Give the point table (管点表) and the line table (管线表) of a survey, in one file or in two, to be examined.

    Excel, CSV, DBF, zipped Shapefile, GeoPackage, GeoJSON, DXF, or several of them in one zip. `datum` is what the
    coordinates are in, `owner` (for staff) whose pipes these are, `mapping` corrects which column is which field.
    `scope` says which standing pipes the survey speaks for, so that those it does not hold are removed when it is
    published: those of its classes within its outline (`extent`), all of its classes, or all of the owner's.
    """
    city.surveys.owner_of(viewer, None)
    form = await read_form(request, city.settings.upload_limit_mb, files=len(_FILES))
    try:
        return await run_in_threadpool(_take, city, viewer, form)
    finally:
        await form.close()


@router.get("/api/surveys")
def surveys(city: TheCity, viewer: Asker) -> dict[str, Any]:
    """The surveys under way and those that were published, newest first; an owner sees only its own."""
    return {"surveys": [kept.as_json(whole=False) for kept in city.surveys.listed(viewer)]}


@router.get("/api/surveys/mapping")
def saved_mapping(city: TheCity, viewer: Asker) -> dict[str, Any]:
    """The corrections of columns that were saved and hold for the next survey."""
    return city.surveys.saved_mapping(viewer)


@router.get("/api/surveys/versions")
def versions(
    city: TheCity, viewer: Asker, owner: Annotated[str | None, Query(max_length=200, description="for staff")] = None
) -> dict[str, Any]:
    """What was published, newest first; each version can be restored."""
    return {"versions": [version.as_json() for version in city.surveys.versions(viewer, owner)]}


@router.post("/api/surveys/versions/{number}/restore")
def restore(
    city: TheCity,
    viewer: Asker,
    number: Annotated[int, Field(ge=1, le=_LARGEST_NUMBER)],
    owner: Annotated[str | None, Query(max_length=200, description="for staff: whose version")] = None,
) -> dict[str, Any]:
    """Put a version in the place of all that its owner has; this is a new version itself."""
    return city.surveys.restore(viewer, number, owner).as_json()


@router.get("/api/surveys/{survey_id}")
def read_survey(city: TheCity, viewer: Asker, survey_id: Survey) -> JSONResponse:
    """How far a survey is, what was found in it, and what publishing would change."""
    return JSONResponse(city.surveys.find(viewer, survey_id).as_json(), headers=_NO_STORE)


@router.delete("/api/surveys/{survey_id}", status_code=204)
def remove(city: TheCity, viewer: Asker, survey_id: Survey) -> Response:
    """Forget a survey and its files; what was published of it stands."""
    city.surveys.remove(viewer, survey_id)
    return Response(status_code=204)


@router.put("/api/surveys/{survey_id}/mapping", status_code=202)
def remap(city: TheCity, viewer: Asker, survey_id: Survey, columns: Columns) -> JSONResponse:
    """Correct which column is which field, and have the survey examined anew."""
    given = {name: part for name in _FILES if (part := getattr(columns, name)) is not None}
    kept = city.surveys.remap(viewer, survey_id, given, save=columns.save)
    return JSONResponse({"id": kept.id, "state": kept.state}, 202)


@router.get("/api/surveys/{survey_id}/problems")
def problems(
    city: TheCity,
    viewer: Asker,
    survey_id: Survey,
    rule: Rule = None,
    severity: Severity = None,
    after: Annotated[int, Query(ge=0, le=_LARGEST_NUMBER, description="number of the problem before the page")] = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 200,
) -> dict[str, Any]:
    """What is wrong, row by row, those of whole tables first, errors before warnings; a page at a time."""
    return city.surveys.problems(viewer, survey_id, rule, severity, after, limit)


@router.get("/api/surveys/{survey_id}/problems.geojson")
def problems_geojson(
    city: TheCity, viewer: Asker, survey_id: Survey, rule: Rule = None, severity: Severity = None
) -> JSONResponse:
    """Every problem that has a place, as GeoJSON."""
    return _geojson(city.surveys.problems_geojson(viewer, survey_id, rule, severity))


@router.get("/api/surveys/{survey_id}/features.geojson")
def features(
    city: TheCity,
    viewer: Asker,
    survey_id: Survey,
    limit: Annotated[int, Query(ge=1, le=200_000, description="of each table")] = 20_000,
) -> JSONResponse:
    """The survey's points and lines for a preview; where there are more than the limit, evenly chosen ones."""
    return _geojson(city.surveys.features(viewer, survey_id, limit))


@router.get("/api/surveys/{survey_id}/difference.geojson")
def difference(city: TheCity, viewer: Asker, survey_id: Survey) -> JSONResponse:
    """What publishing would change, `change` being added, removed, moved or changed; then what it did change."""
    return _geojson(city.surveys.difference(viewer, survey_id))


@router.get("/api/surveys/{survey_id}/remarks.xlsx", response_class=FileResponse)
def remarks(city: TheCity, viewer: Asker, survey_id: Survey) -> FileResponse:
    """Both tables as they came with a column of remarks (备注), and a sheet of counts."""
    path, name = city.surveys.remarks(viewer, survey_id)
    return FileResponse(path, media_type=_WORKBOOK, filename=name, headers=_NO_STORE)


@router.post("/api/surveys/{survey_id}/publish")
def publish(city: TheCity, viewer: Asker, survey_id: Survey, consent: Consent) -> dict[str, Any]:
    """Put the survey in the place of the pipes for which it speaks, in one transaction, as a new version."""
    return city.surveys.publish(viewer, survey_id, accept_warnings=consent.accept_warnings).as_json()


def _take(city: City, viewer: Viewer, form: FormData) -> Response:
    require(viewer, RIGHT, "hand in pipe surveys")
    files = [(file.filename or name, file.file) for name in _FILES if isinstance(file := form.get(name), UploadFile)]
    if not isinstance(form.get("points"), UploadFile):
        raise BadInput("Send the point table, or one file with both tables, as the field `points`.")
    wish = _wish(form)
    kept = city.surveys.take(viewer, files, **{name: getattr(wish, name) for name in Wish.model_fields})
    return JSONResponse({"id": kept.id, "state": kept.state}, 202, {"Location": f"/api/surveys/{kept.id}"})


def _wish(form: FormData) -> Wish:
    """What the form says beside the files. Raises BadInput."""
    said: dict[str, Any] = {name: value for name, value in form.items() if isinstance(value, str) and value.strip()}
    try:
        if "mapping" in said:
            said["mapping"] = json.loads(said["mapping"])
        return Wish.model_validate({name: value for name, value in said.items() if name in Wish.model_fields})
    except ValidationError as error:
        told = [Problem(None, ".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors()]
        raise BadInput("; ".join(f"{p.field}: {p.why}" for p in told), problems=told) from error
    except (ValueError, RecursionError) as error:
        raise BadInput("The field `mapping` must be JSON.") from error


def _geojson(found: dict[str, Any]) -> JSONResponse:
    return JSONResponse(found, headers=_NO_STORE, media_type="application/geo+json")
