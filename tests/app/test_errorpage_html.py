"""The error page for people: well-formed, self-contained, and nothing in it is markup but its own."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from html_document import Document

from trioframe.app.errorpage_html import render_html
from trioframe.app.errorpages import ErrorPage
from trioframe.app.exception_tree import OLDEST_FRAMES, ExceptionFacts, Frame

PAGE = ErrorPage(404, "Not Found", "no such order", {"order": 17})
FRAME = Frame("/shop/orders.py", 8, "load", ((7, "def load():"), (8, "    raise Lost")), is_library=False)
FACTS = ExceptionFacts("Lost", "order 17", (), (), 0, None, False, False, (), 0)


def debug(*frames: Frame, **facts: Any) -> Document:
    """The page of an exception with `frames` and `facts`."""
    page = PAGE._replace(request_line="GET /orders/17", exception=replace(FACTS, frames=frames, **facts))
    return Document(render_html(page))


def test_the_page_for_strangers() -> None:
    document = Document(render_html(PAGE))
    assert document.text.split() == ["404", "Not", "Found", "404", "Not", "Found", "no", "such", "order", "order17"]
    assert "article" not in document.elements


def test_a_message_that_is_only_the_phrase_is_not_said_twice() -> None:
    document = Document(render_html(ErrorPage(404, "Not Found", "Not Found", {})))
    assert "p" not in document.elements
    assert "dl" not in document.elements


def test_it_needs_nothing_else_and_knows_light_and_dark() -> None:
    html = render_html(PAGE)
    assert "prefers-color-scheme: dark" in html
    assert re.findall(r"https?:|src=|href=|url\(|@import|<script", html) == []


def test_the_line_that_was_running_is_marked() -> None:
    html = render_html(PAGE._replace(exception=replace(FACTS, frames=(FRAME,))))
    assert re.findall(r"<span class=now><i>8</i>(.*?)</span>", html) == ["    raise Lost"]
    assert "/shop/orders.py:8" in html


def test_what_the_user_wrote_and_the_newest_call_are_open() -> None:
    library = replace(FRAME, is_library=True)
    html = render_html(PAGE._replace(exception=replace(FACTS, frames=(library, FRAME, library, library))))
    assert re.findall(r"<details.*?>", html) == [
        '<details class="library">',
        "<details open>",
        '<details class="library">',
        '<details class="library" open>',
    ]


def test_a_call_without_source() -> None:
    assert "pre" not in debug(replace(FRAME, lines=())).elements


def test_notes_and_extra_facts() -> None:
    page = PAGE._replace(extra={"sql": ["select", None]}, exception=replace(FACTS, notes=("it rained",)))
    text = Document(render_html(page)).text
    assert "it rained" in text
    assert '["select", null]' in text


def test_groups_and_causes_stand_within_each_other() -> None:
    member = replace(FACTS, type="Member", cause=replace(FACTS, type="Context"))
    document = debug(exceptions=(member,), cause=replace(FACTS, type="Cause"), cause_is_explicit=True)
    assert document.elements.count("article") == 4
    words = ["which holds", "Member", "raised while handling", "Context", "caused by", "Cause"]
    places = [document.text.index(word) for word in words]
    assert places == sorted(places)


def test_what_is_left_out_is_said() -> None:
    document = debug(*[FRAME] * (OLDEST_FRAMES + 1), frames_omitted=900, exceptions_omitted=70, cause_omitted=True)
    assert "900 more calls" in document.text
    assert "and 70 more" in document.text
    assert "caused by others that are not shown" in document.text


def test_everything_is_escaped() -> None:
    """CVE-2022-39348, CVE-2024-41810 of Twisted: what the client sent came back as HTML."""
    bad = "</title></style><script>\"'&"
    frame = Frame(bad, 1, bad, ((1, bad),), is_library=False)
    facts = ExceptionFacts(bad, bad, (bad,), (frame,), 0, None, False, False, (), 0)
    html = render_html(ErrorPage(500, bad, bad + "!", {bad: bad}, bad, {bad: [bad]}, facts))
    assert "<script" not in html
    assert Document(html).text.count(bad) >= 10
