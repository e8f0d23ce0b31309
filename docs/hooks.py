"""Called by mkdocs while it builds: puts what the code knows into the pages, so that nothing is written twice.

* ``{{ REQUEST_TIMEOUT }}`` becomes the default of that option of `Config`, with its unit.
* ``{{ options }}`` becomes the table of all options that have an effect.
* ``{{ server_signals }}``, ``{{ request_signals }}`` and ``{{ websocket_signals }}`` become tables of reserved signals.
* ``{{ way_of_a_request }}`` becomes the picture of it.

An unknown name fails the build.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import request_picture  # beside this file, where mkdocs looks

from trioframe.app.reserved import RESERVED
from trioframe.config import Config
from trioframe.options import Option

# Known to `Config`, so that setting them is no error, but not obeyed by any code yet.  Held to the truth by the tests.
WITHOUT_EFFECT = {
    "DEPRECATION_FILTER",
    "INSPECTOR",
    "INSPECTOR_API_KEY",
    "INSPECTOR_HOST",
    "INSPECTOR_PORT",
    "INSPECTOR_TLS_CERT",
    "INSPECTOR_TLS_KEY",
}

_MARK = re.compile(r"\{\{ (\w+) \}\}")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The event of mkdocs: a page as it was written, to the page as it is rendered."""
    return _MARK.sub(_known, markdown)


def _known(mark: re.Match[str]) -> str:
    name = mark[1]
    return _MADE[name]() if name in _MADE else _default(Config.options()[name])


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
        for name, option in Config.options().items()
        if name not in WITHOUT_EFFECT
    ]
    later = ", ".join(f"`{name}`" for name in sorted(WITHOUT_EFFECT))
    return "\n".join(
        [
            "| option | default | allowed | what it is for |",
            "|---|---|---|---|",
            *rows,
            f"\nKnown already, and without effect in this version: {later}.",
        ]
    )


def _signals(namespace: str) -> str:
    rows = [
        f"| `{name}` | {row.when} | {_keywords(row.context)} | {'backwards' if row.backwards else ''} | "
        f"{'yes' if row.notice else ''} |"
        for name, row in RESERVED.items()
        if name.startswith(f"{namespace}.")
    ]
    return "\n".join(["| signal | when | keywords | order | only tells |", "|---|---|---|---|---|", *rows])


def _keywords(context: Mapping[str, str]) -> str:
    return "<br>".join(f"`{name}`: {what}" for name, what in context.items())


_MADE: dict[str, Callable[[], str]] = {
    "options": _options,
    "server_signals": lambda: _signals("server"),
    "request_signals": lambda: _signals("http"),
    "websocket_signals": lambda: _signals("websocket"),
    "way_of_a_request": request_picture.draw,
}
