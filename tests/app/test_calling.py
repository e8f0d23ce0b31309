"""What a user gave is called, async or not, and named."""

from __future__ import annotations

from functools import partial

from trioframe.app.calling import call, describe


def plain(*args: object, **context: object) -> object:
    return args, context


async def waiting(*args: object, **context: object) -> object:
    return args, context


async def test_async_or_not() -> None:
    for function in (plain, waiting, lambda *args, **context: waiting(*args, **context)):
        assert await call(function, 1, x=2) == ((1,), {"x": 2})


def test_a_function_is_named_with_its_place() -> None:
    line = plain.__code__.co_firstlineno
    assert describe(plain) == f"plain, at {__file__}:{line}"
    assert describe(partial(plain, 1)).endswith(f", at {__file__}:{line}")
    assert describe(print) == "print"
