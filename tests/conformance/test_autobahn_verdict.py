"""What is read from the index of the Autobahn|Testsuite, and what is told of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from autobahn_verdict import BEGIN, END, GROUPS, Case, read_index, read_versions, render, with_results

PAGE = f"# Conformance\n\n{BEGIN}\nold\n{END}\n\n## Running it\n"
FINE = ["OK", "INFORMATIONAL"]
NOT_FINE = ["NON-STRICT", "FAILED", "UNIMPLEMENTED", "WRONG CODE", "UNCLEAN", "FAILED BY CLIENT", ""]


def entry(behavior: str = "OK", close: str = "OK", code: int | None = 1000) -> dict[str, Any]:
    return {
        "behavior": behavior,
        "behaviorClose": close,
        "duration": 2,
        "remoteCloseCode": code,
        "reportfile": "trioframe_case.json",
    }


def index(**cases: dict[str, Any]) -> str:
    """Of one peer; dots are written as underscores behind a letter."""
    return json.dumps({"trioframe": {name[1:].replace("_", "."): case for name, case in cases.items()}})


# --- reading ----------------------------------------------------------------------------------------------------------


def test_cases_come_in_the_order_of_their_numbers():
    cases = read_index(index(c10_1_1=entry(), c9_1_10=entry(), c9_1_9=entry(), c3_2=entry()))
    assert [case.name for case in cases] == ["3.2", "9.1.9", "9.1.10", "10.1.1"]


def test_a_case_is_what_the_suite_says():
    assert read_index(index(c7_1_6=entry("INFORMATIONAL", "UNCLEAN", None))) == [
        Case("7.1.6", "INFORMATIONAL", "UNCLEAN", None)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps({"one": {}, "other": {}}),
        json.dumps({"trioframe": []}),
        json.dumps({"trioframe": {"1.1.1": {"behavior": "OK"}}}),
        json.dumps({"trioframe": {"1.1.1": "OK"}}),
        json.dumps({"trioframe": {"first": entry()}}),
    ],
    ids=["nothing", "a list", "no peer", "two peers", "no cases", "no close", "a word", "no number"],
)
def test_what_is_no_index_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - of several kinds
        read_index(text)


def test_versions_are_read_from_what_the_suite_writes():
    assert read_versions("Autobahn 0.10.9\nAutobahnTestSuite 25.10.1\n") == {
        "Autobahn": "0.10.9",
        "AutobahnTestSuite": "25.10.1",
    }
    assert read_versions("\n") == {}


# --- judging ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("behavior", FINE)
@pytest.mark.parametrize("close", FINE)
def test_what_is_only_noted_is_wanted_too(behavior, close):
    case = Case("7.1.6", behavior, close, 1000)
    assert case.wanted
    assert case.plain is (behavior == close == "OK")


@pytest.mark.parametrize("word", NOT_FINE)
def test_nothing_else_is_wanted(word):
    assert not Case("1.1.1", word, "OK", 1000).wanted
    assert not Case("1.1.1", "OK", word, 1000).wanted


# --- telling ----------------------------------------------------------------------------------------------------------


def test_groups_are_counted_and_what_is_not_ok_is_listed():
    cases = [
        Case("1.1.1", "OK", "OK", 1000),
        Case("1.1.2", "OK", "OK", 1000),
        Case("7.1.6", "INFORMATIONAL", "OK", None),
        Case("7.1.7", "NON-STRICT", "UNCLEAN", 1002),
    ]
    assert render(cases, {"trioframe": "1.0", "a|b": "2"}).splitlines() == [
        "| group | cases | behaviour | close |",
        "|---|---|---|---|",
        f"| 1: {GROUPS[1]} | 2 | 2 OK | 2 OK |",
        f"| 7: {GROUPS[7]} | 2 | 1 INFORMATIONAL, 1 NON-STRICT | 1 OK, 1 UNCLEAN |",
        "| **all** | 4 | 2 OK, 1 INFORMATIONAL, 1 NON-STRICT | 3 OK, 1 UNCLEAN |",
        "",
        "Each case that is not OK in both:",
        "",
        "| case | behaviour | close | code we closed with |",
        "|---|---|---|---|",
        "| 7.1.6 | INFORMATIONAL | OK | none |",
        "| 7.1.7 | NON-STRICT | UNCLEAN | 1002 |",
        "",
        "Found with:",
        "",
        "| what | version |",
        "|---|---|",
        "| trioframe | 1.0 |",
        "| a\\|b | 2 |",
    ]


def test_where_all_is_ok_nothing_is_listed():
    told = render([Case("1.1.1", "OK", "OK", 1000)], {})
    assert "Every case is OK in both." in told
    assert "code we closed with" not in told


def test_a_group_that_is_not_known_is_counted_too():
    assert "| 99 | 1 | 1 OK | 1 OK |" in render([Case("99.1", "OK", "OK", 1000)], {})


# --- the page ---------------------------------------------------------------------------------------------------------


def test_what_stands_between_the_marks_is_replaced():
    once = with_results(PAGE, "| new |\n")
    assert once == f"# Conformance\n\n{BEGIN}\n\n| new |\n\n{END}\n\n## Running it\n"
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
    page = Path(__file__).parents[2] / "docs" / "conformance.md"
    assert "| new |" in with_results(page.read_text(encoding="utf-8"), "| new |")
