"""Names of signals, taken apart and compared."""

from __future__ import annotations

import pytest

from trioframe.app.reserved import NAMESPACES, RESERVED
from trioframe.app.signal_names import NameIndex, is_backwards, is_pattern, match, parameters, split, split_event


@pytest.mark.parametrize(
    "name", ["user.order.done", "_a.b-c.D9", "user.<what>.done", "<a>.<b>.<c>", "*.*.*", "a.*.<b-c>"]
)
def test_names(name: str) -> None:
    assert split(name) == tuple(name.split("."))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("", "three parts"),
        ("user.done", "three parts"),
        ("user.order.item.done", "three parts"),
        ("user..done", "''"),
        ("user.order.2", "'2'"),
        ("user.-x.done", "'-x'"),
        ("user.or der.done", "'or der'"),
        ("user.order.done\n", "'done\\\\n'"),
        ("user.é.done", "'é'"),
        ("user.<>.done", "'<>'"),
        ("user.<n:int>.done", "'<n:int>' .* without a type"),
        ("user.x<n>.done", "'x<n>'"),
        ("user.<a>.<a>", "different names"),
        ("user.**.done", r"'\*\*'"),
    ],
)
def test_what_is_no_name(name: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        split(name)


@pytest.mark.parametrize("event", ["user.*.done", "user.<what>.done"])
def test_a_pattern_does_not_happen(event: str) -> None:
    with pytest.raises(ValueError, match="is a pattern"):
        split_event(event)


def test_events() -> None:
    assert split_event("user.order.done") == ("user", "order", "done")
    assert all(split_event(event) for event in RESERVED)


def test_unknown_names_of_the_framework() -> None:
    with pytest.raises(ValueError, match=r"did you mean http\.handler\.before"):
        split_event("http.handler.befor")
    for namespace in NAMESPACES:
        with pytest.raises(ValueError, match="choose a namespace of your own"):
            split_event(f"{namespace}.zzzzzzzzzzzzzzzzzzzzz.qqqqqqqqqqqq")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("user.order.done", {}),
        ("user.*.done", {}),
        ("<a>.<b>.*", {"a": "user", "b": "order"}),
        ("user.order.begun", None),
        ("<a>.order.begun", None),
    ],
)
def test_match(pattern: str, found: object) -> None:
    assert match(split(pattern), split("user.order.done")) == found


def test_patterns_and_their_parameters() -> None:
    assert [is_pattern(split(name)) for name in ("a.b.c", "a.<b>.c", "a.b.*")] == [False, True, True]
    assert parameters(split("a.<b>.<c>")) == ["b", "c"]


def test_what_is_backwards() -> None:
    for name in ("user.order.after", "user.<what>.exception", "server.shutdown.before", "http.handler.after"):
        assert is_backwards(name)
    for name in ("user.after.done", "user.exception.x", "user.order.thereafter", "server.init.after"):
        assert not is_backwards(name)
    assert all(is_backwards(name) is row.backwards for name, row in RESERVED.items())


def test_an_index_finds_by_event() -> None:
    index: NameIndex[int] = NameIndex()
    for value, name in enumerate(["user.<what>.done", "user.order.done", "user.*.*", "x.y.z"]):
        index.add(name, value)
    assert index.find("user.order.done") == [(1, {}), (0, {"what": "order"}), (2, {})]
    assert index.find("x.y.z") == [(3, {})]
    assert index.find("x.y.y") == []
    index.remove("user.*.*")
    index.remove("user.order.done")
    assert index.find("user.order.done") == [(0, {"what": "order"})]
    assert index.values == {"user.<what>.done": 0, "x.y.z": 3}
    with pytest.raises(ValueError, match="three parts"):
        index.add("x", 4)
    assert "x" not in index.values


def test_and_the_other_way_round() -> None:
    index = NameIndex({"user.<what>.done": 0, "user.order.done": 1, "x.y.z": 2})
    assert index.heard_by("user.order.done") == [(1, {})]
    assert index.heard_by("user.order.begun") == []
    assert index.heard_by("user.<what>.*") == [(1, {"what": "order"})]
    assert index.heard_by("*.*.*") == [(1, {}), (2, {})]
