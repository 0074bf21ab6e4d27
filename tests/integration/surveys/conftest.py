"""A served city without rows, and whoever hands surveys in."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from gis_core.database import Database
from gis_core.settings import Settings
from tests import survey_maker
from tests.survey_maker import CRS, Made
from web_map.service import create_app

FACTS: dict[str, Any] = {
    "name": "test",
    "title": {"zh": "测试", "en": "Test"},
    "center": [116.3, 39.7],
    "zoom": 12,
    "bounds": [115.5, 39.0, 117.5, 40.5],
    "datum": "CGCS2000",
    "metric_crs": CRS,
    "time_zone": "Asia/Shanghai",
    "attribution": [],
    "adcode": None,
}
WATER, GAS = "Water Works", "Gas Board"
_PATIENCE_S = 120.0


@dataclass
class Office:
    """A client of the service that knows how surveys are handed in."""

    client: TestClient
    database: Database
    tokens: dict[tuple[str, str | None], str] = field(default_factory=dict)

    def headers(self, owner: str | None, role: str = "utility") -> dict[str, str]:
        """What somebody of an owner sends."""
        if (role, owner) not in self.tokens:
            made = self.client.app.state.city.door.make(role, owner=owner)  # type: ignore[attr-defined]
            self.tokens[role, owner] = made
        return {"Authorization": f"Bearer {self.tokens[role, owner]}"}

    def ask(self, method: str, path: str, owner: str | None = WATER, role: str = "utility", **sent: Any) -> Any:
        """The answer to a request."""
        return self.client.request(method, f"/api/surveys{path}", headers=self.headers(owner, role), **sent)

    def get(self, path: str, owner: str | None = WATER, role: str = "utility") -> Any:
        """What a door says, as JSON."""
        answered = self.ask("GET", path, owner, role)
        assert answered.status_code == 200, answered.text
        return answered.json()

    def hand_in(self, made: Made, by: str | None = WATER, role: str = "utility", **said: str) -> str:
        """Give a survey as two CSV files; its id."""
        files = {
            part: (name, frame.to_csv(index=False).encode(), "text/csv")
            for part, name, frame in zip(("points", "lines"), ("管点表.csv", "管线表.csv"), made.frames(), strict=True)
        }
        answered = self.ask("POST", "", by, role, files=files, data={"datum": CRS, **said})
        assert answered.status_code == 202, answered.text
        assert answered.json()["state"] == "reading"
        return str(answered.json()["id"])

    def wait(self, survey: str, owner: str | None = WATER, role: str = "utility") -> dict[str, Any]:
        """The survey once it is examined."""
        until = time.monotonic() + _PATIENCE_S
        shares = [0.0]
        while time.monotonic() < until:
            told: dict[str, Any] = self.get(f"/{survey}", owner, role)
            shares.append(told["progress"])
            assert shares == sorted(shares)
            if told["state"] != "reading":
                return told
            time.sleep(0.1)
        raise AssertionError(told)

    def examined(self, made: Made, owner: str = WATER, **said: str) -> dict[str, Any]:
        """A survey handed in and examined without fail."""
        told = self.wait(self.hand_in(made, owner, **said), owner)
        assert told["state"] == "examined", told
        return told

    def publish(self, survey: str, owner: str = WATER) -> dict[str, Any]:
        """Publish, whatever the warnings."""
        answered = self.ask("POST", f"/{survey}/publish", owner, json={"accept_warnings": True})
        assert answered.status_code == 200, answered.text
        found: dict[str, Any] = answered.json()
        return found

    def rows(self, table: str = "pipe_points", owner: str = WATER) -> int:
        """How many rows stand of an owner."""
        with self.database.engine.connect() as connection:
            count = sa.text(f"SELECT count(*) FROM {table} WHERE owner = :owner")
            return int(connection.execute(count, {"owner": owner}).scalar_one())

    def stand(self, owner: str = WATER) -> list[Any]:
        """All that stands of an owner, without ids and times."""
        found: list[Any] = []
        with self.database.engine.connect() as connection:
            for table in ("pipe_points", "pipe_segments"):
                own = "to_jsonb(t) - 'id' - 'updated_at' - 'dataset_id' - 'shape'"
                row = f"{own} || jsonb_build_object('g', ST_AsText(geom))"
                query = sa.text(f"SELECT {row} FROM {table} t WHERE owner = :owner ORDER BY code")
                found += [json.dumps(r, sort_keys=True) for r in connection.scalars(query, {"owner": owner})]
        return found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def office(database: Database, home: Path) -> Iterator[Office]:
    app = create_app(Settings(home=home, upload_limit_mb=8), database, FACTS)
    with TestClient(app, follow_redirects=False, raise_server_exceptions=False) as client:
        yield Office(client, database)


@pytest.fixture(scope="session")
def town() -> Made:
    """A survey without errors."""
    return survey_maker.make(175, seed=7)


@pytest.fixture
def altered(town: Made) -> Callable[[Callable[[Made], None]], Made]:
    """A copy of the survey, changed by a function."""

    def make(change: Callable[[Made], None]) -> Made:
        made = Made(copy.deepcopy(town.points), copy.deepcopy(town.lines), town.streets)
        change(made)
        return made

    return make
