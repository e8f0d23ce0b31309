"""JSON is read as the standard library reads it, whatever the encoding, and refused as it refuses it."""

from __future__ import annotations

import datetime
import decimal
import json
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trioframe.app import json_text
from trioframe.app.json_text import read_json, write_json

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "latin-1")

TEXTS = [
    '{"a": [1, 2.5, null, true]}',
    '"é"',
    "5",
    "",
    " [] ",
    "[1",
    "[]x",
    "{}\0",
    "\0",
    "1\0",
    "NaN",
    "123456789012345678901234567890",
    '{"a": 1, "a": 2}',
    "-0",
    "-0.0",
    "1.0",
    "9007199254740993.0",
    "2.5e-324",
    "1e999",
    '"\ud800"',
]


@pytest.fixture(autouse=True, params=["with msgspec", "without"], scope="module")
def quick(request: pytest.FixtureRequest) -> Iterator[None]:
    """Everything is read in both ways: with the extra, and without it."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "without":
            patch.setattr(json_text, "_quick_reader", lambda: None)
            patch.setattr(json_text, "_quick_writer", lambda: None)
        else:
            pytest.importorskip("msgspec")
        yield


def outcome(read: Callable[[bytes], Any], octets: bytes) -> object:
    """What `read` returns or raises, to be compared; NaN is equal to nothing, but its `repr` is."""
    try:
        return repr(read(octets))
    except (ValueError, RecursionError) as error:
        return type(error), str(error)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("text", TEXTS)
def test_every_encoding_is_read_as_the_law_reads_it(text: str, encoding: str) -> None:
    octets = text.encode(encoding, "replace" if encoding == "latin-1" else "surrogatepass")
    assert outcome(read_json, octets) == outcome(json.loads, octets)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
json_texts = st.builds(json.dumps, json_values, ensure_ascii=st.booleans())


@given(json_texts, st.sampled_from(ENCODINGS[:-1]), st.none() | st.binary(max_size=3), st.integers(0, 20))
def test_the_standard_library_is_the_law(text: str, encoding: str, damage: bytes | None, place: int) -> None:
    octets = text.encode(encoding, "surrogatepass")
    if damage is not None:
        octets = octets[:place] + damage + octets[place:]
    assert outcome(read_json, octets) == outcome(json.loads, octets)


@given(st.binary(max_size=6))
@example(b"\x00\x00\xfe\xff")
@example(b'"\xed\xa0\x80"')
@example(b"1")
def test_whatever_is_sent_is_read_or_refused_as_the_law_does(octets: bytes) -> None:
    assert outcome(read_json, octets) == outcome(json.loads, octets)


@pytest.mark.parametrize("octets", [b"[" * 100_000, b"9" * 5000])
def test_what_is_too_much_is_refused_as_the_law_does(octets: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)) as caught:
        read_json(octets)
    with pytest.raises(caught.type):
        json.loads(octets)


_quick_reader = json_text._quick_reader


def test_the_extra_is_used_where_it_is_installed() -> None:
    msgspec = pytest.importorskip("msgspec")
    _quick_reader.cache_clear()
    assert isinstance(getattr(_quick_reader(), "__self__", None), msgspec.json.Decoder)


def test_without_it_nothing_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgspec.json", None)
    _quick_reader.cache_clear()
    try:
        assert _quick_reader() is None
        assert read_json(b"[1]") == [1]
    finally:
        _quick_reader.cache_clear()


# --- writing ----------------------------------------------------------------------------------------------------------

LAW = json.JSONEncoder(separators=(",", ":"), allow_nan=False)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none() | st.floats(), inner),
)


def circle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def written(write: Callable[[Any], str | bytes], value: object) -> object:
    try:
        text = write(value)
        return text.decode("ascii") if isinstance(text, bytes) else text
    except (TypeError, ValueError, RecursionError) as error:
        return type(error), str(error)


PLAIN = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.characters())


@given(VALUES | PLAIN)
@example({"a": 2**64, "b": -(2**63)})
@example({"a": "\ud800"})
@example({'\x00\x1f\x7f"\\/': "\b\f\n\r\t\u2028é"})
@example(dict.fromkeys(map(chr, range(128)), "x"))
@example({"a": 1.5})
@example({1: 2})
@example(float("nan"))
@example([float("inf")])
@example({(1, 2): 3})
@example({"a": {1, 2}})
@example(b"octets")
@example(circle())
@example({True: 1, 1.5: 2, None: 3})
@example("\ud800\x7f/\u2028")
def test_it_is_written_as_the_standard_library_writes_it(value: object) -> None:
    assert written(write_json, value) == written(LAW.encode, value)


def test_the_same_value_again_is_no_circle() -> None:
    inner = [1]
    assert write_json([inner, inner]) == "[[1],[1]]"


def test_what_msgspec_alone_could_write_is_refused_with_it_and_without() -> None:
    for value in (
        datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC),
        b"octets",
        {"a": uuid.uuid4()},
        decimal.Decimal(1),
    ):
        with pytest.raises(TypeError, match="not JSON serializable"):
            write_json(value)


def test_what_is_too_deep_is_refused_as_the_law_refuses_it() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    for write in (write_json, LAW.encode):
        with pytest.raises(RecursionError):
            write(value)


def test_without_the_encoder_in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json.encoder, "c_make_encoder", None)
    assert json_text._kept_encoder() is None
    monkeypatch.setattr(json_text, "_encode", None)
    assert write_json({"a": [1, None]}) == '{"a":[1,null]}'
