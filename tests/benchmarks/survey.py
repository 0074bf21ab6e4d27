"""A survey of 100,000 pipe points and their lines: read, placed, tried by every rule, reported; time and memory.

The survey is made here, seeded, with a defect for each rule among it. It is read from two CSV files, and once more from
an Excel workbook. Each way runs in a process of its own; its clock starts when its libraries are imported and stops
when the report stands as JSON, all its problems made. The limits are those of the plan: 15 s on two cores, 2 GB.
The last rows say what was found: of the planted defects (recall), and wrongly (precision), over five seeds.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.rows import Row

ROOT = Path(__file__).resolve().parents[2]
POINTS = 100_000
SEEDS = 5
LIMIT_S, LIMIT_MB = 15.0, 2048.0
_STREET = 185


def run(quick: bool) -> list[Row]:
    """The median of three runs; one run of 20,000 points, and one seed, when quick."""
    count, rounds, seeds = (20_000, 1, 1) if quick else (POINTS, 3, SEEDS)
    rows = []
    with tempfile.TemporaryDirectory(prefix="chengtu-bench-") as name:
        folder = Path(name)
        _make(folder, count)
        for way, files in (("CSV", "管点表.csv 管线表.csv"), ("Excel", "survey.xlsx")):
            found = sorted(_one(folder, files, count) for _ in range(rounds))
            seconds, peak = found[len(found) // 2][0], max(megabytes for _, megabytes in found)
            label = f"{count:,} points and their lines, all rules, {way}"
            rows.append(Row("survey", label, seconds, "s", "limit", LIMIT_S, seconds / LIMIT_S, "<= 1"))
            label = f"peak memory, {count:,} points, {way}"
            rows.append(Row("survey", label, peak, "MB", "limit", LIMIT_MB, peak / LIMIT_MB, "<= 1"))
    recall, precision = (min(figures) for figures in zip(*map(_found, range(1, seeds + 1)), strict=True))
    rows.append(
        Row("survey", f"recall of planted defects, least of {seeds} seeds", recall, "", "all", 1, recall, ">= 1")
    )
    label = f"precision of planted defects, least of {seeds} seeds"
    rows.append(Row("survey", label, precision, "", "all", 1, precision, ">= 0.98"))
    return rows


def _make(folder: Path, count: int) -> None:
    from tests.survey_defects import plant_all
    from tests.survey_maker import make

    made = make(count, seed=11)
    plant_all(made, seed=11)
    made.write_csv(folder)
    made.write_excel(folder)
    (folder / "streets").write_text(str(made.streets))


def _one(folder: Path, files: str, count: int) -> tuple[float, float]:
    """Seconds and peak megabytes of one run."""
    command = [sys.executable, "-m", "tests.benchmarks.survey", str(folder), *files.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    seconds, megabytes, points, rules = json.loads(done.stdout.splitlines()[-1])
    if points < count * 0.95 or rules < 50:
        raise RuntimeError(f"{points} points were read, {rules} rules found something")
    return float(seconds), float(megabytes)


def _found(seed: int) -> tuple[float, float]:
    """Recall and precision on one planted survey."""
    from tests.survey_defects import plant_all, streets_needed
    from tests.survey_maker import CRS, make
    from twin.survey import examine, read_survey

    made = make(_STREET * (streets_needed() + 1), seed)
    plant_all(made, seed)
    with tempfile.TemporaryDirectory() as folder:
        survey = read_survey(*made.write_csv(Path(folder)), datum=CRS, owner="bench")
    told = {(i.rule, i.table, i.row) for i in examine(survey, made.facts()).problems}
    must = {(d.rule, *row) for d in made.defects for row in d.rows}
    may = must | {(name, *row) for d in made.defects for name in {d.rule} | d.also for row in d.touched}
    return len(must & told) / len(must), len(told & may) / len(told)


def _main() -> None:
    """One run in this process: prints its seconds, its peak in megabytes, points read, rules that found something."""
    folder, *files = sys.argv[1:]
    from tests.survey_maker import CRS, Made
    from twin.survey import examine, read_survey, workbook  # noqa: F401  imported before the clock starts
    from twin.survey.rules import all_rules

    facts = Made([], [], int((Path(folder) / "streets").read_text())).facts()
    all_rules()
    began = time.perf_counter()
    survey = read_survey(*(Path(folder) / file for file in files), datum=CRS, owner="bench")
    examination = examine(survey, facts)
    report = json.dumps(examination.as_json())
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rules = {count["rule"] for count in json.loads(report)["counts"]}
    print(json.dumps([took, peak, len(survey.points), len(rules)]))  # noqa: T201  what the parent reads


if __name__ == "__main__":
    _main()
