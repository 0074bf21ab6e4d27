"""Surveys over HTTP: examined, told row by row, mended, shown to their owner alone; hostile input gets a report."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openpyxl

from tests.integration.surveys.conftest import GAS, WATER, Office
from tests.survey_maker import Made

Change = Callable[[Callable[[Made], None]], Made]
PLANNED = (("", "GET"), ("/versions", "GET"), ("/mapping", "GET"), ("/x", "GET"), ("/x", "DELETE"))


def spoil(made: Made) -> None:
    """Two lines without a depth, one of a material that nobody knows."""
    made.lines[3]["起点埋深"] = "deep"
    made.lines[10]["终点埋深"] = ""
    made.lines[20]["材质"] = "unobtainium"


def test_a_survey_is_examined_and_told_row_by_row(office: Office, altered: Change) -> None:
    made = altered(spoil)
    told = office.examined(made, name="Street 1")
    assert told["name"] == "Street 1"
    assert [file["name"] for file in told["files"]] == ["管点表.csv", "管线表.csv"]
    assert (told["counts"]["points"], told["counts"]["lines"]) == (len(made.points), len(made.lines))
    assert told["counts"]["errors"] >= 2
    assert told["publishable"] is False
    assert "错误" in told["why_not"]["zh"]
    assert {"column": "起点埋深", "field": "start_depth_m", "confidence": 1.0} in told["mapping"]["lines"]["columns"]
    rule = next(rule for rule in told["rules"] if rule["severity"] == "error")
    assert {"id", "count", "title", "standard", "clause", "grade"} <= set(rule)
    west, south, east, north = told["bounds"]
    assert 116 < west < east < 117
    assert 39 < south < north < 40
    path = f"/{told['id']}"
    page = office.get(f"{path}/problems?severity=error&limit=1")
    assert page["next"] is not None
    first = page["problems"][0]
    rest = office.get(f"{path}/problems?severity=error&after={page['next']}")["problems"]
    rows = {(p["table"], p["row"]) for p in [first, *rest]}
    assert {("lines", 4), ("lines", 11)} <= rows
    assert first["n"] < rest[0]["n"]
    assert {"zh", "en"} == set(first["message"])
    only = office.get(f"{path}/problems?rule={first['rule']}")["problems"]
    assert {p["rule"] for p in only} == {first["rule"]}
    drawn = office.get(f"{path}/problems.geojson")["features"]
    assert {("lines", 4), ("lines", 11)} <= {(f["properties"]["table"], f["properties"]["row"]) for f in drawn}
    assert all(west <= f["geometry"]["coordinates"][0] <= east for f in drawn)
    shown = office.get(f"{path}/features.geojson?limit=10")
    assert len(shown["features"]) == 20
    assert shown["total"] > 20
    answered = office.ask("GET", f"{path}/remarks.xlsx")
    assert answered.status_code == 200, answered.text
    sheet = openpyxl.load_workbook(io.BytesIO(answered.content), read_only=True)["管线表"]
    remarks = [row[-1] for row in sheet.iter_rows(values_only=True)]
    assert remarks[0] == "备注"
    assert remarks[4]
    refused = office.ask("POST", f"{path}/publish", json={"accept_warnings": True})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/conflict")
    assert office.rows() == 0


def test_a_mapping_is_corrected_saved_and_used_again(office: Office, altered: Change) -> None:
    def rename(made: Made) -> None:
        for row in made.lines:
            row["how deep"] = row.pop("起点埋深")

    made = altered(rename)
    told = office.examined(made)
    assert told["counts"]["errors"] > 0
    assert "how deep" in told["mapping"]["lines"]["unused"]
    body = {"lines": {"how deep": "start_depth_m"}, "save": True}
    ordered = office.ask("PUT", f"/{told['id']}/mapping", json=body)
    assert (ordered.status_code, ordered.json()["state"]) == (202, "reading")
    mended = office.wait(told["id"])
    assert (mended["counts"]["errors"], mended["publishable"]) == (0, True), mended["rules"]
    assert office.get("/mapping") == {"lines": {"how deep": "start_depth_m"}}
    assert office.get("/mapping", GAS) == {}
    assert office.examined(made)["publishable"] is True
    wrong = office.ask("PUT", f"/{told['id']}/mapping", json={"lines": {"how deep": "nonsense"}})
    assert (wrong.status_code, wrong.json()["problems"][0]["field"]) == (422, "how deep")


def test_nobody_sees_the_survey_of_another_owner(office: Office, town: Made) -> None:
    told = office.examined(town)
    office.publish(told["id"])
    assert office.get("", GAS) == {"surveys": []}
    assert office.get("/versions", GAS) == {"versions": []}
    path = f"/{told['id']}"
    for rest in ("", "/problems", "/problems.geojson", "/features.geojson", "/difference.geojson", "/remarks.xlsx"):
        assert office.ask("GET", path + rest, GAS).status_code == 404, rest
    body = {"accept_warnings": True}
    assert office.ask("POST", f"{path}/publish", GAS, json=body).status_code == 404
    assert office.ask("PUT", f"{path}/mapping", GAS, json={}).status_code == 404
    assert office.ask("DELETE", path, GAS).status_code == 404
    assert office.ask("POST", "/versions/1/restore", GAS).status_code == 404
    assert office.ask("GET", f"/versions?owner={WATER}", GAS).status_code == 403
    assert [s["id"] for s in office.get("")["surveys"]] == [told["id"]]
    assert [s["id"] for s in office.get("", None, "admin")["surveys"]] == [told["id"]]
    for role in ("planner", "operator", "emergency", "wall", "auditor"):
        for door, method in PLANNED:
            assert office.ask(method, door, None, role).status_code == 403, (role, door)


def test_surveys_at_the_same_moment_never_mix(office: Office, altered: Change) -> None:
    def thin(kept: int) -> Callable[[Made], None]:
        def change(made: Made) -> None:
            made.points, made.lines = made.points[:kept], made.lines[: kept - 1]

        return change

    asked = [(WATER, 25), (GAS, 20), (WATER, 15), (GAS, 10)]
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda pair: office.hand_in(altered(thin(pair[1])), pair[0]), asked))
    assert len(set(ids)) == len(ids)
    for survey, (owner, count) in zip(ids, asked, strict=True):
        told = office.wait(survey, owner)
        assert (told["counts"]["points"], told["owner"]) == (count, owner)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda pair: office.publish(pair[0], pair[1][0]), zip(ids, asked, strict=True)))
    assert sorted((owner, d["version"]) for d, (owner, _) in zip(done, asked, strict=True)) == [
        (GAS, 1), (GAS, 2), (WATER, 1), (WATER, 2),
    ]  # fmt: skip
    with office.database.engine.connect() as connection:
        codes = connection.exec_driver_sql("SELECT code, owner FROM pipe_points").all()
    assert all(code.startswith(f"{owner}/") for code, owner in codes)


def test_staff_say_whose_survey_it_is(office: Office, town: Made) -> None:
    files = {"points": ("a.csv", b"x", "text/csv")}
    nobody = office.ask("POST", "", None, "admin", files=files)
    assert (nobody.status_code, "owner" in nobody.json()["detail"]) == (400, True)
    assert office.ask("POST", "", WATER, files=files, data={"owner": GAS}).status_code == 403
    survey = office.hand_in(town, None, "admin", owner=GAS)
    assert office.wait(survey, GAS)["owner"] == GAS


def answer_to(office: Office, name: str, content: bytes, **said: str) -> dict[str, Any]:
    answered = office.ask("POST", "", files={"points": (name, content)}, data=said)
    assert answered.status_code == 202, answered.text
    return office.wait(answered.json()["id"])


def test_a_file_that_is_no_survey_gets_a_report(office: Office) -> None:
    for name, content in (
        ("survey.xlsx", b"not a workbook"),
        ("survey.csv", b"a,b\n1,2\n"),
        ("survey.exe", b"MZ"),
    ):
        told = answer_to(office, name, content, datum="CGCS2000")
        assert (told["state"], told["publishable"]) == ("examined", False), told
        assert told["counts"]["errors"] >= 1
        assert office.get(f"/{told['id']}/problems")["problems"][0]["message"]["zh"]
    assert office.rows() == 0


def test_what_is_wrong_with_a_request_is_said(office: Office) -> None:
    file = {"points": ("a.csv", b"x")}
    for sent, status in (
        ({"files": {"file": ("a.csv", b"x")}}, 400),
        ({"files": file, "data": {"mapping": "{"}}, 400),
        ({"files": file, "data": {"mapping": "[1]"}}, 400),
        ({"files": file, "data": {"mapping": json.dumps({"points": {"a": "nonsense"}})}}, 422),
        ({"files": file, "data": {"scope": "world"}}, 400),
        ({"content": b"x"}, 400),
        ({"files": {"points": ("a.csv", b"x" * (9 * 2**20))}}, 413),
    ):
        answered = office.ask("POST", "", **sent)
        assert (answered.status_code, answered.headers["content-type"]) == (status, "application/problem+json"), sent
    assert office.get("") == {"surveys": []}


def test_a_file_without_end_is_refused_while_it_streams(office: Office) -> None:
    sent = 0

    def endless() -> Any:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="points"; filename="a.csv"\r\n\r\n'
        while sent < 2 * 2**30:
            sent += 2**20
            yield b"0" * 2**20

    headers = {**office.headers(WATER), "Content-Type": "multipart/form-data; boundary=b"}
    answered = office.client.post("/api/surveys", content=endless(), headers=headers)
    assert (answered.status_code, answered.json()["type"]) == (413, "/problems/too-large")
