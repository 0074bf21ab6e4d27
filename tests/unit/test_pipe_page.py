"""The page about pipes tells the rules as the code has them."""

from __future__ import annotations

import pytest

from scripts import pipe_page
from twin.survey.rules import all_rules


def test_the_page_tells_the_rules_of_the_code() -> None:
    page = pipe_page.PAGE.read_text(encoding="utf-8")
    assert pipe_page.written(page) == page, "run python -m scripts.pipe_page"
    assert all(f"| {rule} |" in page for rule in all_rules())


def test_a_page_without_marks_is_left_alone() -> None:
    with pytest.raises(ValueError, match="the page needs"):
        pipe_page.written("# Pipes\n")
