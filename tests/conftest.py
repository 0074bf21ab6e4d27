"""What tests share: one private cluster a session, a fresh database a test that asks for one, the real data beside."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import layers
from gis_core.cluster import Cluster
from gis_core.database import Database
from gis_core.spec import Layer

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the project."""
    if not SHARED.is_dir():
        pytest.skip("the real data (../shared/data) is not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def all_layers() -> dict[str, Layer]:
    """Every layer by name."""
    return dict(layers.load())


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A private PostGIS of this test process's own."""
    home = Path(tempfile.mkdtemp(prefix="chengtu-test-"))
    home.chmod(0o755)
    made = Cluster(home / "postgres")
    made.start()
    yield made
    made.remove()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def template(cluster: Cluster) -> str:
    """The name of a database with tables and guards, to be copied."""
    from scripts import schema

    cluster.create_database("template_city")
    database = Database(cluster.url("template_city"))
    schema.upgrade(database)
    database.close()
    return "template_city"


@pytest.fixture
def database(cluster: Cluster, template: str) -> Iterator[Database]:
    """A fresh city database: tables and guards, no rows."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    cluster.create_database(name, template=template)
    opened = Database(cluster.url(name), pool_size=4)
    yield opened
    opened.close()
    cluster.drop_database(name)
