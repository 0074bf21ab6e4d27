"""The command line: `chengtu serve load upload survey model export token db`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import click
from alembic.util import CommandError

from gis_core.errors import CityError, Problem
from gis_core.settings import Settings
from scripts import opening

_PATH = click.Path(path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


class _Commands(click.Group):
    """A group whose commands tell a city's or a migration's error in one line instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CityError as error:
            lines = [error.detail, *(f"  {_place_of(p)}: {p.why}" for p in error.problems[:20])]
            raise click.ClickException("\n".join(lines)) from error
        except CommandError as error:
            raise click.ClickException(str(error)) from error


def _place(command: Any) -> Any:
    """The options that say which city, from which files, kept where."""
    for option in (
        click.option("--city", help="A city pack: coquimbo, helsinki, daxing, or a folder with a city.toml."),
        click.option("--data", type=_FOLDER, help="A folder with files for the pack."),
        click.option("--osm", type=_FILE, help="An OpenStreetMap extract (.osm.pbf); alone it makes a pack."),
        click.option("--home", type=_PATH, help="Where the cluster and caches live [var/, or CHENGTU_HOME]."),
    ):
        command = option(command)
    return command


@click.group(cls=_Commands)
@click.version_option(package_name="chengtu")
def main() -> None:
    """Chengtu 城图: one map on which a city is seen, run and decided."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)


@main.command()
@_place
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes any free port.")
@click.option("--feeds/--no-feeds", default=True, help="With or without simulated devices.")
def serve(**given: Any) -> None:
    """Start everything and serve the map wall; prints `ready URL` once it answers. Ctrl-C stops all of it."""
    from scripts.serving import serve as run  # noqa: PLC0415 (only this command pays for the web server's import)

    run(_settings(given))


@main.command()
@_place
@click.option("--again", is_flag=True, help="Load even if this pack is loaded already.")
def load(again: bool, **given: Any) -> None:
    """Load a city pack, without serving it."""
    with opening.city(_settings(given), reload=again) as city:
        click.echo(f"loaded {city.facts['name']}")


@main.command()
@_place
@click.argument("layer")
@click.argument("file", type=_FILE)
@click.option("--datum", help="The file's coordinates, where it does not say: WGS84, CGCS2000, GCJ-02, BD-09, EPSG:n.")
@click.option("--mode", type=click.Choice(["all-or-nothing", "good-rows"]), default="all-or-nothing", show_default=True)
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--title", help="What the data set is called [the file's name].")
@click.option("--licence", default="", help="Under what terms it may be used.")
def upload(layer: str, file: Path, **given: Any) -> None:
    """Store a file's features in a layer, or say row by row why not."""
    from scripts.files import store  # noqa: PLC0415 (only this command pays for GDAL's import)

    words = {name: given.pop(name) for name in ("datum", "mode", "dry_run", "title", "licence")}
    with opening.standing_city(_settings(given)) as city:
        report = store(city, layer, file, **words)
    for note in report.notes:
        click.echo(note)
    for p in report.problems[:100]:
        click.echo(f"{p.severity}: {_place_of(p)}: {p.why}")
    good, done = (report.accepted, "would be stored") if report.dry_run else (report.stored, "stored")
    click.echo(f"{good} of {report.rows} rows {done}, {len(report.problems)} problems")
    if good < report.rows:
        sys.exit(1)


@main.command()
@_place
@click.argument("points", type=_FILE)
@click.argument("lines", type=_FILE, required=False)
@click.option("--owner", required=True, help="Whose pipes these are.")
@click.option("--datum", help="What the coordinates are in: EPSG:n, CGCS2000, CGCS2000 CM 117E, ...")
@click.option("--encoding", help="Of text in the files, where they do not say.")
@click.option(
    "--scope",
    type=click.Choice(["extent", "classes", "owner"]),
    default="extent",
    show_default=True,
    help="Which standing pipes the survey speaks for: those it does not hold are removed.",
)
@click.option("--publish", is_flag=True, help="Publish it if it has no errors.")
@click.option("--accept-warnings", is_flag=True, help="Publish it though it has warnings.")
def survey(points: Path, lines: Path | None, **given: Any) -> None:
    """Examine a pipe survey (管点表 and 管线表, in one file or two), say what is wrong, and publish it if asked."""
    from scripts.surveying import survey as examine  # noqa: PLC0415 (only this command pays for its imports)

    words = {name: given.pop(name) for name in ("owner", "datum", "encoding", "scope", "publish", "accept_warnings")}
    with opening.standing_city(_settings(given)) as city:
        if not examine(city, points, lines, say=click.echo, **words):
            sys.exit(1)


