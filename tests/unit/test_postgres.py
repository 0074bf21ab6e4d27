"""What is told to the server, and how a missing one is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from gis_core.cluster import postgres
from gis_core.cluster.postgres import ClusterMissing, Owner, access_text, find_server, settings_text


def _install(programs: Path, version: str, postgis: str) -> None:
    """Lay out an installation as far as the search looks at it: three programs and one control file."""
    programs.mkdir(parents=True)
    share = programs.parent / "share"
    (share / "extension").mkdir(parents=True)
    (share / "extension/postgis.control").write_text(f"default_version = '{postgis}'\n", encoding="utf-8")
    for name, says in {
        "postgres": f"postgres (PostgreSQL) {version} (Distribution 1.2)",
        "initdb": "",
        "pg_config": str(share),
    }.items():
        (programs / name).write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
        (programs / name).chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which alone servers are looked for."""
    monkeypatch.setattr(postgres, "FAMILIES", ((str(tmp_path), "*/bin"),))
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    return tmp_path


def test_the_newest_server_with_a_recent_postgis_is_taken(machine: Path) -> None:
    _install(machine / "9/bin", "9.6.24", "3.3.0")
    _install(machine / "14/bin", "14.9", "3.4.2")
    _install(machine / "16/bin", "16.3", "3.3.2")
    _install(machine / "17/bin", "17.1", "3.2.9")
    (machine / "18/bin").mkdir(parents=True)
    assert find_server() == postgres.Server(machine / "16/bin", "16.3", "3.3.2")
    assert find_server("14").version == "14.9"
    with pytest.raises(ClusterMissing, match="written by PostgreSQL 9"):
        find_server("9")


def test_links_in_the_path_lead_to_the_server(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(machine / "opt/server/16/programs", "16.3", "3.3.2")
    links = machine / "links"
    links.mkdir()
    (links / "postgres").symlink_to(machine / "opt/server/16/programs/postgres")
    monkeypatch.setenv("PATH", f"{links}:")
    assert find_server().bin == machine / "opt/server/16/programs"


@pytest.mark.parametrize(
    ("tool", "line"),
    [
        ("apt-get", "sudo apt-get install -y postgresql-postgis"),
        ("dnf", "sudo dnf install -y postgresql-server postgis"),
        ("brew", "brew install postgis"),
    ],
)
def test_a_missing_server_is_said_with_the_line_to_type(
    machine: Path, monkeypatch: pytest.MonkeyPatch, tool: str, line: str
) -> None:
    (machine / tool).write_text("#!/bin/sh\n", encoding="utf-8")
    (machine / tool).chmod(0o755)
    monkeypatch.setenv("PATH", str(machine))
    with pytest.raises(ClusterMissing) as refusal:
        find_server()
    assert f"Type: {line}. Or set DATABASE_URL" in refusal.value.detail
    assert refusal.value.status == 503


def test_the_settings_are_durable_and_private() -> None:
    lines = settings_text(Path("/run/here"), "chengtu-1").splitlines()
    for line in ("fsync = 'on'", "synchronous_commit = 'on'", "listen_addresses = ''", "jit = 'off'"):
        assert line in lines
    assert "unix_socket_directories = '/run/here'" in lines


def test_only_the_owner_and_root_may_come_in() -> None:
    access, idents = access_text(Owner("anna", 1000, 1000))
    assert [line for line in access.splitlines() if not line.startswith("#")] == ["local all all peer map=chengtu"]
    assert idents.splitlines()[1:] == ['chengtu "anna" chengtu', 'chengtu "root" chengtu']
    assert access_text(Owner("root", 0, 0))[1].count("root") == 1
