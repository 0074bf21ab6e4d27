"""`scripts/bench [NAME ...] [--json FILE] [--quick] [--list] [--write]`: run benchmarks one after the other."""

from __future__ import annotations

import json
import platform
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import click

from tests.benchmarks.rows import Row, table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
_MARK = "<!-- table -->"


def known() -> dict[str, str]:
    """The benchmarks by name (file `green_wave.py` is `green-wave`), with the first line of each."""
    found = {}
    for module in iter_modules([str(Path(__file__).parent)]):
        loaded = None if module.name.startswith("_") else import_module(f"tests.benchmarks.{module.name}")
        if hasattr(loaded, "run"):
            found[module.name.replace("_", "-")] = str(loaded.__doc__).strip().splitlines()[0]
    return found


@click.command()
@click.argument("names", nargs=-1)
@click.option("--json", "target", type=click.Path(path_type=Path), help="Write the rows to this file.")
@click.option("--quick", is_flag=True, help="Smaller data and fewer rounds: to see that it runs, not to quote.")
@click.option("--list", "listing", is_flag=True, help="Name the benchmarks.")
@click.option("--write", is_flag=True, help="Put the table into docs/benchmarks.md.")
def main(names: tuple[str, ...], target: Path | None, quick: bool, listing: bool, write: bool) -> None:
    """Run the named benchmarks, or all."""
    available = known()
    if listing:
        for name, line in available.items():
            click.echo(f"{name:12} {line}")
        return
    if unknown := set(names) - set(available):
        raise click.BadParameter(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(available)}")
    rows: list[Row] = []
    for name in names or available:
        click.echo(f"{name} ...", err=True)
        rows += import_module(f"tests.benchmarks.{name.replace('-', '_')}").run(quick)
    click.echo(table(rows))
    if target:
        target.write_text(json.dumps([r.as_json() for r in rows], ensure_ascii=False, indent=1), encoding="utf-8")
    if write:
        _write(rows)


def _write(rows: list[Row]) -> None:
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(_MARK)
    _, _, tail = rest.partition(_MARK)
    when = f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    PAGE.write_text(f"{head}{_MARK}\n\nMeasured {when}.\n\n{table(rows)}\n\n{_MARK}{tail}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
