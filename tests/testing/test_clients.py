"""The test client, as it is opened: from `trioframe.testing` and from the app itself."""

from __future__ import annotations

import sys

import httpx2
import pytest

from trioframe import App, CompileError, text
from trioframe.testing import client


@pytest.fixture
def app() -> App:
    app = App("clients", env_prefix=None)

    @app.get("/")
    async def index(request):
        return text("hello")

    return app


async def test_a_client_of_an_app(app):
    async with client(app) as http:
        assert isinstance(http, httpx2.AsyncClient)
        response = await http.get("/")
        assert (response.status_code, response.text) == (200, "hello")
        assert str(response.url) == "http://testserver/"


async def test_an_app_has_a_client_too(app):
    async with app.test_client(base_url="http://elsewhere:81", headers={"X-Test": "1"}) as http:
        response = await http.get("/")
        assert response.request.headers["host"] == "elsewhere:81"
        assert response.request.headers["x-test"] == "1"


@pytest.fixture
async def http(app):
    async with client(app) as http:
        yield http


async def test_a_client_can_be_a_fixture(http):
    assert (await http.get("/")).text == "hello"


async def test_one_that_was_left_can_be_entered_again(app):
    context = client(app)
    for _ in range(2):
        async with context as http:
            assert (await http.get("/")).text == "hello"


async def test_only_trio_keeps_the_time(app):
    async with client(app) as http:
        assert http.timeout == httpx2.Timeout(None)
    async with client(app, timeout=3) as http:
        assert http.timeout == httpx2.Timeout(3)


def test_mistakes_of_the_app_are_raised_at_once():
    app = App("broken", env_prefix=None)
    app.add_route(lambda: None, "/")
    with pytest.raises(CompileError):
        client(app)


@pytest.mark.parametrize("missing", ["httpx2", "httpcore2"])
def test_without_httpx2_it_says_what_to_install(app, monkeypatch, missing):
    monkeypatch.delitem(sys.modules, "trioframe.testing.http_client", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"pip install 'trioframe\[testing\]'"):
        client(app)


async def test_without_trio_websocket_too(app, monkeypatch):
    monkeypatch.delitem(sys.modules, "trioframe.testing.websocket_client", raising=False)
    monkeypatch.setitem(sys.modules, "trio_websocket", None)
    async with client(app) as http:
        assert (await http.get("/")).text == "hello"
        with pytest.raises(ImportError, match=r"pip install 'trioframe\[testing\]'"):
            http.websocket("/")
    with pytest.raises(ImportError, match="trio-websocket"):
        async with client(app).websocket("/"):
            pass


async def test_what_the_websocket_client_cannot_import_is_another_matter(app, monkeypatch):
    monkeypatch.delitem(sys.modules, "trioframe.testing.websocket_client", raising=False)
    monkeypatch.setitem(sys.modules, "trioframe.server.linger", None)
    with pytest.raises(ModuleNotFoundError, match=r"trioframe\.server\.linger"):
        async with client(app).websocket("/"):
            pass


def test_what_else_cannot_be_imported_is_another_matter(app, monkeypatch):
    monkeypatch.delitem(sys.modules, "trioframe.testing.http_client", raising=False)
    monkeypatch.setitem(sys.modules, "trioframe.testing.network", None)
    with pytest.raises(ModuleNotFoundError, match=r"trioframe\.testing\.network"):
        client(app)
