"""Declaring an app: decorators, options, freezing; and the ways to serve it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio
from memory_listener import MemoryListener
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from trioframe import App, CompileError, Config, ConfigError, TrioframeError

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def app() -> App:
    return App("test", env_prefix=None)


async def handler(request: object, **params: object) -> str:
    return f"hello {params}" if params else "hello"


# --- declaring


@pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete", "head", "options"])
def test_every_method_has_its_decorator(app: App, verb: str) -> None:
    assert getattr(app, verb)("/x")(handler) is handler
    (route,) = app.routes
    assert route.methods == {verb.upper()}


def test_decorators_stack(app: App) -> None:
    @app.get("/a", name="a")
    @app.route("/b", methods=["get", "post"], name="b")
    async def both(request: object) -> str:
        return ""

    assert [(route.uri, sorted(route.methods), route.name) for route in app.routes] == [
        ("/b", ["GET", "POST"], "b"),
        ("/a", ["GET"], "a"),
    ]


def test_the_options_of_a_route(app: App) -> None:
    app.add_route(
        handler,
        "/x",
        name="n",
        host="a.example",
        version=2,
        strict_slashes=True,
        stream=True,
        request_max_size=5,
        timeout=6,
        body_timeout=7,
        on_disconnect="ignore",
        error_format="json",
        ctx_team="blue",
    )
    app.add_route(handler, "/y", host=["a.example", "b.example"], name="m")
    first, second = app.routes
    assert first.host == ("a.example",)
    assert second.host == ("a.example", "b.example")
    assert first.ctx.team == "blue"
    assert first.place is not None
    assert first.place.startswith(__file__)
    (planned, _) = app.compile().routes
    assert (planned.uri, planned.name, planned.methods, planned.handler) == ("/v2/x", "n", {"GET"}, handler)
    assert (planned.request_max_size, planned.timeout, planned.body_timeout) == (5, 6, 7)
    assert planned.on_disconnect == "ignore"


def test_an_unknown_option_is_an_error(app: App) -> None:
    with pytest.raises(TypeError, match="no option 'tiemout'"):
        app.get("/", tiemout=3)(handler)


def test_a_pattern_of_one_s_own(app: App) -> None:
    app.register_pattern("even", lambda text: int(text) // 2, r"\d*[02468]")
    app.get("/<half:even>")(handler)
    assert app.url_for("handler", half=4) == "/4"


def test_url_for(app: App) -> None:
    app.get("/users/<name>")(handler)
    assert app.url_for("handler", name="a b", q=1) == "/users/a%20b?q=1"


def test_a_name(app: App) -> None:
    assert repr(app) == "<App 'test'>"


# --- configuration


def test_the_configuration_comes_from_the_environment_and_then_from_the_argument(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRIOFRAME_PORT", "9001")
    monkeypatch.setenv("TRIOFRAME_HOST", "::1")
    monkeypatch.setenv("MINE_PORT", "9002")
    assert App("a", {"PORT": 9000}).config.PORT == 9000
    assert App("a", {"PORT": 9000}).config.HOST == "::1"
    assert App("a", env_prefix="MINE_").config.PORT == 9002
    assert App("a", env_prefix=None).config.PORT == 8000
    config = Config(HOST="0.0.0.0")
    assert App("a", config, env_prefix=None).config is config


def test_a_wrong_configuration_is_an_error_at_once() -> None:
    with pytest.raises(ConfigError, match="PORT"):
        App("a", {"PORT": "eight"}, env_prefix=None)


# --- freezing


def test_a_compiled_app_is_frozen(app: App) -> None:
    plan = app.compile()
    assert app.compile() is plan
    for declare in (app.get("/"), app.exception(KeyError)):
        with pytest.raises(TrioframeError, match="has been compiled"):
            declare(handler)
    with pytest.raises(TrioframeError, match="has been compiled"):
        app.register_pattern("x", str, "x")
    with pytest.raises(ConfigError):
        app.config.PORT = 1


async def test_mistakes_keep_it_from_serving(app: App) -> None:
    app.get("no slash")(handler)
    with pytest.raises(CompileError):
        await app.serve(port=0)
    with pytest.raises(CompileError):
        await app.serve_stream(memory_stream_pair()[0])


# --- serving


async def ask(stream: trio.abc.Stream) -> bytes:
    await stream.send_all(GET)
    return bytes(await stream.receive_some())


async def test_serve_gives_its_listeners(app: App, nursery: trio.Nursery) -> None:
    app.get("/")(handler)
    app.config.update({"HOST": "127.0.0.1", "PORT": 0})
    listeners = await nursery.start(app.serve)
    (listener,) = listeners
    stream = await trio.testing.open_stream_to_socket_listener(listener)
    assert (await ask(stream)).endswith(b"hello")
    await stream.aclose()
    nursery.cancel_scope.cancel()


async def test_serve_returns_when_it_has_drained(app: App) -> None:
    app.get("/")(handler)
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(app.serve, listeners=[listener]))
        assert (await ask(listener.connect())).endswith(b"hello")
        app.shutdown()
    assert listener.closed


async def test_two_apps_in_one_nursery_share_nothing(nursery: trio.Nursery) -> None:
    async def jsonic(request: object) -> dict[str, int]:
        return {}

    def serve(name: str) -> MemoryListener:
        app = App(name, env_prefix=None, dumps=lambda value: name)
        app.get("/")(jsonic)
        listener = MemoryListener()
        nursery.start_soon(partial(app.serve, listeners=[listener]))
        return listener

    one, two = serve("one"), serve("two")
    assert (await ask(one.connect())).endswith(b"one")
    assert (await ask(two.connect())).endswith(b"two")
    nursery.cancel_scope.cancel()


async def test_a_unix_socket(app: App, nursery: trio.Nursery, tmp_path: Path) -> None:
    app.get("/")(handler)
    app.config.UNIX_MODE = 0o600
    path = tmp_path / "app.sock"

    await nursery.start(partial(app.serve, unix=str(path)))
    assert path.stat().st_mode & 0o777 == 0o600
    stream = await trio.open_unix_socket(path)
    assert (await ask(stream)).endswith(b"hello")
    await stream.aclose()
    app.shutdown()
    await wait_all_tasks_blocked()
    assert not path.exists()


async def test_one_stream(app: App, nursery: trio.Nursery) -> None:
    app.get("/")(handler)
    client, server = memory_stream_pair()
    nursery.start_soon(app.serve_stream, server)
    assert (await ask(client)).endswith(b"hello")
    app.shutdown()
    assert await client.receive_some() == b""
    await client.aclose()


def test_run_is_the_command_s(app: App) -> None:
    with pytest.raises(ConfigError, match="workers"):
        app.run(workers=2)
