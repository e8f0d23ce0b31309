"""Draws the way of a request: its signals in their order, and what of the user's stands between and around them.

Rules of this file:

* The way is a tree: what stands around something holds it.  Its stations are all signals of a request that `RESERVED`
  has, in the order of that table; the tests see to it.
* The same tree is told as text, line by line, for those who cannot see the picture; and so the tests compare it with
  what an app really does.
* Colours are those of the page around it, light or dark.

It must not know mkdocs.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final, NamedTuple

from trioframe.app.reserved import RESERVED

__all__ = ["INSTEAD", "WAY", "draw", "lines"]


class Around(NamedTuple):
    """What stands around a part of the way, and is entered before it and left behind it."""

    name: str
    inside: tuple[Step, ...]


Step = str | Around  # the name of a signal, or what the user calls a function of his

_BEHIND_MIDDLEWARE = ("http.middleware.before", "@app.on_response", "http.middleware.after", "http.lifecycle.response")

WAY: Final[tuple[Step, ...]] = (
    Around(
        '@app.around("http.lifecycle")',
        (
            "http.lifecycle.begin",
            "http.lifecycle.read_head",
            "http.lifecycle.request",
            "http.lifecycle.handle",
            "http.routing.before",
            "http.routing.after",
            "http.lifecycle.read_body",
            Around(
                "@app.middleware",
                (
                    "http.middleware.before",
                    "@app.on_request",
                    "http.middleware.after",
                    Around('@app.around("http.handler")', ("http.handler.before", "the handler", "http.handler.after")),
                    *_BEHIND_MIDDLEWARE,
                ),
            ),
            "http.lifecycle.send",
            "http.lifecycle.complete",
        ),
    ),
)
INSTEAD: Final = ("http.lifecycle.exception", "http.lifecycle.cancelled")
"""How the way ends otherwise."""


def lines(steps: tuple[Step, ...], indent: str = "") -> Iterator[str]:
    """The way as text: a line for each step, indented by what stands around it."""
    for step in steps:
        if isinstance(step, Around):
            yield f"{indent}{step.name}"
            yield from lines(step.inside, f"{indent}    ")
        else:
            yield f"{indent}{step}"


# --- the picture ------------------------------------------------------------------------------------------------------

_WIDTH: Final = 460
_ROW: Final = 28
_LINE: Final = 64  # where the line runs
_TEXT: Final = 84
_PAGE: Final = "var(--md-default-bg-color, Canvas)"  # what is behind the picture


def draw() -> str:
    """The picture, as SVG within a page."""
    drawn, end = _draw(WAY, depth=0, row=1.0)
    ways_out, last = _draw(INSTEAD, depth=0, row=end + 1)
    told = "; ".join(line.strip() for line in lines(WAY))
    return "\n".join(
        [
            '<figure><svg role="img" aria-labelledby="way-title way-desc" style="max-width: 100%; height: auto"',
            f' xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" viewBox="0 0 {_WIDTH} {last * _ROW:g}"',
            ' fill="currentColor" stroke="none" font-size="14" font-family="monospace">',
            '<title id="way-title">The way of a request</title>',
            f'<desc id="way-desc">In this order: {escape(told)}. Instead of the last: {" or ".join(INSTEAD)}.</desc>',
            _line(1, end - 1.5),
            _line(end - 1.5, last - 1, ' stroke-dasharray="3 5"'),
            *drawn,
            _text("instead, where it fails or is cancelled", end, ' font-style="italic" opacity="0.7"'),
            *ways_out,
            "</svg></figure>",
        ]
    )


def _draw(steps: tuple[Step, ...], depth: int, row: float) -> tuple[list[str], float]:
    """The steps from a row on, and the row behind them."""
    drawn: list[str] = []
    for step in steps:
        if isinstance(step, Around):
            inside, end = _draw(step.inside, depth + 1, row + 1)
            drawn += [_frame(depth, row, end), _text(step.name, row, ' font-style="italic"'), *inside]
            row = end + 0.5
        else:
            drawn.append(_station(step, row))
            row += 1
    return drawn, row


def _station(name: str, row: float) -> str:
    y = row * _ROW
    if name not in RESERVED:
        square = f'<rect x="{_LINE - 6}" y="{y - 6:g}" width="12" height="12"/>'
        return square + _text(name, row, ' font-weight="bold"')
    hollow = f' fill="{_PAGE}" stroke="currentColor" stroke-width="2"' if name in INSTEAD else ""
    circle = f'<circle cx="{_LINE}" cy="{y:g}" r="5"{hollow}/>'
    return f"<g><title>{escape(RESERVED[name].when)}</title>{circle}{_text(name, row)}</g>"


def _frame(depth: int, row: float, end: float) -> str:
    margin = 4 + 14 * depth
    return (
        f'<rect x="{margin}" y="{(row - 0.6) * _ROW:g}" width="{_WIDTH - 2 * margin}" '
        f'height="{(end - row) * _ROW:g}" rx="8" fill-opacity="0.05" stroke="currentColor" stroke-opacity="0.4"/>'
    )


def _line(row: float, end: float, style: str = "") -> str:
    y = f'y1="{row * _ROW:g}" y2="{end * _ROW:g}"'
    return f'<line x1="{_LINE}" x2="{_LINE}" {y} stroke="currentColor" stroke-width="2" opacity="0.5"{style}/>'


def _text(text: str, row: float, style: str = "") -> str:
    return f'<text x="{_TEXT}" y="{row * _ROW + 5:g}"{style}>{escape(text)}</text>'
