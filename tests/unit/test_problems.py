"""Errors as answers: each kind has its status, its name and its places at fault, and an error in flight breaks off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Query
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel

from gis_core import errors
from gis_core.errors import CityError, Problem, Unavailable, Unprocessable
from web_map import problems
from web_map.throttle import Throttle


class Pipe(BaseModel):
    """A body with a field that may be wrong."""

    diameter_mm: float


@pytest.fixture
def app() -> FastAPI:
    made = FastAPI(responses=problems.RESPONSES)
    problems.install(made)

    @made.get("/items/{number}")
    def item(number: int, limit: Annotated[int, Query(ge=1)] = 1) -> int:
        return number * limit

    @made.post("/pipes")
    def pipe(pipe: Pipe) -> Pipe:
        return pipe

    return made


def raising(app: FastAPI, error: Exception) -> Any:
    @app.get("/raises")
    def raises() -> None:
        raise error

    return TestClient(app).get("/raises")


KINDS = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, CityError) and k is not CityError]


@pytest.mark.parametrize("kind", [k for k in KINDS if k.status not in (401, 403)])
def test_each_kind_of_error_has_its_answer(app: FastAPI, kind: type[CityError]) -> None:
    answered = raising(app, kind())
    assert answered.status_code == kind.status
    assert answered.headers["content-type"] == "application/problem+json"
    assert answered.json() == {
        "type": f"/problems/{kind.slug()}",
        "title": kind.title(),
        "status": kind.status,
        "detail": kind.title(),
        "instance": "/raises",
    }


def test_places_at_fault_and_further_words_are_told(app: FastAPI) -> None:
    error = Unprocessable("2 rows are wrong", problems=[Problem(7, "管径", "is negative")], layer="pipes", status=200)
    body = raising(app, error).json()
    assert body["problems"] == [{"row": 7, "field": "管径", "why": "is negative", "severity": "error"}]
    assert body["layer"] == "pipes"
    assert body["status"] == 422


def test_how_long_to_wait_is_told(app: FastAPI) -> None:
    assert raising(app, Unavailable(retry_after=3)).headers["Retry-After"] == "3"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("GET", "/items/x", None, 400, "number"),
        ("GET", "/items/1?limit=0", None, 400, "limit"),
        ("POST", "/pipes", b'{"diameter_mm": "wide"}', 422, "diameter_mm"),
        ("POST", "/pipes", b"{}", 422, "diameter_mm"),
        ("POST", "/pipes", b'{"diameter_mm"', 400, "14"),
    ],
)
def test_a_wrong_request_names_the_field(
    app: FastAPI, method: str, path: str, body: bytes | None, status: int, field: str
) -> None:
    answered = TestClient(app).request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert answered.status_code == status
    told = answered.json()
    assert told["status"] == status
    assert [p["field"] for p in told["problems"]] == [field]
    assert "wide" not in answered.text


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [("GET", "/none", 404, "not-found"), ("PUT", "/pipes", 405, "method-not-allowed")],
)
def test_what_the_framework_refuses_looks_the_same(
    app: FastAPI, method: str, path: str, status: int, slug: str
) -> None:
    answered = TestClient(app).request(method, path)
    assert answered.status_code == status
    assert answered.headers["content-type"] == "application/problem+json"
    assert answered.json()["type"] == f"/problems/{slug}"
    assert ("allow" in answered.headers) == (status == 405)


def test_an_error_in_the_middle_of_an_answer_breaks_it_off(app: FastAPI) -> None:
    async def rows() -> AsyncIterator[bytes]:
        yield b"first"
        raise Unavailable

    @app.get("/stream")
    def stream() -> StreamingResponse:
        return StreamingResponse(rows())

    with pytest.raises(RuntimeError, match="already started"):
        TestClient(app).get("/stream")


def test_every_operation_says_how_it_fails(app: FastAPI) -> None:
    for methods in app.openapi()["paths"].values():
        for operation in methods.values():
            assert "422" not in operation["responses"]
            assert list(operation["responses"]["4XX"]["content"]) == ["application/problem+json"]


# ---- how often


def test_a_client_may_fail_so_often_and_then_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("web_map.throttle.time.monotonic", lambda: now)
    throttle = Throttle(most=3, window_s=60)
    for _ in range(3):
        assert throttle.wait_s("10.0.0.1") == 0
        throttle.fail("10.0.0.1")
    assert throttle.wait_s("10.0.0.1") == 61
    assert throttle.wait_s("10.0.0.2") == 0
    now += 60.5
    assert throttle.wait_s("10.0.0.1") == 0
    throttle.fail("10.0.0.1")
    assert throttle.wait_s("10.0.0.1") == 0


def test_one_network_of_ipv6_is_one_client() -> None:
    throttle = Throttle(most=2)
    throttle.fail("2001:db8::1")
    throttle.fail("2001:db8::2:3")
    assert throttle.wait_s("2001:db8::ffff")
    assert not throttle.wait_s("2001:db8:0:1::1")
    throttle.fail("fe80::1%eth0")
    throttle.fail("not:an:address")


def test_many_clients_take_a_bounded_place() -> None:
    throttle = Throttle()
    for number in range(12_000):
        throttle.fail(f"10.{number >> 8}.{number & 255}.1")
    assert len(throttle._failures) == 10_000
