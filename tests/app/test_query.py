"""The fields of a query are those that the standard library finds."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trioframe.app.query import parse_query


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", []),
        ("a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        ("a&=b&c=", [("a", ""), ("", "b"), ("c", "")]),
        ("a=b=c", [("a", "b=c")]),
        ("&a&&b&", [("a", ""), ("b", "")]),
        ("a=x+y%20z&%C3%A9=%FF", [("a", "x y z"), ("é", "\ufffd")]),
        ("a;b=\xe9", [("a;b", "\xe9")]),
    ],
)
def test_fields(query: str, fields: list[tuple[str, str]]) -> None:
    assert parse_query(query, 10) == fields


@pytest.mark.parametrize("query", ["a&b&c", "a&b&%20", "&&", "a=1&b=+&c"])
def test_too_many(query: str) -> None:
    assert len(parse_query(query, 3)) == 3 - (query == "&&") * 3
    with pytest.raises(ValueError, match="number of fields"):
        parse_query(query, 2)


@given(
    st.text(st.sampled_from("ab=&%+;#é 0123\0\xff")) | st.text(st.characters(max_codepoint=0xFF)),
    st.integers(min_value=1, max_value=6),
)
@example("", 1)
@example("&", 1)
def test_the_standard_library_is_the_law(query: str, max_fields: int) -> None:
    try:
        law = parse_qsl(query, keep_blank_values=True, errors="replace", max_num_fields=max_fields)
    except ValueError:
        with pytest.raises(ValueError, match="number of fields"):
            parse_query(query, max_fields)
    else:
        assert parse_query(query, max_fields) == law
