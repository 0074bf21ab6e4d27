"""Signing in and out over HTTP: links, cookies, bearer tokens, other sites' pages, and what the audit trail says."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import HTMLResponse
from fastapi.testclient import TestClient
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocketDisconnect

from gis_core import audit, tokens
from gis_core.access import require
from gis_core.audit import Trail
from gis_core.database import Database
from gis_core.tokens import Door
from web_map import audit as audit_room
from web_map import headers, problems, session
from web_map.asking import Asker
from web_map.session import COOKIE, viewer_of
from web_map.throttle import MOST_FAILURES

OWN = {"Origin": "http://testserver"}
FOREIGN = {"Origin": "http://evil.example"}


@dataclass
class Doors:
    """As much of a city as sign-in needs."""

    database: Database
    door: Door
    trail: Trail


@pytest.fixture
def city(database: Database) -> Iterator[Doors]:
    opened = Doors(database, Door(database), Trail(database))
    yield opened
    opened.trail.close()


@pytest.fixture
def app(city: Doors, tmp_path: Path) -> FastAPI:
    made = FastAPI(responses=problems.RESPONSES)
    made.state.city = city
    made.include_router(session.router)
    made.include_router(audit_room.router)

    @made.api_route("/probe", methods=["GET", "POST"])
    def probe(viewer: Asker) -> dict[str, Any]:
        return {"role": viewer.role, "owner": viewer.owner}

    @made.get("/closed")
    def closed(viewer: Asker) -> None:
        require(viewer, "edit", "change pipes")

    @made.get("/broken")
    def broken() -> None:
        msg = "the secret is postgres://x"
        raise RuntimeError(msg)

    @made.websocket("/socket")
    async def socket(socket: WebSocket) -> None:
        viewer = await viewer_of(socket)
        await socket.accept()
        await socket.send_text(viewer.role)
        await socket.close()

    @made.get("/")
    @made.get("/plan")
    def page(request: Request) -> Response:
        if "token" in request.query_params:
            return session.enter(request)
        return session.tidy(request, HTMLResponse("<html>"))

    (tmp_path / "app.js").write_text("1")
    made.mount("/assets", StaticFiles(directory=tmp_path))
    session.install(made)
    problems.install(made)
    made.add_middleware(headers.Headers)
    return made


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app, follow_redirects=False)


@pytest.fixture
def stranger(app: FastAPI) -> TestClient:
    return TestClient(app, follow_redirects=False)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def trail_of(city: Doors, action: str | None = None) -> list[audit.Entry]:
    assert city.trail.flush()
    return [entry for _, entry in audit.read(city.database, limit=1000) if action in (None, entry.action)]


# ---- bearer


def test_no_token_is_the_public(client: TestClient) -> None:
    assert client.get("/probe").json() == {"role": "public", "owner": None}
    assert client.get("/api/session").json()["rights"] == ["public"]


def test_a_bearer_token_says_who(client: TestClient, city: Doors) -> None:
    token = city.door.make("utility", owner="gas board", name="gas desk")
    for scheme in ("Bearer", "bearer", "BEARER"):
        asked = client.get("/probe", headers={"Authorization": f"{scheme} {token}"})
        assert asked.json() == {"role": "utility", "owner": "gas board"}
    told = client.get("/api/session", headers=bearer(token)).json()
    assert (told["role"], told["owner"], told["name"]) == ("utility", "gas board", "gas desk")
    assert client.post("/probe", headers=bearer(token) | FOREIGN).status_code == 200


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer x", "Bearer ct_" + "A" * 43, "Basic YTpi", "", "ct_x"])
def test_what_is_shown_and_does_not_hold_is_401(client: TestClient, city: Doors, header: str) -> None:
    asked = client.get("/probe", headers={"Authorization": header})
    assert asked.status_code == 401
    assert asked.headers["WWW-Authenticate"] == "Bearer"
    assert asked.headers["content-type"] == "application/problem+json"
    body = asked.json()
    assert (body["type"], body["status"], body["instance"]) == ("/problems/not-signed-in", 401, "/probe")
    (entry,) = trail_of(city)
    assert (entry.who, entry.action, entry.target, entry.allowed) == ("public", "GET", "/probe", False)


def test_forged_expired_and_withdrawn_tokens_get_the_same_answer(client: TestClient, city: Doors) -> None:
    expired, withdrawn = city.door.make("admin", hours=1), city.door.make("admin")
    with city.database.writing() as connection:
        connection.exec_driver_sql("UPDATE token SET expires_at = now() WHERE expires_at < now() + interval '2 hours'")
    city.door.revoke(withdrawn)
    answers = [
        client.get("/probe", headers=bearer(token))
        for token in (expired, withdrawn, "ct_" + secrets.token_urlsafe(32), "ct_short")
    ]
    assert {a.status_code for a in answers} == {401}
    assert len({a.text for a in answers}) == 1
    assert len({tuple(a.headers.items()) for a in answers}) == 1


def test_a_header_counts_before_the_cookie(client: TestClient, city: Doors) -> None:
    client.cookies.set(COOKIE, city.door.claim(city.door.make("admin")))
    assert client.get("/probe", headers=bearer("ct_" + "A" * 43)).status_code == 401
    assert client.get("/probe", headers=bearer(city.door.make("wall"))).json()["role"] == "wall"


# ---- links


def test_a_link_signs_in_once(client: TestClient, stranger: TestClient, city: Doors) -> None:
    link = city.door.make("admin", once=True)
    opened = client.get("/", params={"token": link, "scene": "wall"})
    assert opened.status_code == 303
    assert opened.headers["location"] == "/?scene=wall"
    assert opened.headers["cache-control"] == "no-store"
    cookie = opened.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"):
        assert part in cookie
    assert "Secure" not in cookie
    assert link not in cookie
    assert client.get("/probe").json()["role"] == "admin"
    assert client.get("/", params={"token": link}).headers["location"] == "/"
    again = stranger.get("/plan", params={"token": link})
    assert again.headers["location"] == "/plan?link=used"
    assert "set-cookie" not in again.headers
    assert stranger.get("/probe").json()["role"] == "public"
    assert [(e.role, e.allowed) for e in trail_of(city, "sign-in")] == [("public", False), ("admin", True)]
    assert all(link not in f"{entry}" for entry in trail_of(city))


def test_over_https_the_cookie_is_secure(app: FastAPI, city: Doors) -> None:
    client = TestClient(app, base_url="https://testserver", follow_redirects=False)
    assert "Secure" in client.get("/", params={"token": city.door.make("wall", once=True)}).headers["set-cookie"]


def test_a_link_is_a_bearer_token_until_it_is_opened(client: TestClient, city: Doors) -> None:
    link = city.door.make("wall", once=True)
    assert client.get("/probe", headers=bearer(link)).json()["role"] == "wall"
    client.get("/", params={"token": link})
    client.cookies.clear()
    assert client.get("/probe", headers=bearer(link)).status_code == 401


def test_of_twenty_browsers_that_open_a_link_at_once_one_is_signed_in(app: FastAPI, city: Doors) -> None:
    link = city.door.make("admin", once=True)

    def open_link(_: int) -> bool:
        return COOKIE in TestClient(app, follow_redirects=False).get("/", params={"token": link}).cookies

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(open_link, range(20))) == 1


def test_a_link_leads_to_no_other_host(app: FastAPI, city: Doors) -> None:
    client = TestClient(app, follow_redirects=False)

    def anything(request: Request) -> Response:
        return session.enter(request)

    app.add_route("/{rest:path}", anything)

    for path in ("//evil.example/", "/\\evil.example", "///evil.example"):
        token = city.door.make("wall", once=True)
        answered = client.get(f"http://testserver{path}", params={"token": token})
        assert answered.status_code == 303
        assert not answered.headers["location"].startswith(("//", "/\\", "http"))


# ---- the cookie


def signed_in(client: TestClient, city: Doors, role: str = "operator") -> str:
    token = city.door.make(role)
    answered = client.post("/api/session", json={"token": token})
    assert answered.status_code == 200
    assert answered.json()["role"] == role
    assert token not in answered.text
    assert token != client.cookies[COOKIE]
    return token


def test_a_typed_token_becomes_a_session_and_signing_out_ends_only_that(client: TestClient, city: Doors) -> None:
    token = signed_in(client, city)
    cookie = client.cookies[COOKIE]
    assert client.get("/probe").json()["role"] == "operator"
    assert client.delete("/api/session", headers=OWN).status_code == 204
    assert COOKIE not in client.cookies
    assert client.get("/probe").json()["role"] == "public"
    client.cookies.set(COOKIE, cookie)
    assert client.get("/probe").status_code == 401
    assert client.get("/probe", headers=bearer(token)).json()["role"] == "operator"
    assert client.get("/probe").status_code == 401


def test_a_stale_cookie_is_401_for_data_and_goes_away_with_the_next_page(client: TestClient, city: Doors) -> None:
    client.cookies.set(COOKIE, "ct_" + secrets.token_urlsafe(32))
    assert client.get("/probe").status_code == 401
    assert client.get("/api/session").status_code == 401
    answered = client.get("/")
    assert answered.status_code == 200
    assert f'{COOKIE}=""' in answered.headers["set-cookie"]
    client.cookies.clear()
    client.cookies.set(COOKIE, city.door.claim(city.door.make("wall")))
    assert "set-cookie" not in client.get("/").headers


def test_a_wrong_typed_token_is_refused_even_beside_a_good_session(client: TestClient, city: Doors) -> None:
    signed_in(client, city)
    answered = client.post("/api/session", json={"token": "ct_" + "A" * 43}, headers=OWN)
    assert answered.status_code == 401
    assert "set-cookie" not in answered.headers


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b'{"token": 5}', b'{"token": null}', b'{"token": "' + b"x" * 501 + b'"}', b"\xff"],
)
def test_a_malformed_sign_in_says_what_is_wrong(client: TestClient, body: bytes) -> None:
    answered = client.post("/api/session", content=body, headers={"Content-Type": "application/json"})
    assert answered.status_code in (400, 422)
    assert answered.headers["content-type"] == "application/problem+json"
    assert answered.json()["detail"]
    assert "x" * 100 not in answered.text


def test_half_a_character_is_no_token(client: TestClient) -> None:
    raw = b'{"token": "\\ud800"}'
    answered = client.post("/api/session", content=raw, headers={"Content-Type": "application/json"})
    assert answered.status_code in (400, 401, 422)


# ---- other sites' pages


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (OWN, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        (FOREIGN, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://testserver.evil.example"}, 403),
        ({"Origin": "http://testserver:81"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"} | OWN, 403),
        ({}, 403),
    ],
)
def test_a_cookie_changes_things_only_from_our_own_pages(
    client: TestClient, city: Doors, sent: dict[str, str], status: int
) -> None:
    signed_in(client, city)
    assert client.post("/probe", headers=sent).status_code == status
    assert client.get("/probe", headers=sent).status_code == 200


def test_another_site_can_neither_sign_in_nor_out(client: TestClient, city: Doors) -> None:
    token = signed_in(client, city)
    assert client.delete("/api/session", headers=FOREIGN).status_code == 403
    assert client.get("/probe").json()["role"] == "operator"
    assert client.post("/api/session", json={"token": token}, headers=FOREIGN).status_code == 403


def test_another_site_opens_no_socket_with_our_cookie(client: TestClient, city: Doors) -> None:
    signed_in(client, city)
    with client.websocket_connect("/socket", headers=OWN) as socket:
        assert socket.receive_text() == "operator"
    for sent in (FOREIGN, {}):
        with pytest.raises(WebSocketDisconnect) as caught, client.websocket_connect("/socket", headers=sent):
            pass
        assert caught.value.code == 1008


# ---- too many


def test_who_guesses_is_stopped_and_who_was_good_is_not(client: TestClient, stranger: TestClient, city: Doors) -> None:
    good, unseen = city.door.make("wall"), city.door.make("wall")
    signed_in(stranger, city)
    assert client.get("/probe", headers=bearer(good)).status_code == 200
    for _ in range(MOST_FAILURES):
        assert client.post("/api/session", json={"token": "ct_" + secrets.token_urlsafe(32)}).status_code == 401
    refused = client.post("/api/session", json={"token": "ct_" + secrets.token_urlsafe(32)})
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert refused.json()["type"] == "/problems/too-many-requests"
    assert client.get("/", params={"token": unseen}).status_code == 429
    assert client.get("/probe", headers=bearer(unseen)).status_code == 429
    assert client.get("/probe", headers=bearer(good)).status_code == 200
    assert stranger.get("/probe").json()["role"] == "operator"
    assert client.get("/probe").status_code == 200


def test_a_page_whose_session_has_ended_is_no_guesser(client: TestClient, city: Doors) -> None:
    client.cookies.set(COOKIE, "ct_" + secrets.token_urlsafe(32))
    for _ in range(MOST_FAILURES + 5):
        assert client.get("/probe").status_code == 401
    assert client.get("/", params={"token": city.door.make("wall", once=True)}).headers["location"] == "/"


# ---- the trail and the log


def test_refusals_are_audited_with_who_and_what(client: TestClient, city: Doors) -> None:
    token = city.door.make("wall", name="hall")
    assert client.get("/closed?secret=1", headers=bearer(token)).status_code == 403
    assert client.get("/closed").status_code == 403
    public, hall = trail_of(city, "GET")
    assert (hall.who, hall.role, hall.target, hall.allowed) == ("hall", "wall", "/closed", False)
    assert public.who == "public"
    assert "testclient" in hall.detail
    assert "secret" not in f"{hall}"
    assert audit.verify(city.database).whole


def test_only_an_auditor_reads_the_trail(client: TestClient, city: Doors) -> None:
    keys = {role: city.door.make(role) for role in ("auditor", "admin", "operator", "wall")}
    for role, key in keys.items():
        for path in ("/api/audit", "/api/audit/verification"):
            assert client.get(path, headers=bearer(key)).status_code == (200 if role == "auditor" else 403)
    assert client.get("/api/audit").status_code == 403
    asked = client.get("/api/audit?limit=3", headers=bearer(keys["auditor"])).json()
    assert len(asked["entries"]) == 3
    older = client.get("/api/audit", params={"before": asked["next"]}, headers=bearer(keys["auditor"])).json()
    assert older["next"] is None
    assert {e["action"] for e in older["entries"]} >= {"make token"}
    verdict = client.get("/api/audit/verification", headers=bearer(keys["auditor"])).json()
    assert verdict["whole"] is True
    again = client.get(f"/api/audit/verification?head={verdict['head']}", headers=bearer(keys["auditor"]))
    assert again.json()["whole"] is True
    assert client.get("/api/audit?limit=0", headers=bearer(keys["auditor"])).status_code == 400
    assert client.get(f"/api/audit?before={10**30}", headers=bearer(keys["auditor"])).status_code == 400


def test_the_log_of_requests_holds_no_token() -> None:
    record = logging.LogRecord("uvicorn.access", 20, "", 0, '%s - "%s %s HTTP/%s" %d', None, None)
    record.args = ("1.2.3.4:5", "GET", "/?token=ct_secret", "1.1", 303)
    assert session.hide_query(record)
    assert record.getMessage() == '1.2.3.4:5 - "GET / HTTP/1.1" 303'


# ---- what every answer carries


def test_every_answer_carries_the_security_headers(app: FastAPI) -> None:
    client = TestClient(app, raise_server_exceptions=False)
    asked = {"/": 200, "/assets/app.js": 200, "/assets/none": 404, "/none": 404, "/closed": 403, "/broken": 500}
    for path, status in asked.items():
        answered = client.get(path)
        assert answered.status_code == status
        for name, value in headers.SECURITY.items():
            assert answered.headers.get_list(name) == [value], (path, name)
        if status >= 400:
            assert answered.headers["content-type"] == "application/problem+json"
            assert answered.json()["status"] == status
    assert client.put("/closed").status_code == 405


def test_what_nobody_foresaw_tells_nothing(app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    answered = TestClient(app).get("/broken?token=ct_secret")
    assert answered.status_code == 500
    assert "postgres" not in answered.text
    number = answered.json()["detail"].split()[-1]
    assert number in caplog.text
    assert "ct_secret" not in caplog.text


def test_a_database_that_is_away_is_503(app: FastAPI, city: Doors) -> None:
    city.door = Door(Database("postgresql://nobody@/none?host=/nonexistent"))
    answered = TestClient(app).get("/probe", headers=bearer("ct_" + "A" * 43))
    assert answered.status_code == 503
    assert answered.json()["type"] == "/problems/unavailable"
    assert "nonexistent" not in answered.text


def test_a_revoked_session_is_dead_at_once(client: TestClient, city: Doors) -> None:
    token = signed_in(client, city)
    assert client.get("/probe").status_code == 200
    city.door.revoke(tokens.id_of(tokens.digest_of(token)))
    assert client.get("/probe").status_code == 401
