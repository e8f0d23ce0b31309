"""Finding the app that a command line names, and saying whose fault it is if there is none."""

from __future__ import annotations

import sys
import traceback

import pytest
from project import Project, project

from trioframe.errors import ConfigError
from trioframe.load import TargetError, UserCodeError, load_app

__all__ = ["project"]

APPS = """
    from trioframe.app.app import App

    app = App("main")
    other = App("other")

    class Holder:
        app = App("held")

    def make():
        return App("made")

    def make_on(port=8000):
        return App(f"made on {port}")

    def make_for(name):
        return App(name)

    async def make_async():
        return App("made async")

    def make_nothing():
        return None

    version = "1.0"
"""


@pytest.fixture
def apps(project: Project) -> None:
    project.write("main.py", APPS)


# --- what a target may be ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("main:app", "main"),
        ("main:other", "other"),
        ("main", "main"),
        ("main:Holder.app", "held"),
        ("main:make", "made"),
        ("main:make_on", "made on 8000"),
        ("main.py", "main"),
        ("main.py:other", "other"),
        ("./main.py:make", "made"),
    ],
)
def test_targets(apps, target, name):
    assert load_app(target).name == name


def test_an_absolute_path(apps, project):
    assert load_app(f"{project.path / 'main.py'}:other").name == "other"


def test_a_module_in_a_package(project):
    project.write("shop/__init__.py")
    project.write("shop/web.py", "from . import parts\napp = parts.app")
    project.write("shop/parts.py", APPS)
    assert load_app("shop.web").name == "main"


def test_a_package(project):
    project.write("shop/__init__.py", APPS)
    assert load_app("shop:other").name == "other"


@pytest.mark.parametrize("target", ["src/shop/web.py", "src/shop/__init__.py"])
def test_a_file_in_a_package_is_imported_as_part_of_it(project, target):
    project.write("src/shop/__init__.py", "from .parts import app")
    project.write("src/shop/web.py", "from .parts import app")
    project.write("src/shop/parts.py", APPS)
    assert load_app(target).name == "main"
    assert "shop.parts" in sys.modules


def test_a_file_finds_its_neighbours_not_those_of_the_working_directory(project):
    project.write("neighbour.py", "raise RuntimeError")
    project.write("there/neighbour.py", APPS)
    project.write("there/web.py", "from neighbour import app")
    assert load_app("there/web.py").name == "main"


def test_the_working_directory_is_searched_first_and_named_once(apps, project):
    load_app("main")
    load_app("main")
    assert sys.path[0] == str(project.path)
    assert sys.path.count(str(project.path)) == 1


def test_insisting_on_a_factory(apps):
    assert load_app("main:make", factory=True).name == "made"


# --- wrong targets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("nothing", "there is no module 'nothing'"),
        ("nothing.at.all:app", "there is no module 'nothing'"),
        ("main.inner:app", "there is no module 'main.inner'"),
        ("", "'' is not the name of a module"),
        (":app", "'' is not the name of a module"),
        (".main:app", "'.main' is not the name of a module"),
        ("missing.py:app", "there is no Python file 'missing.py'"),
        ("there/", "there is no Python file 'there'"),
        ("there/page.html", "there is no Python file 'there/page.html'"),
        ("C:/apps/main.py", "there is no Python file 'C:/apps/main.py'"),
        ("main:missing", "module 'main' has no 'missing'; it has the app 'app', 'other'"),
        ("main:Holder.missing", "module 'main' has no 'Holder.missing'"),
        ("empty", "module 'empty' has no 'app'$"),
        ("main:version", "'main:version' is of type str, neither an App nor a function that makes one"),
        ("main:make_for", r"is the function 'make_for', which cannot be called without arguments: missing a"),
        ("main:make_async", "is the function 'make_async', which is async"),
        ("main:make_nothing", "is the function 'make_nothing', which made of type NoneType instead of an App"),
        ("main:Holder", "is the class 'Holder', which made of type Holder instead of an App"),
        ("builtins:dict", "is the class 'dict', which made of type dict instead of an App"),
    ],
)
def test_what_is_no_target(apps, project, target, why):
    project.write("there/page.html")
    project.write("empty.py")
    with pytest.raises(TargetError, match=why):
        load_app(target)


def test_an_app_is_no_factory(apps):
    with pytest.raises(TargetError, match="is an app, not a function that makes one: leave out --factory"):
        load_app("main:app", factory=True)


def test_a_file_whose_name_is_taken(project):
    project.write("json.py", APPS)
    with pytest.raises(TargetError, match=r"cannot be imported: 'json' is <module 'json'.*give the file another name"):
        load_app("json.py")


# --- the user's own mistakes ------------------------------------------------------------------------------------------


def shown(error: UserCodeError) -> str:
    assert error.__cause__ is not None
    return "".join(traceback.format_exception(error.__cause__))


def test_an_exception_while_importing_begins_in_the_user_s_code(project):
    path = project.write("main.py", "def fail():\n    return 1 / 0\n\nfail()")
    with pytest.raises(UserCodeError, match="'main' failed while it was imported") as caught:
        load_app("main:app")
    assert [line for line in shown(caught.value).splitlines() if "^" not in line] == [
        "Traceback (most recent call last):",
        f'  File "{path}", line 4, in <module>',
        "    fail()",
        f'  File "{path}", line 2, in fail',
        "    return 1 / 0",
        "ZeroDivisionError: division by zero",
    ]


@pytest.mark.parametrize("missing", ["nothing", "main.inner", "main"])
def test_a_module_that_the_user_s_code_does_not_find_is_not_the_target_s_fault(project, missing):
    project.write("main.py", f"raise ModuleNotFoundError('No module named {missing}', name={missing!r})")
    with pytest.raises(UserCodeError) as caught:
        load_app("main:app")
    assert shown(caught.value).startswith("Traceback")
    assert f"No module named {missing}" in shown(caught.value)


def test_a_file_that_is_not_python(project):
    path = project.write("main.py", "app = = 1")
    with pytest.raises(UserCodeError) as caught:
        load_app("main:app")
    assert shown(caught.value).splitlines()[0] == f'  File "{path}", line 1'
    assert "SyntaxError" in shown(caught.value)


def test_a_factory_that_fails(project):
    path = project.write("main.py", "def make():\n    raise TypeError('no database')")
    with pytest.raises(UserCodeError, match="'main:make' failed while it made the app") as caught:
        load_app("main:make")
    assert shown(caught.value).splitlines()[1] == f'  File "{path}", line 2, in make'


def test_a_wrong_configuration_is_understood_without_a_traceback(project):
    project.write("main.py", "from trioframe.app.app import App\napp = App('main', {'PORT': 'http'})")
    with pytest.raises(ConfigError, match="PORT cannot be 'http'"):
        load_app("main:app")


def test_leaving_is_leaving(project):
    project.write("main.py", "raise SystemExit(3)")
    with pytest.raises(SystemExit):
        load_app("main:app")
