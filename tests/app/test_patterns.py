"""Which text each type of parameter takes, what it becomes, and how it is written back."""

from __future__ import annotations

import datetime
import itertools
import math
import string
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trioframe.app.patterns import MISMATCH, ORDER, Pattern, Patterns
from trioframe.errors import Mistake

HEX = "c0ffee00-1234-5678-9abc-DEF012345678"

TAKEN: list[tuple[str, str, object]] = [
    ("str", "x", "x"),
    ("str", "a/b c\n", "a/b c\n"),
    ("strorempty", "", ""),
    ("strorempty", "x", "x"),
    ("int", "0", 0),
    ("int", "-12", -12),
    ("int", "007", 7),
    ("int", "9" * 4300, int("9" * 4300)),
    ("float", "1.5", 1.5),
    ("float", "-2", -2.0),
    ("float", "3.", 3.0),
    ("float", ".5", 0.5),
    ("alpha", "aZ", "aZ"),
    ("slug", "a", "a"),
    ("slug", "a-1-b", "a-1-b"),
    ("path", "x", "x"),
    ("path", "a//b/../c/", "a//b/../c/"),
    ("path", "/evil.example/x", "/evil.example/x"),  # of //evil.example/x, which is a path and no host (RFC 9112 3.2.1)
    ("ymd", "2024-02-29", datetime.date(2024, 2, 29)),
    ("uuid", HEX, UUID(HEX)),
]
REFUSED: list[tuple[str, str]] = [
    ("str", ""),
    ("int", ""),
    ("int", "+1"),
    ("int", "1_000"),
    ("int", " 1"),
    ("int", "1\n"),
    ("int", "\N{ARABIC-INDIC DIGIT ONE}"),
    ("int", "1.0"),
    ("int", "9" * 4301),
    ("float", "."),
    ("float", "1e3"),
    ("float", "inf"),
    ("float", "nan"),
    ("float", "9" * 400),
    ("alpha", "é"),
    ("alpha", "a1"),
    ("slug", "a--b"),
    ("slug", "-a"),
    ("slug", "A"),
    ("path", ""),
    ("ymd", "2023-02-29"),
    ("ymd", "20240229"),
    ("ymd", "0000-01-01"),
    ("uuid", HEX.replace("-", "")),
    ("uuid", HEX[:-1]),
]


@pytest.mark.parametrize(("label", "text", "value"), TAKEN)
def test_text_that_fits_becomes_a_value(label: str, text: str, value: object) -> None:
    parsed = Patterns().typed(label).parse(text)
    assert (parsed, type(parsed)) == (value, type(value))


@pytest.mark.parametrize(("label", "text"), REFUSED)
def test_other_text_is_no_match(label: str, text: str) -> None:
    assert Patterns().typed(label).parse(text) is MISMATCH


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": st.text(min_size=1),
    "strorempty": st.text(),
    "int": st.integers(),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "alpha": st.text(string.ascii_letters, min_size=1),
    "slug": st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True),
    "path": st.text(min_size=1).filter(lambda text: text[0] != "/"),
    "ymd": st.dates(),
    "uuid": st.uuids(),
}


@settings(max_examples=30)
@given(st.data())
@pytest.mark.parametrize("label", VALUES)
def test_a_value_is_written_so_that_it_is_read_back(label: str, data: st.DataObject) -> None:
    value = data.draw(VALUES[label])
    pattern = Patterns().typed(label)
    assert pattern.parse(pattern.build(value)) == value


@pytest.mark.parametrize(
    ("label", "value"),
    [("int", "one"), ("int", True), ("float", math.inf), ("float", math.nan), ("str", ""), ("ymd", "2023-02-29")],
)
def test_a_value_that_would_not_be_read_back_is_not_written(label: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"is not of type {label}"):
        Patterns().typed(label).build(value)


def test_text_of_the_right_form_can_stand_for_the_value() -> None:
    patterns = Patterns()
    assert patterns.typed("float").build("1.50") == "1.50"
    assert patterns.typed("ymd").build("2024-02-29") == "2024-02-29"


def test_the_order_is_from_the_specific_to_the_general() -> None:
    patterns = Patterns()
    patterns.register("even", int, "[0-9]*[02468]")
    patterns.register("odd", int, "[0-9]*[13579]")
    in_order = [
        patterns.typed("even"),
        patterns.typed("odd"),
        *(patterns.file("str", ()) if label == "ext" else patterns.typed(label) for label in ORDER),
        patterns.regex("[a-z]", "x"),
        patterns.typed("path"),
    ]
    assert all(better.order < worse.order for better, worse in itertools.pairwise(in_order))


# --- file names -------------------------------------------------------------------------------------------------------

JPG = ("jpg",)
ARCHIVE = ("gz", "tar.gz")


