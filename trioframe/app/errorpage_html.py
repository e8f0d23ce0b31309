"""The error page for people: one HTML document that needs nothing else, in light and dark.

Everything that is not markup of this file goes through `escape`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING

from .exception_tree import OLDEST_FRAMES, ExceptionFacts, Frame
from .safe_text import Plain, in_words

if TYPE_CHECKING:
    from .errorpages import ErrorPage

__all__ = ["render_html"]

_STYLE = """
:root {
  color-scheme: light dark;
  --back: #fbfaf8; --card: #fff; --text: #23201c; --faint: #857d73; --line: #e6e1da; --accent: #b3401f; --mark: #fdeee6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #171615; --card: #201e1c; --text: #ece7e0; --faint: #968d82; --line: #36322e; --accent: #ff9d76;
    --mark: #3a261d;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 12vh 6vw 6vh; background: var(--back); color: var(--text);
  font: 1rem/1.55 system-ui, sans-serif;
}
main { max-width: 62rem; margin: auto; }
h1 { margin: 0; font-size: clamp(1.5rem, 4vw, 2.25rem); font-weight: 650; line-height: 1.2; letter-spacing: -0.02em; }
h1 b { color: var(--accent); font-weight: inherit; font-variant-numeric: tabular-nums; }
h2 { margin: 0; font-size: 1.1rem; overflow-wrap: anywhere; white-space: pre-wrap; }
h2 b { color: var(--accent); }
h3 { margin: 1.25rem 0 0.5rem; font-size: 0.85rem; font-weight: 500; color: var(--faint); }
p { white-space: pre-wrap; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.25rem 1.25rem; }
dt { color: var(--faint); }
dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
code, pre { font: 0.85rem/1.6 ui-monospace, monospace; }
.request { color: var(--faint); overflow-wrap: anywhere; }
article {
  margin: 1.5rem 0 0; padding: 1.25rem; background: var(--card); border: 1px solid var(--line); border-radius: 0.6rem;
}
article article { margin-top: 0.6rem; border-left: 3px solid var(--accent); }
.note { margin: 0.4rem 0 0; color: var(--faint); }
details { margin-top: 0.5rem; border: 1px solid var(--line); border-radius: 0.4rem; overflow: hidden; }
summary { padding: 0.35rem 0.75rem; cursor: pointer; font-size: 0.9rem; overflow-wrap: anywhere; }
summary span, .library summary { color: var(--faint); }
pre { margin: 0; padding: 0.5rem 0; border-top: 1px solid var(--line); overflow-x: auto; }
pre span { display: block; padding: 0 0.75rem; min-width: max-content; }
pre span.now { background: var(--mark); }
pre i { display: inline-block; width: 3.5em; color: var(--faint); font-style: normal; user-select: none; }
"""


def render_html(page: ErrorPage) -> str:
    """`page` as an HTML document."""
    title = escape(page.title)
    return "".join(
        (
            '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            f"<title>{page.status} {title}</title>\n<style>{_STYLE}</style>\n",
            f"<main>\n<h1><b>{page.status}</b> {title}</h1>\n",
            *_parts(page),
            "</main>\n</html>\n",
        )
    )


def _parts(page: ErrorPage) -> Iterator[str]:
    if page.message != page.title:
        yield f"<p>{escape(page.message)}</p>\n"
    yield from _facts(page.context)
    if page.exception is not None:
        yield f'<p class="request"><code>{escape(page.request_line)}</code></p>\n'
        yield from _facts(page.extra or {})
        yield from _exception(page.exception)


def _facts(facts: Mapping[str, Plain]) -> Iterator[str]:
    if facts:
        yield "<dl>\n"
        for name, value in facts.items():
            yield f"<dt>{escape(name)}</dt><dd>{escape(in_words(value))}</dd>\n"
        yield "</dl>\n"


def _exception(facts: ExceptionFacts) -> Iterator[str]:
    yield f"<article>\n<h2><b>{escape(facts.type)}</b> {escape(facts.message)}</h2>\n"
    for note in facts.notes:
        yield f'<p class="note">{escape(note)}</p>\n'
    last = len(facts.frames) - 1
    for index, frame in enumerate(facts.frames):
        if facts.frames_omitted and index == OLDEST_FRAMES:
            yield f'<p class="note">{facts.frames_omitted} more calls</p>\n'
        yield from _frame(frame, is_open=index == last)
    if facts.exceptions:
        yield "<h3>which holds</h3>\n"
    for member in facts.exceptions:
        yield from _exception(member)
    if facts.exceptions_omitted:
        yield f'<p class="note">and {facts.exceptions_omitted} more</p>\n'
    if facts.cause is not None:
        yield f"<h3>{'caused by' if facts.cause_is_explicit else 'raised while handling'}</h3>\n"
        yield from _exception(facts.cause)
    if facts.cause_omitted:
        yield '<p class="note">caused by others that are not shown</p>\n'
    yield "</article>\n"


def _frame(frame: Frame, *, is_open: bool) -> Iterator[str]:
    kind = ' class="library"' if frame.is_library else ""
    yield f"<details{kind}{' open' * (is_open or not frame.is_library)}>"
    yield f"<summary>{escape(frame.name)} <span>{escape(frame.file)}:{frame.line}</span></summary>\n"
    if frame.lines:
        lines = (
            f"<span{' class=now' * (number == frame.line)}><i>{number}</i>{escape(text)}</span>"
            for number, text in frame.lines
        )
        yield f"<pre>{''.join(lines)}</pre>\n"
    yield "</details>\n"
