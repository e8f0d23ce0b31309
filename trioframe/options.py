"""What an option is, and how a table of them becomes a configuration.

A row of the table is an `Option`, a descriptor in the body of a subclass of `OptionTable`: its name, the kind of value
it takes, the default, the unit and the reason.  Validation, reading the environment, the types a type checker sees
(``config.REQUEST_TIMEOUT`` is a float) and the reference documentation (`OptionTable.options`) all come from that row.

Rules of this file:

* A wrong name or value is a `ConfigError` naming the key, the value and what is allowed.  All that is wrong in one
  source is reported together, and then nothing of that source is set.
* Nothing is guessed: text is understood only where there is nothing but text, in the environment.
* `math.inf` ("inf" in text) is the one way to say "no limit"; None (empty in text) means "not set".
* It does not know which options there are.
"""

from __future__ import annotations

import functools
import math
import os
import re
import reprlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, get_args, overload

from .errors import ConfigError

__all__ = [
    "DURATION",
    "FLAG",
    "HEADER",
    "MODE",
    "PATH",
    "SWITCH",
    "TEXT",
    "WAIT",
    "Kind",
    "Option",
    "OptionTable",
    "limit",
    "one_of",
    "whole",
]

T = TypeVar("T")


# Kinds: which values an option takes.  True is an int to Python; it is no number here.


class Kind(Generic[T]):
    """A set of values.

    Parameters:
      allowed: the set in words, for messages and documentation.
      check: the value in its normal form; raises `ValueError` if it is not in the set.
      parse: text from the environment into a value for `check`; raises `ValueError` too.
    """

    __slots__ = ("allowed", "check", "parse")

    def __init__(self, allowed: str, check: Callable[[object], T], parse: Callable[[str], object] = str) -> None:
        self.allowed = allowed
        self.check = check
        self.parse = parse

    def refusal(self, name: str, shown: str) -> str:
        """What is said of an option `name` whose value, as it is shown, is not in the set."""
        return f"{name} cannot be {shown}; allowed is {self.allowed}"

    def or_none(self) -> Kind[T | None]:
        """The same set and None."""
        return Kind(
            f"{self.allowed}, or None",
            lambda value: None if value is None else self.check(value),
            lambda text: self.parse(text) if text else None,
        )


