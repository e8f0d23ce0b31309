"""What Python code leaves behind without a word."""

from __future__ import annotations

import gc
import sys
import warnings

import pytest
import trio

from trioframe.testing.leaks import coroutines_never_awaited, unfinished_generators


async def numbers():
    for number in range(3):
        yield number


async def nothing() -> None:
    pass


# --- async generators -------------------------------------------------------------------------------------------------


async def test_an_unfinished_generator_is_named():
    with unfinished_generators(lambda task: True) as unfinished:
        begun = numbers()
        await anext(begun)
        [name] = unfinished()
        assert name.startswith("numbers (")
        assert name.endswith(f"test_leaks.py:{numbers.__code__.co_firstlineno})")
        await begun.aclose()


async def test_it_is_found_even_if_it_was_dropped_and_goes_without_a_warning():
    with unfinished_generators(lambda task: True) as unfinished:
        async for _ in numbers():
            break
        gc.collect()
        assert len(unfinished()) == 1
    gc.collect()


async def test_exhausted_and_closed_ones_are_fine():
    with unfinished_generators(lambda task: True) as unfinished:
        assert [number async for number in numbers()] == [0, 1, 2]
        begun = numbers()
        await anext(begun)
        await begun.aclose()
        numbers()  # never begun: there is nothing to close
        assert unfinished() == []


async def test_generators_of_other_tasks_are_not_looked_at():
    me = trio.lowlevel.current_task()
    with unfinished_generators(lambda task: task is not me) as unfinished:
        begun = numbers()
        await anext(begun)
        assert unfinished() == []
        await begun.aclose()


async def test_trio_keeps_its_hooks():
    before = sys.get_asyncgen_hooks()
    with unfinished_generators(lambda task: True):
        assert sys.get_asyncgen_hooks() != before
    assert sys.get_asyncgen_hooks() == before


# --- coroutines -------------------------------------------------------------------------------------------------------


def test_a_coroutine_that_is_dropped_is_named():
    with coroutines_never_awaited() as complaints:
        _ = nothing()
        del _
    assert complaints == ["coroutine 'nothing' was never awaited"]


def test_also_one_in_a_cycle():
    with coroutines_never_awaited() as complaints:
        cycle: list[object] = [nothing()]
        cycle.append(cycle)
        del cycle
    assert complaints == ["coroutine 'nothing' was never awaited"]


async def test_an_awaited_one_is_fine():
    with coroutines_never_awaited() as complaints:
        await nothing()
    assert complaints == []


def test_other_warnings_are_given_afterwards(recwarn):
    warnings.simplefilter("always")
    with coroutines_never_awaited() as complaints:
        warnings.warn("look out", UserWarning, stacklevel=1)
    assert complaints == []
    [given] = recwarn
    assert (str(given.message), given.filename) == ("look out", __file__)


def test_warnings_that_are_errors_stay_errors():
    with coroutines_never_awaited(), pytest.raises(DeprecationWarning):
        warnings.warn("old", DeprecationWarning, stacklevel=1)
