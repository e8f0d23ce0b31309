"""Names with several values: the mapping has the first, `getlist` all."""

from __future__ import annotations

import pytest

from trioframe.http.multidict import MultiDict

FIELDS = MultiDict([("a", 1), ("b", 2), ("a", 3)])


def test_the_mapping_has_the_first_value_of_each_name() -> None:
    assert FIELDS["a"] == 1
    assert FIELDS.get("a") == 1
    assert dict(FIELDS) == {"a": 1, "b": 2}


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        FIELDS["c"]
    assert FIELDS.get("c") is None
    assert FIELDS.get("c", "nothing") == "nothing"
    assert FIELDS.getlist("c") == []
    assert "c" not in FIELDS


def test_getlist_has_all_values_in_their_order_and_is_the_callers_own() -> None:
    FIELDS.getlist("a").append(5)
    assert FIELDS.getlist("a") == [1, 3]


def test_names_and_pairs() -> None:
    assert "a" in FIELDS
    assert list(FIELDS) == list(FIELDS.keys()) == ["a", "b"]
    assert len(FIELDS) == 2
    assert list(FIELDS.items()) == [("a", 1), ("a", 3), ("b", 2)]


def test_a_repr_shows_no_values() -> None:
    assert repr(FIELDS) == "<MultiDict: a, b>"
    assert repr(MultiDict()) == "<MultiDict: empty>"
