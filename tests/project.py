"""A user's project: a working directory with Python files in it, forgotten after the test."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest


class Project:
    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, code: str = "") -> Path:
        """Write a file, and the folders it is in."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(code))
        importlib.invalidate_caches()
        return path

    def forget(self) -> None:
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(str(self.path)):
                del sys.modules[name]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """It is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    project = Project(tmp_path)
    yield project
    project.forget()
