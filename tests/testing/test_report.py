"""The report, in words."""

from __future__ import annotations

import pytest

from trioframe.testing import Finding, Report


def test_nothing_went_wrong():
    report = Report("GET /", ("disconnect", "timeout"))
    for checkpoint in (1, 2):
        for reason in report.reasons:
            report.add(reason, checkpoint, "app.py:1 in f: await x()", [])
    report.check()
    assert (report.checkpoints, report.runs, report.complete) == (2, 4, True)
    assert str(report) == "GET /: no problems\ncancelled 4 times, at 2 checkpoints, for disconnect, timeout"


def test_what_went_wrong_says_where_and_when():
    report = Report("POST /orders", ("disconnect", "timeout"))
    report.findings.append(Finding("the moon is full"))
    report.add("disconnect", 1, "app.py:1 in f: await x()", ["it broke"])
    report.add("disconnect", 2, "app.py:1 in f: await x()", ["it broke", "it squeaked"])
    report.add("timeout", 1, "app.py:1 in f: await x()", ["it broke"])
    report.add("timeout", 3, "app.py:3 in f: await y()", ["it broke"])
    report.complete = False
    with pytest.raises(AssertionError) as caught:
        report.check()
    assert str(caught.value).splitlines() == [
        "POST /orders: 3 problems",
        "cancelled 4 times, at 3 checkpoints, for disconnect, timeout",
        "",
        "the moon is full",
        "    without being cancelled",
        "",
        "it broke",
        "    disconnect, timeout at checkpoint 1: app.py:1 in f: await x()",
        "    disconnect at checkpoint 2: app.py:1 in f: await x()",
        "    timeout at checkpoint 3: app.py:3 in f: await y()",
        "",
        "it squeaked",
        "    disconnect at checkpoint 2: app.py:1 in f: await x()",
        "",
        "the search ended there: the app did not recover",
    ]


def test_checkpoints_with_the_same_fate_share_a_line():
    report = Report("GET /", ("timeout",))
    for checkpoint in (1, 2, 4):
        report.add("timeout", checkpoint, "app.py:1 in f: await x()", ["it broke"])
    assert "    timeout at checkpoint 1, 2, 4: app.py:1 in f: await x()" in str(report)
    assert str(report).startswith("GET /: 1 problem\ncancelled 3 times, at 4 checkpoints, for timeout\n")
