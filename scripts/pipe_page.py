"""`python -m scripts.pipe_page`: write the table of survey rules into docs/pipes.md, as the code has them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from twin.survey.rules import as_markdown

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "pipes.md"
BEGIN: Final = "<!-- rules: written by python -m scripts.pipe_page -->\n"
END: Final = "<!-- end of rules -->\n"


def written(page: str) -> str:
    """The page with the rules as they are now between its two marks.

    Raises:
        ValueError: the page lacks a mark.

    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {BEGIN.strip()!r} and {END.strip()!r}")
    return f"{head}{BEGIN}\n{as_markdown()}\n{END}{tail}"


def main() -> None:
    """Write the page."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE.name}\n")


if __name__ == "__main__":
    main()