@pytest.mark.parametrize(
    ("stem", "extensions", "text", "value"),
    [
        ("str", (), "page.txt", ("page", "txt")),
        ("str", (), "a.tar.gz", ("a.tar", "gz")),
        ("str", JPG, "cat.jpg", ("cat", "jpg")),
        ("str", ARCHIVE, "a.tar.gz", ("a", "tar.gz")),
        ("str", ARCHIVE, "a.b.gz", ("a.b", "gz")),
        ("int", (), "12.txt", (12, "txt")),
        ("float", ("tar.gz",), "3.14.tar.gz", (3.14, "tar.gz")),
    ],
)
def test_a_file_name_is_a_stem_and_an_extension(
    stem: str, extensions: tuple[str, ...], text: str, value: object
) -> None:
    pattern = Patterns().file(stem, extensions)
    assert pattern.parse(text) == value
    assert pattern.build(value) == text


@pytest.mark.parametrize(
    ("stem", "extensions", "text"),
    [
        ("str", (), "page"),
        ("str", (), ".bashrc"),
        ("str", (), "page."),
        ("str", (), "page.t-t"),
        ("str", JPG, "cat.png"),
        ("str", JPG, "cat.JPG"),
        ("str", JPG, "catxjpg"),
        ("str", JPG, ".jpg"),
        ("int", JPG, "cat.jpg"),
    ],
)
def test_other_file_names_do_not_match(stem: str, extensions: tuple[str, ...], text: str) -> None:
    assert Patterns().file(stem, extensions).parse(text) is MISMATCH


def test_of_file_names_the_more_specific_come_first() -> None:
    patterns = Patterns()
    in_order = [
        patterns.file("int", JPG),
        patterns.file("int", ()),
        patterns.file("str", JPG),
        patterns.file("str", ()),
    ]
    assert all(better.order < worse.order for better, worse in itertools.pairwise(in_order))


@pytest.mark.parametrize("value", [("cat", "png"), ("", "jpg")])
def test_a_file_name_that_would_not_match_is_not_written(value: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="is not of type"):
        Patterns().file("str", JPG).build(value)


@pytest.mark.parametrize("stem", ["path", "ext"])
def test_a_stem_is_one_segment(stem: str) -> None:
    with pytest.raises(Mistake, match=f"cannot be of type '{stem}'"):
        Patterns().file(stem, ())


# --- regular expressions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("regex", ["[a-z]{3}", "([a-z]{3})", "^[a-z]{3}$", "(?P<x>[a-z]{3})", "[a-z]{2}|[a-z]{3}"])
def test_a_regular_expression_takes_the_whole_segment(regex: str) -> None:
    pattern = Patterns().regex(regex, "x")
    assert pattern.parse("abc") == "abc"
    assert pattern.parse("abcd") is MISMATCH
    assert pattern.build("abc") == "abc"


def test_a_group_called_like_the_parameter_is_its_value() -> None:
    assert Patterns().regex(r"v(?P<x>[0-9]+)", "x").parse("v12") == "12"


@pytest.mark.parametrize(
    ("regex", "complaint"),
    [
        ("(", r"'\(' is no regular expression: missing \)"),
        ("x{99999999999999999999}", "is no regular expression"),
        ("(?P<y>a)", "the group 'y' in .* must be called 'x'"),
    ],
)
def test_a_wrong_regular_expression_is_a_mistake(regex: str, complaint: str) -> None:
    with pytest.raises(Mistake, match=complaint):
        Patterns().regex(regex, "x")


# --- the application's own --------------------------------------------------------------------------------------------


def roman(text: str) -> int:
    if text == "IIII":
        raise ValueError("IV")
    return {"I": 1, "IV": 4}[text]


def test_a_registered_type() -> None:
    patterns = Patterns()
    patterns.register("roman", roman, "[IV]+")
    pattern: Pattern = patterns.typed("roman")
    assert pattern.parse("IV") == 4
    assert pattern.parse("x") is MISMATCH
    assert pattern.parse("IIII") is MISMATCH, "a cast refuses with ValueError"
    with pytest.raises(KeyError):
        pattern.parse("V")  # anything else is a bug, and is seen
    with pytest.raises(Mistake):
        Patterns().typed("roman")  # the types of one application are not another's


@pytest.mark.parametrize(
    ("label", "regex", "complaint"),
    [
        ("int", "x", "there is a parameter type 'int' already"),
        ("ext", "x", "there is a parameter type 'ext' already"),
        ("a-b", "x", "a parameter type cannot be called 'a-b'"),
        ("", "x", "a parameter type cannot be called ''"),
        ("new", "[", r"'\[' is no regular expression"),
    ],
)
def test_a_type_that_cannot_be_registered(label: str, regex: str, complaint: str) -> None:
    with pytest.raises(Mistake, match=complaint):
        Patterns().register(label, str, regex)


def test_a_cast_that_cannot_be_called() -> None:
    cast: Any = None
    with pytest.raises(Mistake, match="the cast of the parameter type 'even' is None, which cannot be called"):
        Patterns().register("even", cast, "x")


def test_an_unknown_type_is_a_mistake_with_a_hint() -> None:
    with pytest.raises(Mistake, match=r"there is no parameter type 'itn'; did you mean int\?"):
        Patterns().typed("itn")
    with pytest.raises(Mistake, match=r"there is no parameter type 'zzz'; a regular expression is written \(zzz\)"):
        Patterns().typed("zzz")
