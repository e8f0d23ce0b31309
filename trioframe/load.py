"""Finds the app that a command line names.

A *target* is a place and, after a colon, a name in it::

    package.module:app      the app `app` of a module that can be imported
    package.module:make     a function without parameters that makes the app
    package.module          the app `app`
    path/to/file.py:app     a file, imported by its name and from its folder (that of its package, if it is in one)

Rules of this file:

* Whose fault it is decides what is shown.  A target that names nothing, or something else, is a `TargetError`: one
  sentence.  What the user's own code raises is a `UserCodeError`: its cause is the user's exception, and the traceback
  of that begins in the user's code, not in ours.
* A wrong configuration is understood without a traceback: `ConfigError` goes through as it is.

It must not know what is done with the app.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, TypeVar

from .app.app import App
from .errors import ConfigError, TrioframeError

__all__ = ["TargetError", "UserCodeError", "load_app"]

T = TypeVar("T")

DEFAULT_NAME = "app"


class TargetError(TrioframeError):
    """A target does not name an app."""


class UserCodeError(TrioframeError):
    """The user's code raised, while it was imported or made the app; `__cause__` is what it raised."""


def load_app(target: str, *, factory: bool = False) -> App:
    """The app that `target` names; its module is imported.

    Modules are found from the working directory too, as with ``python -m``.

    Parameters:
      factory: insist on a function that makes the app.

    Raises:
      TargetError: there is no such module, name or app.
      UserCodeError: the user's code raised.
      ConfigError: the user's code configures an app with a wrong value.
    """
    place, name = _split(target)
    module = _import_file(Path(place)) if _is_path(place) else _import_module(place, os.getcwd())
    found = _look_up(module, name or DEFAULT_NAME)
    if isinstance(found, App):
        if factory:
            raise TargetError(f"{target!r} is an app, not a function that makes one: leave out --factory")
        return found
    return _make(found, target)


def _split(target: str) -> tuple[str, str]:
    place, colon, name = target.rpartition(":")
    # The colon of a Windows drive is followed by a path, not by a name.
    if not colon or _is_path(name):
        return target, ""
    return place, name


def _is_path(place: str) -> bool:
    return place.endswith(".py") or "/" in place or os.sep in place


# ---------------------------------------------------------------- modules


def _import_file(path: Path) -> ModuleType:
    if path.suffix != ".py" or not path.is_file():
        raise TargetError(f"there is no Python file {str(path)!r}")
    path = path.resolve()
    folder, names = path.parent, [] if path.stem == "__init__" else [path.stem]
    while (folder / "__init__.py").is_file():
        folder, names = folder.parent, [folder.name, *names]
    name = ".".join(names)
    module = _import_module(name, str(folder))
    if Path(module.__file__ or "").resolve() != path:
        raise TargetError(
            f"{str(path)!r} cannot be imported: {name!r} is {module!r} already, so give the file another name"
        )
    return module


def _import_module(name: str, folder: str) -> ModuleType:
    if not all(name.split(".")):
        raise TargetError(f"{name!r} is not the name of a module")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return _call_user_code(f"{name!r} failed while it was imported", importlib.import_module, name)
    except UserCodeError as exc:
        missing = exc.__cause__
        if isinstance(missing, ModuleNotFoundError) and missing.__traceback__ is None:
            raise TargetError(f"there is no module {missing.name!r}, here in {folder!r} or anywhere else") from None
        raise


# ---------------------------------------------------------------- names


def _look_up(module: ModuleType, name: str) -> object:
    try:
        return functools.reduce(getattr, name.split("."), module)
    except AttributeError:
        apps = [name for name, value in vars(module).items() if isinstance(value, App)]
        hint = f"; it has the app {', '.join(map(repr, apps))}" if apps else ""
        raise TargetError(f"module {module.__name__!r} has no {name!r}{hint}") from None


def _make(factory: Any, target: str) -> App:
    what = f"{target!r} is {_describe(factory)}"
    if not callable(factory):
        raise TargetError(f"{what}, neither an App nor a function that makes one")
    if inspect.iscoroutinefunction(factory):
        raise TargetError(f"{what}, which is async: an app is made before anything async runs")
    _check_no_parameters(factory, what)
    made = _call_user_code(f"{target!r} failed while it made the app", factory)
    if not isinstance(made, App):
        raise TargetError(f"{what}, which made {_describe(made)} instead of an App")
    return made


def _check_no_parameters(factory: Callable[..., object], what: str) -> None:
    try:
        signature = inspect.signature(factory)
    except ValueError:  # some builtins have none; calling them will tell
        return
    try:
        signature.bind()
    except TypeError as exc:
        raise TargetError(f"{what}, which cannot be called without arguments: {exc}") from None


def _describe(value: object) -> str:
    if inspect.isroutine(value) or inspect.isclass(value):
        return f"the {'class' if inspect.isclass(value) else 'function'} {value.__qualname__!r}"
    return f"of type {type(value).__name__}"


# ---------------------------------------------------------------- the user's code


def _call_user_code(failed: str, function: Callable[..., T], *args: object) -> T:
    try:
        return function(*args)
    except ConfigError:
        raise
    except Exception as exc:
        exc.__traceback__ = _from_user_code(exc.__traceback__)
        raise UserCodeError(failed) from exc


def _from_user_code(traceback: TracebackType | None) -> TracebackType | None:
    """The part of `traceback` that begins in the user's code."""
    while traceback is not None and _is_ours(traceback.tb_frame.f_code.co_filename):
        traceback = traceback.tb_next
    return traceback


def _is_ours(filename: str) -> bool:
    return filename in (__file__, importlib.__file__) or filename.startswith("<frozen importlib")
