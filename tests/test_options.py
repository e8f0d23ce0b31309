"""What an option takes, and the ways to set it.  The table here is the smallest that has every kind."""

from __future__ import annotations

import copy
import math
import pickle
from pathlib import Path
from typing import Any, Literal

import pytest

from trioframe.errors import ConfigError
from trioframe.options import (
    DURATION,
    FLAG,
    HEADER,
    MODE,
    PATH,
    TEXT,
    WAIT,
    Kind,
    Option,
    OptionTable,
    limit,
    one_of,
    whole,
)

Colour = Literal["red", "green"]


class Garden(OptionTable):
    """A table to test with."""

    REST = Option(DURATION, 5.0, "s", "A pause.")
    WATERING = Option(WAIT, 60, "s", "Never no time at all.")
    TREES = Option(whole(1, 9), 3, "trees", "There is no room for more.")
    BUSHES = Option(whole(0).or_none(), None, "bushes", "Nobody has counted.")
    VISITORS = Option(limit(1), math.inf, "people", "Everybody is welcome.")
    OPEN = Option(FLAG, True, "", "A gate.")
    NAME = Option(TEXT, "Eden", "", "For the sign.")
    MAP = Option(PATH.or_none(), None, "", "Where the paths are.")
    LABEL = Option(HEADER, "X-Garden", "", "For the post.")
    GATE: Option[Colour] = Option(one_of(Colour), "red", "", "Its paint.")
    KEY = Option(TEXT.or_none(), None, "", "For the gate.", secret=True)


# (kind, value, the same in its normal form)
TAKEN: list[tuple[Kind[Any], object, object]] = [
    (DURATION, 0, 0.0),
    (DURATION, 1.5, 1.5),
    (DURATION, math.inf, math.inf),
    (WAIT, 3, 3.0),
    (whole(1, 9), 1, 1),
    (whole(1, 9), 9, 9),
    (whole(1).or_none(), None, None),
    (whole(1).or_none(), 10**9, 10**9),
    (limit(1), 5, 5),
    (limit(1), math.inf, math.inf),
    (FLAG, True, True),
    (TEXT, "x", "x"),
    (PATH, Path("a/b"), "a/b"),
    (PATH, "a/b", "a/b"),
    (HEADER, "X-Real-IP", "X-Real-IP"),
    (MODE, 0o660, 0o660),
    (one_of(Colour), "green", "green"),
]
REFUSED: list[tuple[Kind[Any], object]] = [
    (DURATION, -1),
    (DURATION, math.nan),
    (DURATION, "5"),
    (DURATION, None),
    (DURATION, True),
    (DURATION, 10**400),
    (WAIT, 0),
    (WAIT, -math.inf),
    (whole(1, 9), 0),
    (whole(1, 9), 10),
    (whole(1, 9), 2.0),
    (whole(1, 9), True),
    (whole(1), math.inf),
    (whole(1), None),
    (limit(1), 0),
    (limit(1), -math.inf),
    (limit(1), 1.5),
    (FLAG, 1),
    (FLAG, "yes"),
    (TEXT, ""),
    (TEXT, b"x"),
    (PATH, ""),
    (PATH, 3),
    (HEADER, "X Real"),
    (MODE, 0o1000),
    (MODE, -1),
    (HEADER, "X-Real\n"),
    (HEADER, "é"),
    (HEADER, ""),
    (one_of(Colour), "blue"),
    (one_of(Colour), ["red"]),
]
# (kind, text of an environment variable, what it stands for)
READ: list[tuple[Kind[Any], str, object]] = [
    (DURATION, "0.5", 0.5),
    (DURATION, "inf", math.inf),
    (WAIT, "3", 3.0),
    (whole(1), "12", 12),
    (whole(1).or_none(), "", None),
    (limit(1), "7", 7),
    (limit(1), "inf", math.inf),
    (FLAG, "Yes", True),
    (FLAG, "1", True),
    (FLAG, "off", False),
    (FLAG, "FALSE", False),
    (TEXT, "x", "x"),
    (TEXT.or_none(), "", None),
    (one_of(Colour), "red", "red"),
]
UNREADABLE: list[tuple[Kind[Any], str]] = [
    (DURATION, "soon"),
    (DURATION, ""),
    (DURATION, "nan"),
    (whole(1), "1.5"),
    (whole(1), "9" * 5000),
    (limit(1), "unlimited"),
    (limit(1), "-inf"),
    (FLAG, "maybe"),
    (FLAG, ""),
    (TEXT, ""),
    (one_of(Colour), "RED"),
]


