"""Error pages: the format that is wanted, no word too many for strangers, everything for the developer."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from fake_exchange import make_request
from html_document import Document

from trioframe.app.errorpages import render_error
from trioframe.app.response import Response
from trioframe.app.route import Route
from trioframe.errors import (
    HTTPError,
    LocalProtocolError,
    MethodNotAllowed,
    NotFound,
    RemoteProtocolError,
    RequestCancelled,
    ServerError,
)

FORMATS = ("html", "json", "text")
MEDIA_TYPES = {"html": "text/html", "json": "application/json", "text": "text/plain"}


async def respond(
    exception: BaseException,
    accept: str | None = None,
    *,
    error_format: Any = None,
    target: bytes = b"/here?x=1",
    **options: Any,
) -> Response:
    async def handler(request: Any) -> None: ...

    route = Route(uri="/", methods=frozenset({"GET"}), name="n", handler=handler, error_format=error_format)
    request = make_request(target, {} if accept is None else {"accept": accept}, route=route)
    return render_error(exception, request=request, **options)


def body_of(response: Response) -> str:
    assert isinstance(response.body, bytes)
    return response.body.decode()


async def shown(exception: BaseException, format_: str, **options: Any) -> str:
    """The text of a page: of HTML without markup, of JSON itself."""
    body = body_of(await respond(exception, error_format=format_, **options))
    return Document(body).text if format_ == "html" else body


# --- which format -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error_format", "accept", "fallback", "format_"),
    [
        ("json", "text/html", "text", "json"),
        ("html", None, "text", "html"),
        ("auto", "text/html", "json", "html"),
        (None, "application/json", "html", "json"),
        (None, "text/html;q=0.5, application/json", "auto", "json"),
        (None, "text/html,application/xhtml+xml,*/*;q=0.8", "json", "html"),
        (None, None, "auto", "text"),
        (None, "*/*", "auto", "text"),
        (None, "*/*", "json", "json"),
        (None, "text/*", "json", "html"),
        (None, "text/*", "auto", "text"),
        (None, "image/png", "html", "html"),
        (None, "image/png", "auto", "text"),
        (None, "nonsense", "json", "json"),
    ],
)
async def test_route_then_client_then_fallback(error_format, accept, fallback, format_) -> None:
    response = await respond(NotFound(), accept, error_format=error_format, fallback=fallback)
    assert (response.content_type or "").partition(";")[0] == MEDIA_TYPES[format_]


async def test_a_cache_is_told_when_the_client_has_decided() -> None:
    assert (await respond(NotFound())).headers["vary"] == "accept"
    assert "vary" not in (await respond(NotFound(), error_format="json")).headers


async def test_a_request_without_a_route_has_pages_too() -> None:
    response = render_error(NotFound(), request=make_request(headers={"accept": "application/json"}))
    assert response.content_type == "application/json"


# --- what strangers see -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", FORMATS)
async def test_message_and_context_of_an_http_error(format_) -> None:
    error = NotFound("no such order", context={"order": 17}, extra={"sql": "select"})
    text = await shown(error, format_)
    assert "404" in text
    assert "Not Found" in text
    assert "no such order" in text
    assert "order" in text
    assert "17" in text
    assert "select" not in text
    assert "/here" not in text


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("secret"), 500),
        (ExceptionGroup("secret", [NotFound("secret")]), 500),
        (RemoteProtocolError("secret", 431), 431),
        (RequestCancelled("timeout"), 503),
    ],
)
async def test_of_anything_else_a_generic_sentence(error, status, format_) -> None:
    response = await respond(error, error_format=format_)
    assert response.status == status
    assert str(status) in body_of(response)
    assert "secret" not in body_of(response)
    assert "The server could not answer" in body_of(response) or "could not be understood" in body_of(response)


async def test_the_page_as_text_and_as_json() -> None:
    error = HTTPError(402, "pay first", context={"order": 17, "items": ["é"]})
    assert await shown(error, "text") == '402 Payment Required\n\npay first\n\norder: 17\nitems: ["é"]\n'
    assert json.loads(await shown(error, "json")) == {
        "description": "Payment Required",
        "status": 402,
        "message": "pay first",
        "context": {"order": 17, "items": ["é"]},
    }


async def test_a_message_that_is_only_the_phrase_is_not_said_twice() -> None:
    assert await shown(NotFound(), "text") == "404 Not Found\n"
    assert (await shown(NotFound(), "html")).count("Not Found") == 2  # title and heading
    assert json.loads(await shown(NotFound(), "json")) == {
        "description": "Not Found",
        "status": 404,
        "message": "Not Found",
    }


async def test_the_headers_of_an_http_error_are_sent_except_its_content_type() -> None:
    response = await respond(MethodNotAllowed(allowed=["GET"], headers={"Content-Type": "text/html"}))
    assert response.headers["allow"] == "GET"
    assert response.content_type == "text/plain; charset=utf-8"
    with pytest.raises(LocalProtocolError):
        await respond(NotFound(headers={"x": "\r\n"}))


async def test_the_status_may_be_given() -> None:
    assert (await respond(ValueError(), status=408)).status == 408


@pytest.mark.parametrize("status", [204, 205, 304])
async def test_statuses_without_content_have_none(status) -> None:
    response = await respond(HTTPError(status, headers={"etag": '"x"'}), debug=True)
    assert (response.status, response.body) == (status, b"")
    assert response.raw_headers() == ((b"etag", b'"x"'),)


# --- what the developer sees ------------------------------------------------------------------------------------------


def boom(message: str) -> None:
    raise ValueError(message)  # the line that fails


def fail() -> None:
    try:
        try:
            boom("inner")
        except ValueError:
            raise KeyError("k")  # noqa: B904  # the context is to be shown
    except KeyError as exc:
        group = ExceptionGroup("several", [exc, OSError("disk")])
        group.add_note("while\nit rained")
        raise ServerError("outer", context={"a": 1}, extra={"sql": "select"}) from group


def failed() -> ServerError:
    """An error with a cause that is a group, with a note, whose member has a context."""
    with pytest.raises(ServerError) as caught:
        fail()
    return caught.value


@pytest.mark.parametrize("format_", FORMATS)
async def test_debug_shows_the_tree_with_its_source_lines(format_) -> None:
    text = await shown(failed(), format_, debug=True)
    wanted = [
        "GET /here?x=1",
        "select",
        "ServerError",
        "several (2 sub-exceptions)",
        "it rained",
        "'k'",
        "inner",
        "disk",
        "the line that fails",
        "boom",
        "test_errorpages.py",
    ]
    assert [word for word in wanted if word not in text] == []


async def test_the_tree_as_json() -> None:
    page = json.loads(await shown(failed(), "json", debug=True))
    assert page["request"] == "GET /here?x=1"
    assert page["extra"] == {"sql": "select"}
    group = page["exception"]["cause"]
    assert group["notes"] == ["while\nit rained"]
    assert [member["type"] for member in group["exceptions"]] == ["KeyError", "OSError"]
    frame = group["exceptions"][0]["context"]["frames"][-1]
    assert frame["name"] == "boom"
    assert frame["src"] == "raise ValueError(message)  # the line that fails"
    assert isinstance(frame["line"], int)


async def test_the_tree_as_text() -> None:
    text = re.sub(r'File ".*", line \d+', 'File "f", line 1', await shown(failed(), "text", debug=True))
    assert text.partition("trioframe.errors.ServerError")[2].splitlines() == [
        ": outer",
        '  File "f", line 1, in failed',
        "    fail()",
        '  File "f", line 1, in fail',
        '    raise ServerError("outer", context={"a": 1}, extra={"sql": "select"}) from group',
        "caused by",
        "  ExceptionGroup: several (2 sub-exceptions)",
        "    while",
        "    it rained",
        "  which holds",
        "    KeyError: 'k'",
        '      File "f", line 1, in fail',
        '        raise KeyError("k")  # noqa: B904  # the context is to be shown',
        "    raised while handling",
        "      ValueError: inner",
        '        File "f", line 1, in fail',
        '          boom("inner")',
        '        File "f", line 1, in boom',
        "          raise ValueError(message)  # the line that fails",
        "    OSError: disk",
    ]


@pytest.mark.parametrize("format_", FORMATS)
async def test_debug_of_an_exception_without_traceback_and_source(format_) -> None:
    assert "ValueError" in await shown(ValueError("x"), format_, debug=True)
    with pytest.raises(ZeroDivisionError) as caught:
        exec(compile("1/0", "<nowhere>", "exec"))
    assert "nowhere" in await shown(caught.value, format_, debug=True)


# --- nothing can hurt -------------------------------------------------------------------------------------------------

HOSTILE = "<script>alert(1)</script>\"'&\x1b[31m\r\n\ud800"


@pytest.mark.parametrize("debug", [False, True])
async def test_html_escapes_everything(debug, tmp_path) -> None:
    class HostileError(NotFound):
        pass

    HostileError.__qualname__ = HOSTILE
    error = HostileError(HOSTILE, context={HOSTILE: HOSTILE}, extra={HOSTILE: [HOSTILE]})
    error.add_note(HOSTILE)
    file = tmp_path / "<script>"
    file.write_text("raise error  # <script>")
    with pytest.raises(NotFound):
        exec(compile(file.read_text(), str(file), "exec"), {"error": error})
    body = body_of(await respond(error, error_format="html", debug=debug, target=b'/<script>"'))
    assert "<script" not in body
    assert "\x1b" not in body
    assert "script" not in Document(body).elements


@pytest.mark.parametrize("format_", ["json", "text"])
async def test_no_format_speaks_to_a_terminal(format_) -> None:
    body = body_of(await respond(NotFound(HOSTILE), error_format=format_, debug=True))
    assert "\x1b" not in body
    assert "\r" not in body


class BrokenError(HTTPError):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def recursion() -> BaseException:
    def recurse() -> None:
        recurse()

    with pytest.raises(RecursionError) as caught:
        recurse()
    return caught.value


def deep_group() -> BaseException:
    group: Exception = ValueError("x")
    for _ in range(500):
        group = ExceptionGroup("g", [group])
    return group


def long_chain() -> BaseException:
    first = exc = ValueError(0)
    for number in range(5000):
        exc.__cause__ = ValueError(number)
        exc = exc.__cause__
    return first


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda: BrokenError(400, BrokenError(), context={"x": BrokenError()}, extra={"x": BrokenError()}),  # type: ignore[arg-type]
        lambda: HTTPError(400, "x" * 10**6, context={"x": ["y" * 10**6] * 1000}, extra={"z": [[1] * 1000] * 1000}),
        lambda: ExceptionGroup("g", [ValueError("x" * 10**6)] * 10 + [ValueError("y") for _ in range(10_000)]),
        recursion,
        deep_group,
        long_chain,
    ],
)
async def test_pages_are_there_and_bounded_whatever_happened(make, debug, format_) -> None:
    error = make()
    began = time.process_time()
    body = body_of(await respond(error, error_format=format_, debug=debug))
    assert time.process_time() - began < 1
    assert len(body) < 3 * 10**6
    if format_ == "html":
        Document(body)


async def test_a_context_that_cannot_be_read_is_described() -> None:
    error = NotFound()

    class Broken(dict[str, Any]):
        def items(self) -> Any:
            raise OSError

    error.context = Broken(a=1)
    assert "<Broken object; reading it failed with OSError>" in await shown(error, "text")
