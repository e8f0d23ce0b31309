"""What is written about trioframe is true as far as a machine can tell: it builds, its code is Python, its links lead
somewhere, and what README.md shows runs.
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

from trioframe.config import Config

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

# What stands around the blocks of a page (``await`` at the top, names from elsewhere) is for the reader to imagine.
COMPILE_FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def python_blocks(page: Path) -> list[str]:
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [block for block in blocks if "--8<--" not in block]  # included from examples/, which are tested


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_blocks_are_python(page):
    for block in python_blocks(page):
        compile(block, page.name, "exec", flags=COMPILE_FLAGS)


@pytest.mark.parametrize("block", python_blocks(README), ids=["app", "stream", "cancellation", "embedded"])
def test_the_code_of_the_readme_runs_and_compiles_its_app(block):
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(block, "README.md", "exec", dont_inherit=True), names)
    plan = names["app"].compile()
    assert len(plan.routes) == block.count("@app.") - block.count("@app.exception")


@pytest.mark.parametrize("page", PAGES[:3], ids=lambda page: page.name)
def test_links_outside_the_docs_lead_somewhere(page):
    """Links within docs/ are checked by mkdocs."""
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_options_without_effect_are_documented_as_such():
    hooks = runpy.run_path(str(ROOT / "docs" / "hooks.py"))
    read = {
        node.attr
        for path in (ROOT / "trioframe").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }
    assert set(Config.options()) - read == hooks["WITHOUT_EFFECT"]


def test_the_documentation_builds_without_a_warning(tmp_path):
    build = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    limits = (tmp_path / "limits" / "index.html").read_text(encoding="utf-8")
    assert "{{" not in limits
