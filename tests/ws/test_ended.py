"""What is raised when a WebSocket has ended is one error, for whoever catches it in whichever way."""

from __future__ import annotations

import traceback

import pytest
import trio

from trioframe import WebSocketClosed
from trioframe.ws.ended import HERE, Broken, Ended


@pytest.mark.parametrize("kind", [Ended, Broken])
def test_what_was_closed_here_says_so_as_well(kind: type[Ended | Broken]) -> None:
    assert not issubclass(kind, trio.ClosedResourceError)
    assert issubclass(HERE[kind], kind)
    assert issubclass(HERE[kind], trio.ClosedResourceError)


@pytest.mark.parametrize("kind", [Ended, Broken, *HERE.values()])
def test_it_goes_by_the_name_by_which_it_is_caught(kind: type[WebSocketClosed]) -> None:
    error = kind(4000, "bye")
    assert (error.code, error.reason) == (4000, "bye")
    [told] = traceback.format_exception_only(error)
    assert told == "trioframe.errors.WebSocketClosed: the WebSocket has ended with 4000: bye\n"
    assert repr(error).startswith("WebSocketClosed(")
    assert isinstance(error, trio.EndOfChannel) is not isinstance(error, trio.BrokenResourceError)
