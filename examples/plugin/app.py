"""An app whose plug-ins are configured: ``SHOP_PLUGINS=slow_requests python examples/plugin/app.py``.

A plug-in is a module with a function `setup`, which is called with the app before it is compiled, and declares or
subscribes whatever it needs.  The app knows no more of it than its name, which is in an option of the app's own.
"""

from __future__ import annotations

from importlib import import_module

import trio

from trioframe import App, Config, Request, Response, text
from trioframe.options import Kind, Option


def check_names(value: object) -> tuple[str, ...]:
    if isinstance(value, list | tuple) and all(isinstance(name, str) and name for name in value):
        return tuple(value)
    raise ValueError


NAMES = Kind(
    "a list of names of modules (in text with commas between)",
    check_names,
    lambda names: names.split(",") if names else (),
)


class ShopConfig(Config):
    """All options of trioframe, and those of the shop."""

    PLUGINS = Option(NAMES, (), "", "The plug-ins, in the order in which they are set up.  None by default.")


def make_app(config: ShopConfig) -> App:
    app = App("shop", config)
    app.add_route(show, "/")
    for name in config.PLUGINS:
        import_module(name).setup(app)
    return app


async def show(request: Request) -> Response:
    await trio.sleep(2)
    return text("tea\n")


def configured_app() -> App:
    """The app as the environment wants it."""
    config = ShopConfig()
    config.load_environment("SHOP_")
    return make_app(config)


if __name__ == "__main__":
    trio.run(configured_app().serve)
