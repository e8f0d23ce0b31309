"""What is written about trioframe is true as far as a machine can tell: it builds, its code is Python, its links lead
somewhere, and what README.md and the newer guides show runs.
"""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from trio_websocket import ConnectionClosed, ConnectionRejected

from trioframe.app.reserved import RESERVED
from trioframe.config import Config

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
# Each of these is one program.
PROGRAMS = [
    DOCS / "guide" / f"{name}.md" for name in ("lifespan", "middleware", "signals", "websockets", "what-happens")
]

# What stands around the blocks of a page (``await`` at the top, names from elsewhere) is for the reader to imagine.
COMPILE_FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def python_blocks(page: Path) -> list[str]:
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [block for block in blocks if "--8<--" not in block]  # included from examples/, which are tested


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_blocks_are_python(page):
    for block in python_blocks(page):
        compile(block, page.name, "exec", flags=COMPILE_FLAGS)


@pytest.mark.parametrize(
    "block", python_blocks(README), ids=["app", "stream", "websocket", "cancellation", "signals", "embedded"]
)
def test_the_code_of_the_readme_runs_and_compiles_its_app(block):
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(block, "README.md", "exec", dont_inherit=True), names)
    plan = names["app"].compile()
    assert len(plan.routes) == len(re.findall(r"@app\.(get|post|websocket)\(", block))


def run(page: Path) -> dict[str, Any]:
    """The names of a page that is one program."""
    names: dict[str, Any] = {"__name__": page.stem}
    for block in python_blocks(page):
        exec(compile(block, page.name, "exec", dont_inherit=True), names)
    return names


@pytest.mark.parametrize("page", PROGRAMS, ids=lambda page: page.stem)
def test_a_page_that_is_one_program_runs_and_compiles_its_app(page):
    run(page)["app"].compile()


async def test_the_websockets_of_the_guide_do_what_it_says(autojump_clock):
    names = run(DOCS / "guide" / "websockets.md")
    app = names["app"]
    await names["test_echo"]()
    async with app.test_client(headers={"Authorization": "Bearer secret"}) as http:

        async def refused(path: str, **options: Any) -> int:
            with pytest.raises(ConnectionRejected) as rejected:
                async with http.websocket(path, **options):
                    raise AssertionError("it was not refused")
            return int(rejected.value.status_code)

        assert (await http.get("/echo")).status_code == 426
        assert await refused("/private/attic") == 410
        async with http.websocket("/private/cellar") as ws:
            assert await ws.get_message() == "hello, Ada"
        async with http.websocket("/news") as ws:
            assert (b"x-feed", b"1") in ws.handshake_headers
            await app.dispatch("article.trio.published", {"title": "Trio"})
            assert await ws.get_message() == "Trio"
        async with http.websocket("/patient") as ws:
            assert await ws.get_message() == "are you still there?"
            await ws.send_message("yes")
            assert await ws.get_message() == "you said yes"
        async with http.websocket("/upload") as ws:
            await ws.send_message(b"x" * 2**21)
            assert await ws.get_message() == str(2**21)
        async with http.websocket("/story") as ws:
            assert await ws.get_message() == "once upon a time"
        for path, event in ("/clock", None), ("/orders", "order.tea.paid"):
            async with http.websocket(path) as ws:
                await ws.send_message("hello")
                said = {await ws.get_message()}
                if event is not None:
                    await app.dispatch(event)
                said.add(await ws.get_message())
                assert "you said hello" in said
                assert len(said) == 2
        assert await refused("/account", headers={"Origin": "https://evil.example"}) == 403
        async with http.websocket("/account", headers={"Origin": "https://shop.example"}) as ws:
            assert await ws.get_message() == "your cookies: 0"
        assert await refused("/chat", subprotocols=["chat.v0"]) == 400
        async with http.websocket("/chat", subprotocols=["chat.v1", "chat.v2"]) as ws:
            assert await ws.get_message() == "we speak chat.v2"
        http.headers.clear()
        for path, subprotocols in ("/private/cellar", []), ("/outbox", ["bearer", "wrong"]), ("/outbox", ["bearer"]):
            assert await refused(path, subprotocols=subprotocols) == 401
        async with http.websocket("/outbox", subprotocols=["bearer", "secret"]) as ws:
            assert ws.subprotocol == "bearer"
            assert await ws.get_message() == "hello, Ada"
        async with http.websocket("/inbox") as ws:
            await ws.send_message("secret")
            assert await ws.get_message() == "hello, Ada"
        for token in "wrong", None:
            async with http.websocket("/inbox") as ws:
                if token is not None:
                    await ws.send_message(token)
                with pytest.raises(ConnectionClosed):
                    await ws.get_message()
                assert ws.closed is not None
                assert (ws.closed.code, ws.closed.reason) == (4401, "log in first")


@pytest.mark.parametrize("page", PAGES[:3], ids=lambda page: page.name)
def test_links_outside_the_docs_lead_somewhere(page):
    """Links within docs/ are checked by mkdocs."""
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (ROOT / target).exists()] == []


@pytest.fixture
def hooks(monkeypatch):
    """The names of docs/hooks.py, which is loaded as mkdocs does it."""
    monkeypatch.syspath_prepend(str(DOCS))
    return runpy.run_path(str(DOCS / "hooks.py"))


def test_options_without_effect_are_documented_as_such(hooks):
    read = {
        node.attr
        for path in (ROOT / "trioframe").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }
    assert set(Config.options()) - read == hooks["WITHOUT_EFFECT"]


def test_each_reserved_signal_has_its_row(hooks):
    page = hooks["on_page_markdown"]((DOCS / "reference" / "signals.md").read_text(encoding="utf-8"))
    rows = [row.split(" | ") for row in page.splitlines() if row.startswith("| `")]
    assert {row[0].strip("| `") for row in rows} == set(RESERVED)
    for name, when, keywords, order, notice in rows:
        reserved = RESERVED[name.strip("| `")]
        assert (when, order, notice) == (
            reserved.when,
            "backwards" if reserved.backwards else "",
            "yes |" if reserved.notice else " |",
        )
        assert re.findall(r"(?:^|<br>)`(\w+)`", keywords) == list(reserved.context)


def test_the_documentation_builds_without_a_warning(tmp_path):
    build = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    pages = {path: path.read_text(encoding="utf-8") for path in tmp_path.rglob("index.html")}
    assert [path for path, page in pages.items() if "{{" in page] == []
    assert pages[tmp_path / "guide" / "what-happens" / "index.html"].count('<svg role="img"') == 1
