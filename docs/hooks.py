"""Called by mkdocs while it builds: puts the options of `Config` into the pages, so that no default is written twice.

* ``{{ REQUEST_TIMEOUT }}`` becomes the default of that option, with its unit.  An unknown name fails the build.
* ``{{ options }}`` becomes the table of all options.
"""

from __future__ import annotations

import math
import re
from typing import Any

from trioframe.config import Config
from trioframe.options import Option

_MARK = re.compile(r"\{\{ (\w+) \}\}")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The event of mkdocs: a page as it was written, to the page as it is rendered."""
    return _MARK.sub(lambda mark: _options() if mark[1] == "options" else _default(Config.options()[mark[1]]), markdown)


def _default(option: Option[Any]) -> str:
    value = option.default
    if value is None:
        return "not set"
    if value == math.inf:
        return "no limit"
    if option.unit == "bytes" and value and value % 1024 == 0:
        return f"{value // 1024**2} MiB" if value % 1024**2 == 0 else f"{value // 1024} KiB"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"`{value}`"
    return f"{value:g} {option.unit}".rstrip()


def _options() -> str:
    rows = [
        f"| `{option.name}` | {_default(option)} | {option.kind.allowed} | {option.reason} |"
        for option in Config.options().values()
    ]
    return "\n".join(["| option | default | allowed | what it is for |", "|---|---|---|---|", *rows])
