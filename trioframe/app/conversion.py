"""What handlers and middleware may return in place of a `Response`, and the response that it means."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any

from ..errors import ServerError
from .response import Dumps, Response, json, raw, text

__all__ = ["to_response"]


def to_response(result: Any, dumps: Dumps | None = None, who: str = "a handler") -> Response:
    """A response made of what a handler or a middleware has returned.

    Parameters:
      who: has returned it.

    Raises:
      ServerError: nothing can be made of it.
    """
    if type(result) is dict:  # the most common one; what else there is is asked for in order
        return json(result, dumps=dumps)
    match result:
        case Response():
            return result
        case str():
            return text(result)
        case bytes():
            return raw(result)
        case dict() | list():
            return json(result, dumps=dumps)
        case AsyncIterable():  # a receive channel is one
            return Response(result)
    returned = "nothing, and did not call request.respond()" if result is None else f"a {type(result).__name__}"
    raise ServerError(f"{who} returned {returned}; it must return a response, str, bytes, dict, list or stream")