@pytest.mark.parametrize(("kind", "value", "normal"), TAKEN)
def test_a_value_of_its_kind_is_taken_in_normal_form(kind: Kind[Any], value: object, normal: object) -> None:
    taken = kind.check(value)
    assert (taken, type(taken)) == (normal, type(normal))


@pytest.mark.parametrize(("kind", "value"), REFUSED)
def test_any_other_value_is_refused(kind: Kind[Any], value: object) -> None:
    with pytest.raises((ValueError, OverflowError)):
        kind.check(value)


@pytest.mark.parametrize(("kind", "text", "value"), READ)
def test_text_is_read_by_kind(kind: Kind[Any], text: str, value: object) -> None:
    assert kind.check(kind.parse(text)) == value


@pytest.mark.parametrize(("kind", "text"), UNREADABLE)
def test_other_text_is_refused(kind: Kind[Any], text: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        kind.check(kind.parse(text))


def test_the_table_lists_itself() -> None:
    assert list(Garden.options())[:3] == ["REST", "WATERING", "TREES"]
    row = Garden.options()["TREES"]
    assert (row.name, row.default, row.unit, row.reason) == ("TREES", 3, "trees", "There is no room for more.")
    assert row.kind.allowed == "a whole number, 1 to 9"
    assert row is Garden.TREES


def test_a_default_must_be_of_its_kind() -> None:
    with pytest.raises((ValueError, OverflowError)):
        Option(whole(1), 0, "", "")


def test_options_are_attributes_with_defaults() -> None:
    garden = Garden()
    assert (garden.WATERING, garden.BUSHES, garden.GATE) == (60.0, None, "red")
    assert isinstance(garden.WATERING, float)


def test_setting_by_keyword_mapping_and_attribute() -> None:
    garden = Garden(TREES=4)
    assert garden.TREES == 4
    garden.TREES = 5
    assert garden.TREES == 5
    garden.update({"TREES": 6, "OPEN": False})
    assert (garden.TREES, garden.OPEN) == (6, False)
    assert Garden.from_mapping({"TREES": 7}).TREES == 7
    assert Garden().TREES == 3, "one configuration is not another"


def test_a_wrong_value_names_key_value_and_what_is_allowed() -> None:
    with pytest.raises(ConfigError) as caught:
        Garden(TREES=12)
    assert str(caught.value) == "TREES cannot be 12; allowed is a whole number, 1 to 9"
    garden = Garden()
    with pytest.raises(ConfigError, match=r"^GATE cannot be 'blue'; allowed is one of red, green$"):
        garden.GATE = "blue"  # type: ignore[assignment]
    with pytest.raises(ConfigError, match=r"^REST cannot be 1000\d*\.\.\.\d*; allowed is"):
        garden.REST = 10**400


def test_an_unknown_name_is_an_error_with_a_hint() -> None:
    with pytest.raises(ConfigError, match=r"^TREE is no option; did you mean TREES\?$"):
        Garden(TREE=4)
    with pytest.raises(ConfigError, match=r"^trees is no option; did you mean TREES\?$"):
        Garden.from_mapping({"trees": 4})
    with pytest.raises(ConfigError, match=r"^ZEBRAS is no option$"):
        Garden().ZEBRAS = 4  # type: ignore[attr-defined]


def test_all_that_is_wrong_is_said_at_once_and_nothing_is_set() -> None:
    garden = Garden()
    with pytest.raises(ConfigError) as caught:
        garden.update({"OPEN": False, "TREES": 0, "NAME": "", "ZEBRAS": 1})
    assert [line.split()[0] for line in str(caught.value).splitlines()] == ["TREES", "NAME", "ZEBRAS"]
    assert garden.OPEN is True


def test_a_secret_is_never_shown() -> None:
    garden = Garden(KEY="sesame", TREES=4)
    assert repr(garden) == "Garden(TREES=4, KEY=(hidden))"
    with pytest.raises(ConfigError) as caught:
        Garden(KEY=b"sesame")
    assert str(caught.value) == "KEY cannot be (hidden); allowed is text that is not empty, or None"


def test_a_frozen_table_takes_nothing() -> None:
    garden = Garden()
    garden.freeze()
    with pytest.raises(ConfigError, match="frozen"):
        garden.TREES = 4
    with pytest.raises(ConfigError, match="frozen"):
        garden.load_environment(environ={})
    assert garden.TREES == 3


def test_a_subclass_adds_rows() -> None:
    class Park(Garden):
        BENCHES = Option(whole(0), 2, "benches", "To sit on.")
        TREES = Option(whole(0), 100, "trees", "There is room.")

    assert Park(BENCHES=1).BENCHES == 1
    assert Park().TREES == 100
    assert list(Park.options()) == [*Garden.options(), "BENCHES"]
    assert "BENCHES" not in Garden.options()


def test_a_table_can_be_copied_and_pickled() -> None:
    garden = Garden(TREES=4)
    twin = copy.copy(garden)
    twin.TREES = 5
    assert (garden.TREES, pickle.loads(pickle.dumps(garden)).TREES) == (4, 4)


def test_toml(tmp_path: Path) -> None:
    file = tmp_path / "garden.toml"
    file.write_text('TREES = 4\nVISITORS = inf\nNAME = "Jardin é"\n', encoding="utf-8")
    garden = Garden()
    garden.load_file(file)
    assert repr(garden) == "Garden(TREES=4, VISITORS=inf, NAME='Jardin é')"


def test_python(tmp_path: Path) -> None:
    file = tmp_path / "garden.py"
    file.write_text("import math\nrows = 2\n_COLUMNS = 2\nTREES = rows * _COLUMNS\nVISITORS = math.inf\n")
    garden = Garden()
    garden.load_file(str(file))
    assert repr(garden) == "Garden(TREES=4, VISITORS=inf)"


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("garden.toml", "TREES = 0", r"garden\.toml: TREES cannot be 0; allowed"),
        ("garden.toml", "trees = 1", r"garden\.toml: trees is no option; did you mean TREES\?"),
        ("garden.toml", "TREES = ", r"garden\.toml cannot be loaded: TOMLDecodeError: Invalid value"),
        ("garden.toml", None, r"garden\.toml cannot be loaded: FileNotFoundError"),
        ("garden.py", "TREE = 4", r"garden\.py: TREE is no option"),
        ("garden.py", "TREES = 1 / 0", r"garden\.py cannot be loaded: ZeroDivisionError"),
        ("garden.py", "TREES =", r"garden\.py cannot be loaded: SyntaxError"),
        ("garden.json", "{}", r"garden\.json: the name of a configuration file ends in \.toml or \.py"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, name: str, text: str | None, complaint: str) -> None:
    file = tmp_path / name
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        Garden().load_file(file)


def test_the_environment() -> None:
    garden = Garden(BUSHES=3)
    garden.load_environment(
        "GARDEN_",
        {
            "GARDEN_TREES": "4",
            "GARDEN_OPEN": "no",
            "GARDEN_BUSHES": "",
            "GARDEN_": "nobody's",
            "GARDEN_gnomes": "nobody's",
            "TREES": "nobody's",
            "PATH": "/bin",
        },
    )
    assert (garden.TREES, garden.OPEN, garden.BUSHES) == (4, False, None)


def test_the_environment_is_the_process_s_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIOFRAME_TREES", "4")
    garden = Garden()
    assert garden.TREES == 3, "nothing is read unasked"
    garden.load_environment()
    assert garden.TREES == 4


def test_a_wrong_environment_is_told_by_the_whole_name() -> None:
    with pytest.raises(ConfigError) as caught:
        Garden().load_environment("GARDEN_", {"GARDEN_TREES": "many", "GARDEN_TREE": "4"})
    assert str(caught.value).splitlines() == [
        "environment: GARDEN_TREES cannot be 'many'; allowed is a whole number, 1 to 9",
        "environment: GARDEN_TREE is no option; did you mean TREES?",
    ]


def test_the_environment_needs_a_prefix() -> None:
    with pytest.raises(ConfigError, match="prefix"):
        Garden().load_environment("", {})
