"""How the Autobahn|Testsuite is called, with a program in its place that does as it does."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import autobahn
import pytest
from autobahn_verdict import BEGIN, END

# Whoever opens a WebSocket to the server it is told of has reached the echo; the words of its request are the case.
SUITE = """\
#!{python}
import json, socket, sys, urllib.parse

if "--autobahnversion" in sys.argv:
    print("AutobahnTestSuite 0.0")
    sys.exit()
assert sys.argv[1:] == ["--mode", "fuzzingclient", "--spec", "spec.json"]
with open("spec.json") as file:
    spec = json.load(file)
[server], [pattern] = spec["servers"], spec["cases"]
url = urllib.parse.urlsplit(server["url"])
with socket.create_connection((url.hostname, url.port)) as peer:
    peer.sendall(
        b"GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
        b"Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\\r\\n\\r\\n"
    )
    answer = b""
    while not answer.endswith(b"\\r\\n\\r\\n"):
        answer += peer.recv(1000)
is_open = answer.startswith(b"HTTP/1.1 101") and b"permessage-deflate" in answer
print("judged", pattern)
{verdict}
case = {{"behavior": behavior, "behaviorClose": "OK", "remoteCloseCode": 1000}}
with open("index.json", "w") as file:
    json.dump({{server["agent"]: {{pattern.replace("*", "1"): case}}}}, file)
"""
JUST = 'behavior = "OK" if is_open else "FAILED"'

Make = Callable[..., list[str]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """The arguments for a suite that judges like this."""

    def make(*arguments: str, verdict: str = JUST) -> list[str]:
        program = tmp_path / "wstest"
        program.write_text(SUITE.format(python=sys.executable, verdict=textwrap.dedent(verdict)))
        program.chmod(0o755)
        return ["--wstest", str(program), "--reports", str(tmp_path / "reports"), *arguments]

    return make


def run(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> int:
    monkeypatch.setattr(sys, "argv", ["autobahn.py", *arguments])
    return autobahn.main()


def test_each_part_is_run_against_the_echo(monkeypatch, capsys, make, tmp_path):
    assert run(monkeypatch, make("--only", "9.1.*", "1.*", "3.*", "--jobs", "3")) == 0
    told = capsys.readouterr()
    assert "| **all** | 3 | 3 OK | 3 OK |" in told.out
    assert "| AutobahnTestSuite | 0.0 |" in told.out
    assert "3 cases in 0." in told.err
    assert (tmp_path / "reports" / "9.1" / "log").read_text() == "judged 9.1.*\n"


def test_parts_are_run_in_the_order_that_was_asked_for(monkeypatch, capsys, make):
    run(monkeypatch, make("--only", *(f"{number}.*" for number in range(1, 7)), "--jobs", "1"))
    assert [line.split()[0] for line in capsys.readouterr().err.splitlines()[:-1]] == [f"{n}.*" for n in range(1, 7)]


def test_the_suite_is_told_what_to_do_and_that_a_close_is_wanted(monkeypatch, make, tmp_path):
    run(monkeypatch, make("--only", "1.*"))
    spec: dict[str, Any] = json.loads((tmp_path / "reports" / "1" / "spec.json").read_text())
    assert spec["outdir"] == "."
    assert spec["options"] == {"failByDrop": False}
    assert spec["cases"] == ["1.*"]


def test_all_groups_are_run_and_written_into_a_page(monkeypatch, make, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    assert run(monkeypatch, make("--write", str(page))) == 0
    groups = {row.split(":")[0].strip("| ") for row in page.read_text().splitlines() if ": " in row and row[0] == "|"}
    assert groups == {"1", "2", "3", "4", "5", "6", "7", "9", "10", "12", "13"}


def test_one_case_that_is_not_as_wanted_is_enough(monkeypatch, capsys, make):
    verdict = 'behavior = "NON-STRICT" if pattern == "3.*" else "OK"'
    assert run(monkeypatch, make("--only", "1.*", "3.*", verdict=verdict)) == 1
    told = capsys.readouterr()
    assert "| 3.1 | NON-STRICT | OK | 1000 |" in told.out
    assert "1 not as wanted" in told.err


@pytest.mark.parametrize("verdict", ["sys.exit(7)", "open('index.json', 'w').close(); sys.exit(7)"])
def test_a_suite_that_does_not_come_to_its_end_is_no_verdict(monkeypatch, capsys, make, tmp_path, verdict):
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\nold\n{END}\n")
    assert run(monkeypatch, make("--write", str(page), verdict=verdict)) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "the suite ended with 7" in told.err
    assert "old" in page.read_text()


def test_what_a_former_run_has_left_is_no_verdict(monkeypatch, make):
    assert run(monkeypatch, make("--only", "1.*")) == 0
    assert run(monkeypatch, make("--only", "1.*", verdict="sys.exit()")) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--only", "1.*", "--write", "page.md"], "--write wants all cases"),
        (["--jobs", "0"], "--jobs must be at least 1"),
        (["--wstest", "/nowhere/wstest"], "--wstest /nowhere/wstest is no program"),
    ],
)
def test_what_makes_no_sense_is_refused(monkeypatch, capsys, make, arguments, complaint):
    with pytest.raises(SystemExit):
        run(monkeypatch, make(*arguments))
    assert complaint in capsys.readouterr().err
