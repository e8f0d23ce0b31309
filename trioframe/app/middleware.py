"""What stands around handlers: declared on the app, ordered once, the same for every request of a route.

Three kinds, in the order in which a request meets them:

    around     async def mw(request, call_next)    wraps all that follows, and has its response
    request    def mw(request)                     before the handler; a response ends the way there
    response   def mw(request, response)           behind the handler, and in front of every response that is sent

Rules of this file:

* Higher priority runs earlier, for every kind.  With equal priority, what was declared first is met first on the way to
  the handler, and last on the way back.
* Those of request and response may be async or not; what is not runs where it is, and must not block.

It must not know how a request is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from inspect import isasyncgen, iscoroutine
from typing import Any, Literal, NamedTuple

from .calling import describe

__all__ = ["Around", "Chain", "Kind", "Middleware", "arrange", "opened"]

Kind = Literal["request", "response", "around"]

Calls = tuple[tuple[Callable[..., Any], bool], ...]


class Middleware(NamedTuple):
    """A declaration of `App.on_request`, `App.on_response` or `App.middleware`.

    Parameters:
      place: "file.py:12" of the declaration.
      is_async: whether what it gives has to be awaited.
    """

    kind: Kind
    function: Callable[..., Any]
    priority: int
    place: str | None
    is_async: bool


class Around(NamedTuple):
    """A declaration of `App.around`: a context manager that stands around a phase."""

    phase: str
    function: Callable[..., Any]
    place: str | None

    def enter(self, subject: object) -> AbstractAsyncContextManager[object]:
        """The context manager for one request; around the server's life it is `lifespan` that enters."""
        return opened(self.function, subject)


class Chain(NamedTuple):
    """What stands around the handlers of a route, each kind in the order in which it runs.

    Parameters:
      lifecycle: around the whole request.
      handler: around the handler alone.
      request_calls, response_calls: the functions of `request` and `response`, each with whether it is async: what is
        gone through for every request.
    """

    around: tuple[Middleware, ...]
    request: tuple[Middleware, ...]
    response: tuple[Middleware, ...]
    lifecycle: tuple[Around, ...]
    handler: tuple[Around, ...]
    request_calls: Calls
    response_calls: Calls

    @property
    def nested(self) -> bool:
        """Whether something is entered before the handler and left behind it, and has to see how it ended."""
        return bool(self.around or self.lifecycle or self.handler)

    def with_handler_phase(self, phase: str, around: Iterable[Around]) -> Chain:
        """The same, with what stands around another `phase` as the innermost around the handler."""
        inner = tuple(one for one in around if one.phase == phase)
        return self._replace(handler=self.handler + inner) if inner else self


def arrange(middleware: Iterable[Middleware], around: Iterable[Around]) -> Chain:
    """The chain of what was declared, in the order of declaration."""
    declared, standing = list(middleware), list(around)
    request, response = _ordered(declared, "request"), _ordered(reversed(declared), "response")
    return Chain(
        around=_ordered(declared, "around"),
        request=request,
        response=response,
        lifecycle=tuple(one for one in standing if one.phase == "http.lifecycle"),
        handler=tuple(one for one in standing if one.phase == "http.handler"),
        request_calls=tuple((one.function, one.is_async) for one in request),
        response_calls=tuple((one.function, one.is_async) for one in response),
    )


def _ordered(declared: Iterable[Middleware], kind: Kind) -> tuple[Middleware, ...]:
    # Sorting is stable: those of equal priority keep the order in which they come.
    return tuple(sorted((one for one in declared if one.kind == kind), key=lambda one: -one.priority))


def opened(function: Callable[..., Any], subject: object) -> AbstractAsyncContextManager[object]:
    """The context manager of a user's function, called with what it stands around.

    Parameters:
      function: an async generator function with one ``yield``, or what gives an async context manager.

    Raises:
      TypeError: it gives something else.
    """
    made = function(subject)
    if isasyncgen(made):
        return asynccontextmanager(lambda: made)()
    if isinstance(made, AbstractAsyncContextManager):
        return made
    if iscoroutine(made):
        made.close()  # else Python warns that nobody has awaited it
    how = "it has to be an async generator with one yield, or what @asynccontextmanager makes of one"
    raise TypeError(f"{describe(function)} gave {made!r}: {how}")