@main.command()
@_place
@click.argument("file", type=_FILE)
@click.option("--kind", type=click.Choice(["water", "storm", "sewage", "combined"]), required=True, help="What flows.")
@click.option("--datum", required=True, help="What its coordinates are in: EPSG:n, CGCS2000 CM 117E, ...")
@click.option("--owner", required=True, help="Whose pipes these are.")
def model(file: Path, **given: Any) -> None:
    """Store the pipes of an EPANET (water) or SWMM (drains) input file."""
    from scripts.modelling import store_model  # noqa: PLC0415 (only this command pays for its imports)

    words = {name: given.pop(name) for name in ("kind", "datum", "owner")}
    with opening.standing_city(_settings(given)) as city:
        points, pipes = store_model(city, file, say=click.echo, **words)
    click.echo(f"{points.stored} points and {pipes.stored} pipes stored")


@main.command()
@_place
@click.argument("layer")
@click.argument("file", type=_PATH)
def export(layer: str, file: Path, **given: Any) -> None:
    """Write a layer to a file; the ending says how: .gpkg, .parquet or .csv."""
    from scripts.files import write  # noqa: PLC0415 (only this command pays for GDAL's import)

    with opening.standing_city(_settings(given)) as city:
        click.echo(f"{write(city, layer, file)} features in {file}")


@main.command()
@_place
@click.option("--role", help="wall planner utility emergency operator auditor admin")
@click.option("--owner", help="Bind it to one owner's rows (a utility needs this).")
@click.option("--area", help="Bind it to one administrative area's code.")
@click.option("--days", default=30, show_default=True, help="How long it is valid.")
@click.option("--name", default="", help="Who it is for.")
@click.option("--list", "listed", is_flag=True, help="Tell of all tokens instead: id, state, role, who, until when.")
@click.option("--revoke", metavar="ID", help="Withdraw a token, and all sessions that came from it, instead.")
def token(
    role: str | None, owner: str | None, area: str | None, days: int, name: str, listed: bool, revoke: str | None,
    **given: Any,
) -> None:  # fmt: skip
    """Make a token and print it; it is shown this once and stored only as a digest."""
    if sum((role is not None, listed, revoke is not None)) != 1:
        raise click.UsageError("Say one of --role ROLE, --list and --revoke ID.")
    with opening.standing_city(_settings(given)) as city:
        if role is not None:
            click.echo(city.door.make(role, owner=owner, area=area, days=days, name=name))
        elif revoke is not None:
            click.echo(f"{city.door.revoke(revoke)} withdrawn")
        else:
            for key in city.door.list():
                bound = [f"owner {key.owner}"] if key.owner else []
                bound += [f"area {key.area}"] if key.area else []
                until = f"until {key.expires_at:%Y-%m-%d %H:%M %Z}"
                click.echo(
                    "  ".join([key.id, f"{key.state:9}", f"{key.kind:7}", f"{key.role:9}", until, *bound, key.name])
                )


@main.group()
def db() -> None:
    """The database's tables and guards."""


@db.command("upgrade")
@_place
def upgrade(**given: Any) -> None:
    """Bring tables and guards up to date."""
    with opening.database(_settings(given)) as opened:
        click.echo(f"up to date: {opened.url.rsplit('/', 1)[-1].split('?')[0]}")


@db.command("check")
@_place
def check(**given: Any) -> None:
    """Fail where the tables differ from what the layers say."""
    from scripts import schema  # noqa: PLC0415 (see `opening`)

    with opening.database(_settings(given)) as opened:
        schema.check(opened)


@db.command("revise")
@_place
@click.argument("message")
def revise(message: str, **given: Any) -> None:
    """Write the migration from the tables as they are to the layers as they are written."""
    from scripts import schema  # noqa: PLC0415 (see `opening`)

    with opening.database(_settings(given)) as opened:
        schema.revise(opened, message)


def _place_of(problem: Problem) -> str:
    """Where a problem is, as a person looks for it."""
    return f"row {problem.row}, {problem.field}" if problem.row is not None else problem.field


def _settings(given: dict[str, Any]) -> Settings:
    return Settings.from_environment(**given)
