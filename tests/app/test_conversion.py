"""What may be returned in place of a response."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from trioframe import Response, ServerError, text
from trioframe.app.conversion import to_response

TEXT, OCTETS, JSON = "text/plain; charset=utf-8", "application/octet-stream", "application/json"


@pytest.mark.parametrize(
    ("result", "content_type", "body"),
    [
        ("é", TEXT, "é".encode()),
        ("", TEXT, b""),
        (b"\x00", OCTETS, b"\x00"),
        ({"a": 1}, JSON, b'{"a":1}'),
        ([1, 2], JSON, b"[1,2]"),
        ([], JSON, b"[]"),
    ],
)
def test_a_value_becomes_a_response(result: object, content_type: str, body: bytes) -> None:
    response = to_response(result)
    assert (response.status, response.headers["content-type"], response.body) == (200, content_type, body)


def test_a_response_stays_what_it_is() -> None:
    response = text("x", 201)
    assert to_response(response) is response


def test_json_is_that_of_the_app() -> None:
    assert to_response({"a": 1}, lambda value: f"<{value}>").body == b"<{'a': 1}>"


async def pieces() -> AsyncIterator[bytes]:
    yield b"x"


class Pieces:
    def __aiter__(self) -> AsyncIterator[bytes]:
        return pieces()


def test_whatever_gives_pieces_is_a_stream() -> None:
    _, channel = trio.open_memory_channel[bytes](0)
    for stream in (pieces(), Pieces(), channel):
        response = to_response(stream)
        assert isinstance(response, Response)
        assert response.body is stream
    channel.close()


@pytest.mark.parametrize(
    ("result", "returned"),
    [
        (None, "returned nothing, and did not call request.respond()"),
        (7, "returned a int"),
        (("text", 200), "returned a tuple"),
        (bytearray(b"x"), "returned a bytearray"),
        (iter([b"x"]), "returned a list_iterator"),
    ],
)
def test_nothing_can_be_made_of_anything_else(result: Any, returned: str) -> None:
    with pytest.raises(ServerError, match="it must return a response, str, bytes, dict, list or stream") as caught:
        to_response(result)
    assert returned in str(caught.value)
