"""Writing results into a page."""

from __future__ import annotations

from pathlib import Path

import pytest
from side_by_side.page import BEGIN, END, with_results

PAGE = f"# Performance\n\n{BEGIN}\nold\n{END}\n\n## Profile\n"


def test_what_stands_between_the_marks_is_replaced():
    assert with_results(PAGE, "| new |\n") == f"# Performance\n\n{BEGIN}\n\n| new |\n\n{END}\n\n## Profile\n"


def test_writing_twice_is_writing_once():
    once = with_results(PAGE, "| new |\n")
    assert with_results(once, "| new |\n") == once


@pytest.mark.parametrize(
    "page",
    ["", BEGIN, END, f"{END}\n{BEGIN}", f"{BEGIN}\n{END}\n{END}", f"{BEGIN}\n{BEGIN}\n{END}"],
    ids=["neither", "no end", "no begin", "in the wrong order", "two ends", "two begins"],
)
def test_a_page_without_its_marks_is_left_alone(page):
    with pytest.raises(ValueError, match="once each"):
        with_results(page, "new")


def test_the_page_of_the_documentation_has_them():
    page = Path(__file__).parents[2] / "docs" / "performance.md"
    assert "| new |" in with_results(page.read_text(encoding="utf-8"), "| new |")
