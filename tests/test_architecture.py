"""The shape of the house: which module may import what, and the rules every file keeps.

The import contracts stand in pyproject.toml, where import-linter reads them; here they are run, and checked for gaps.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "trioframe"
MAX_FILE = 450  # lines
MAX_FUNCTION = 60  # lines, without the docstring
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "base", "core", "common", "mixins", "misc"}

MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def places(paths: Iterable[Path], offends: Callable[[ast.AST], bool]) -> list[str]:
    """Where in `paths` there is a node that `offends`."""
    return [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"
        for path in paths
        for node in ast.walk(parse(path))
        if offends(node)
    ]


# --- imports ----------------------------------------------------------------------------------------------------------


def test_imports_go_one_way():
    lint = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout + lint.stderr


def test_every_module_that_cannot_reach_trio_is_named_as_wire():
    """So that an `import trio` slipped into one of them is a broken contract, and no wire module is forgotten."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [wire] = [contract for contract in config["tool"]["importlinter"]["contracts"] if contract["id"] == "wire"]
    graph = grimp.build_graph("trioframe", include_external_packages=True, cache_dir=None)
    ours = {name for name in graph.modules if name.split(".")[0] == "trioframe" and not graph.find_children(name)}
    assert set(wire["source_modules"]) == {
        name for name in ours if graph.find_shortest_chain(importer=name, imported="trio") is None
    }


# --- every file -------------------------------------------------------------------------------------------------------


def test_a_file_is_one_idea():
    assert [path for path in MODULES if path.stem in VAGUE_NAMES] == []
    assert [path for path in MODULES if len(path.read_text(encoding="utf-8").splitlines()) >= MAX_FILE] == []


def test_a_file_begins_with_its_theory():
    def has_code_and_no_docstring(node: ast.AST) -> bool:  # an empty __init__.py has nothing to say
        return isinstance(node, ast.Module) and bool(node.body) and not ast.get_docstring(node)

    assert places(MODULES, has_code_and_no_docstring) == []


def test_functions_are_short():
    def is_long(node: ast.AST) -> bool:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return False
        code = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
        return bool(code) and (code[-1].end_lineno or 0) - code[0].lineno >= MAX_FUNCTION

    assert places(MODULES, is_long) == []


def test_nothing_is_asserted_of_what_a_peer_sent():
    """`assert` disappears with ``python -O``, and an AssertionError tells nobody whose fault it is."""
    assert places(MODULES, lambda node: isinstance(node, ast.Assert)) == []


def test_tests_neither_sleep_in_real_time_nor_mock():
    def sleeps_or_mocks(node: ast.AST) -> bool:
        match node:
            case ast.Import(names=names):
                return any(alias.name == "unittest.mock" for alias in names)
            case ast.ImportFrom(module="unittest.mock"):
                return True
            case ast.Attribute(value=ast.Name(id="time"), attr="sleep"):
                return True
        return False

    assert places(TESTS, sleeps_or_mocks) == []