def _seconds(allowed: str, holds: Callable[[float], bool]) -> Kind[float]:
    def check(value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and holds(value):
            return float(value)
        raise ValueError

    return Kind(allowed, check, float)


def whole(low: int, high: float = math.inf) -> Kind[int]:
    """Whole numbers from `low` to `high`."""

    def check(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise ValueError

    return Kind(f"a whole number, {low} {'or more' if high == math.inf else f'to {high}'}", check, int)


def limit(low: int) -> Kind[float]:
    """Whole numbers from `low`, and infinity for no limit."""
    finite = whole(low)

    def check(value: object) -> float:
        if isinstance(value, float):  # 1e6 is whole as well
            return value if value == math.inf else finite.check(int(value) if value.is_integer() else value)
        return finite.check(value)

    return Kind(
        f"{finite.allowed}, or inf",
        check,
        lambda text: math.inf if text == "inf" else int(text),
    )


def one_of(literal: object) -> Kind[Any]:
    """The members of a `typing.Literal`; annotate the option with it, for type checkers."""
    choices = get_args(literal)

    def check(value: object) -> object:
        if value in choices:
            return value
        raise ValueError

    return Kind(f"one of {', '.join(choices)}", check)


def _check_flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError


def _parse_flag(text: str) -> bool:
    if text.lower() in ("true", "yes", "on", "1"):
        return True
    if text.lower() in ("false", "no", "off", "0"):
        return False
    raise ValueError


def _check_text(value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise ValueError


def _check_path(value: object) -> str:
    return _check_text(os.fspath(value) if isinstance(value, os.PathLike) else value)


def _check_header(value: object) -> str:
    # RFC 9110 section 5.6.2: field-name = token
    if re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name := _check_text(value)):
        return name
    raise ValueError


DURATION = _seconds("a number of seconds, 0 or more, or inf", lambda seconds: seconds >= 0)
WAIT = _seconds("a number of seconds above 0, or inf", lambda seconds: seconds > 0)
FLAG = Kind("True or False (in text true, yes, on, 1 or false, no, off, 0)", _check_flag, _parse_flag)
SWITCH = Kind("True or False", _check_flag)  # where it is no option that has a text as well
TEXT = Kind("text that is not empty", _check_text)
PATH = Kind("a path", _check_path)
HEADER = Kind("the name of a header", _check_header)
MODE = Kind(
    "a file mode, 0o000 to 0o777 (in text three octal digits)", whole(0, 0o777).check, lambda text: int(text, 8)
)


# The row and the table.


class Option(Generic[T]):
    """One row: a descriptor that checks what is assigned to it.

    Parameters:
      kind: which values it takes.
      default: the value as long as nothing else is set.
      unit: what a number counts, "" if there is nothing to count.
      reason: what the option is for, and why the default is what it is.
      secret: True keeps the value out of messages and out of `repr(config)`.
    """

    name: str

    def __init__(self, kind: Kind[T], default: T, unit: str, reason: str, *, secret: bool = False) -> None:
        self.kind = kind
        self.default = kind.check(default)
        self.unit = unit
        self.reason = reason
        self.secret = secret

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, config: None, owner: type) -> Self: ...
    @overload
    def __get__(self, config: OptionTable, owner: type) -> T: ...
    def __get__(self, config: OptionTable | None, owner: type) -> Self | T:
        if config is None:
            return self
        value: T = vars(config).get(self.name, self.default)
        return value

    def __set__(self, config: OptionTable, value: T) -> None:
        config.update({self.name: value})

    def accept(self, value: object) -> T:
        """`value` in its normal form; raises `ConfigError`."""
        try:
            return self.kind.check(value)
        except (ValueError, OverflowError):
            raise self._refusal(value) from None

    def read(self, text: str) -> T:
        """The value that `text` from the environment stands for; raises `ConfigError`."""
        try:
            return self.kind.check(self.kind.parse(text))
        except (ValueError, OverflowError):
            raise self._refusal(text) from None

    def show(self, value: object) -> str:
        """`value` as a message may show it."""
        return "(hidden)" if self.secret else reprlib.repr(value)

    def _refusal(self, value: object) -> ConfigError:
        return ConfigError(self.kind.refusal(self.name, self.show(value)))


class OptionTable:
    """A configuration whose options are the `Option`s in the bodies of its class and of its bases.

    Keywords, ``config.NAME = value``, `update`, `load_file` and `load_environment` all check names and values and raise
    `ConfigError`.  The later setting wins.
    """

    _frozen = False

    def __init__(self, **overrides: object) -> None:
        self.update(overrides)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> Self:
        """A configuration with the options of `mapping` set."""
        config = cls()
        config.update(mapping)
        return config

    @classmethod
    @functools.cache
    def options(cls) -> Mapping[str, Option[Any]]:
        """The table: every option by its name, in the order of the source."""
        rows = [row for owner in reversed(cls.__mro__) for row in vars(owner).values() if isinstance(row, Option)]
        return MappingProxyType({row.name: row for row in rows})

    def update(self, mapping: Mapping[str, object]) -> None:
        """Set the options of `mapping`, all or, when a `ConfigError` is raised, none."""
        self._apply("", mapping, Option.accept)

    def load_file(self, path: str | os.PathLike[str]) -> None:
        """Set the options of a TOML file (``.toml``) or of a Python program (``.py``), which is run.

        A TOML file holds options at its top level and nothing else.  In a Python file the upper-case names are options;
        the others, and those with a leading underscore, are its own.  A file that cannot be read, parsed or run is a
        `ConfigError` too.
        """
        path = Path(path)
        load = _LOADERS.get(path.suffix)
        if load is None:
            raise ConfigError(f"{path}: the name of a configuration file ends in {' or '.join(_LOADERS)}")
        try:
            values = load(path)
        except Exception as error:
            raise ConfigError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
        self._apply(f"{path}: ", values, Option.accept)

    def load_environment(self, prefix: str = "TRIOFRAME_", environ: Mapping[str, str] = os.environ) -> None:
        """Set the options found in `environ`, each by `prefix` and its upper-case name.

        Nothing without the prefix is read.  With it, an upper-case name that is no option is an error, as anywhere
        else; a name in lower case is somebody else's.
        """
        if not prefix:
            raise ConfigError("a prefix is needed: without one every variable of the environment would be an option")
        named = ((key.removeprefix(prefix), text) for key, text in environ.items() if key.startswith(prefix))
        texts = {name: text for name, text in named if name.isupper()}
        self._apply(f"environment: {prefix}", texts, Option.read)

    def freeze(self) -> None:
        """From now on every setting raises `ConfigError`."""
        self._frozen = True

    def __repr__(self) -> str:
        changed = (f"{name}={row.show(vars(self)[name])}" for name, row in self.options().items() if name in vars(self))
        return f"{type(self).__name__}({', '.join(changed)})"

    if not TYPE_CHECKING:  # pragma: no branch - a checker that saw this would take any name for an attribute

        def __setattr__(self, name: str, value: object) -> None:
            if not name.startswith("_"):
                self._option(name)
            super().__setattr__(name, value)

    def _option(self, name: str) -> Option[Any]:
        options = self.options()
        if name not in options:
            import difflib  # noqa: PLC0415 - only for those who mistyped

            near = difflib.get_close_matches(name.upper(), options, n=1)
            raise ConfigError(f"{name} is no option" + "".join(f"; did you mean {known}?" for known in near))
        return options[name]

    def _apply(self, source: str, values: Mapping[str, T], take: Callable[[Option[Any], T], object]) -> None:
        if self._frozen:
            raise ConfigError("the configuration is frozen since the application was compiled; set options before that")
        accepted: dict[str, object] = {}
        complaints: list[str] = []
        for name, value in values.items():
            try:
                accepted[name] = take(self._option(name), value)
            except ConfigError as error:
                complaints.append(f"{source}{error}")
        if complaints:
            raise ConfigError("\n".join(complaints))
        vars(self).update(accepted)


def _load_toml(path: Path) -> Mapping[str, object]:
    import tomllib  # noqa: PLC0415 - most programs have no such file, and its expressions take milliseconds to compile

    return tomllib.loads(path.read_text(encoding="utf-8"))


def _load_python(path: Path) -> Mapping[str, object]:
    import runpy  # noqa: PLC0415 - most programs have no such file

    return {name: value for name, value in runpy.run_path(str(path)).items() if name.isupper() and name[0] != "_"}


_LOADERS = {".toml": _load_toml, ".py": _load_python}
