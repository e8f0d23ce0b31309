"""The command ``trioframe``.

Rules of this file:

* Exit codes: 0 stopped as asked, 1 failed, 2 wrong usage: a command line or a configuration that makes no sense.
* Errors that say what to do are shown alone; `_EXIT_CODES` has them.  The user's own exceptions come with their
  traceback, from the user's code on.  A traceback that begins in our code means a bug of ours.
* What is not given on the command line is left to the app's configuration.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import ssl
import sys
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import click

from . import __version__
from .app.compile import Plan
from .app.place import place_of
from .app.plan_steps import Step, server_steps, steps
from .errors import CompileError, ConfigError
from .load import TargetError, UserCodeError, load_app
from .run import log_to_terminal, run
from .server.listeners import ListenError
from .server.tls import server_context

__all__ = ["main"]

# Errors that somebody else than us has to mend, and how we exit.
_EXIT_CODES: Mapping[type[Exception], int] = {
    TargetError: 2,
    ConfigError: 2,
    UserCodeError: 1,
    CompileError: 1,
    ListenError: 1,
}


@contextlib.contextmanager
def _shown() -> Iterator[None]:
    """Show an error of the table for what it is, and exit."""
    try:
        yield
    except tuple(_EXIT_CODES) as exc:
        if isinstance(exc, UserCodeError):
            traceback.print_exception(exc.__cause__)
        click.echo(f"Error: {exc}", err=True)
        sys.exit(_EXIT_CODES[type(exc)])


_target = click.argument("target")
_factory = click.option("--factory", is_flag=True, help="TARGET is a function that makes the app.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="trioframe")
def main() -> None:
    """Serve web applications on Trio."""


@main.command("run")
@_target
@click.option("--host", help="Name or address to listen on; empty for all interfaces.")
@click.option("--port", type=click.IntRange(0, 65535), help="TCP port; 0 takes a free one.")
@click.option("--unix", metavar="PATH", help="Listen on a Unix socket instead.")
@click.option("--fd", type=click.IntRange(0), metavar="N", help="Use a listening socket that was passed on instead.")
@click.option("--workers", type=click.IntRange(1), default=1, metavar="N", help="Processes; only 1 so far.")
@click.option("--single-process", is_flag=True, help="Serve in this very process, as is always done so far.")
@click.option("--dev", is_flag=True, help="For development: --debug.")
@click.option("--debug", is_flag=True, help="Show tracebacks in error pages.")
@click.option("--tls-cert", metavar="FILE", help="PEM file with the certificate and its chain; speaks TLS.")
@click.option("--tls-key", metavar="FILE", help="PEM file with the private key, if it is not in the other.")
@click.option("--access-log/--no-access-log", default=None, help="Log each request on stdout.")
@_factory
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def run_command(target: str, **options: Any) -> None:
    """Serve the app TARGET until SIGINT (Ctrl-C) or SIGTERM.

    TARGET is module:name, a module that has the name `app`, or path/to/file.py, also with :name.  A function without
    parameters is called and makes the app.

    The first signal lets running requests finish, the second stops at once.
    """
    _check_places(options)
    with _shown():
        tls = _tls(options["tls_cert"], options["tls_key"])
        app = load_app(target, factory=options["factory"])
        log_to_terminal(logging.DEBUG if options["verbose"] else logging.INFO)  # unless its module has configured it
        run(
            app,
            options["host"],
            options["port"],
            unix=options["unix"],
            fd=options["fd"],
            ssl=tls,
            workers=options["workers"],
            single_process=options["single_process"],
            dev=options["dev"],
            debug=options["debug"] or None,
            access_log=options["access_log"],
        )


@main.command("routes")
@_target
@_factory
def routes_command(target: str, factory: bool) -> None:
    """List the routes of the app TARGET: methods, hosts, path, name, and where the handler is written.

    WS in the place of methods is a WebSocket.
    """
    with _shown():
        plan = load_app(target, factory=factory).compile()
    for line in _table(list(_rows(plan))):
        click.echo(line)


def _rows(plan: Plan) -> Iterator[tuple[str, ...]]:
    """The routes as a table; with hosts, if a route has some."""
    has_hosts = any(planned.route.host for planned in plan.routes)
    yield ("METHODS", *["HOST"] * has_hosts, "PATH", "NAME", "HANDLER")
    for planned in plan.routes:
        hosts = [",".join(planned.route.host) or "-"] * has_hosts
        yield (planned.asked_by, *hosts, planned.uri, planned.name, _shorten(place_of(planned.handler)))


@main.command("plan")
@_target
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@_factory
def plan_command(target: str, as_json: bool, factory: bool) -> None:
    """Show what runs for each route of the app TARGET: in which order, and where each piece is written."""
    with _shown():
        app = load_app(target, factory=factory)
        routes = [(route, steps(app, route)) for route in app.compile().routes]
        server = server_steps(app)
    if as_json:
        described = [
            {
                "methods": sorted(route.methods),
                "websocket": route.route.websocket is not None,
                "uri": route.uri,
                "name": route.name,
                "steps": [step._asdict() for step in found],
            }
            for route, found in routes
        ]
        content = {"app": app.name, "routes": described, "server": [step._asdict() for step in server]}
        click.echo(json.dumps(content, indent=2))
        return
    for route, found in routes:
        _show_steps(f"{route.asked_by} {route.uri}", found)
    _show_steps("the server", server)


def _show_steps(title: str, found: list[Step]) -> None:
    if found:
        click.echo(title)
        for line in _table([(step.kind, step.at, step.function, _shorten(step.place)) for step in found]):
            click.echo(f"  {line}")


def _check_places(options: dict[str, Any]) -> None:
    tcp = [f"--{name}" for name in ("host", "port") if options[name] is not None]
    places = ["/".join(tcp)] * bool(tcp) + [f"--{name}" for name in ("unix", "fd") if options[name] is not None]
    if len(places) > 1:
        raise click.UsageError(f"{' and '.join(places)} exclude each other: listen in one place")


def _tls(cert: str | None, key: str | None) -> ssl.SSLContext | None:
    if cert is None:
        if key is not None:
            raise click.UsageError("--tls-key needs --tls-cert")
        return None
    return server_context(cert, key)


def _shorten(place: str | None) -> str:
    """`place` from the working directory, if it is below it."""
    if place is None:
        return "-"
    here = os.path.join(os.getcwd(), "")
    return place.removeprefix(here)


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
