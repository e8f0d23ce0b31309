"""An HTTP and WebSocket server framework native to Trio."""

from typing import TYPE_CHECKING, Any

from .app.app import App
from .app.request import Request
from .app.response import Response, empty, html, json, raw, redirect, text
from .app.router import URLBuildError
from .app.signals import Signal
from .config import Config
from .errors import (
    BadRequest,
    CompileError,
    ConfigError,
    ExpectationFailed,
    Forbidden,
    HTTPError,
    LocalProtocolError,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RangeNotSatisfiable,
    RemoteProtocolError,
    RequestCancelled,
    RequestTimeout,
    ServerError,
    ServiceUnavailable,
    TrioframeError,
    Unauthorized,
    WebSocketClosed,
)
from .run import run

if TYPE_CHECKING:
    from .ws.deflate_terms import Deflate
    from .ws.websocket import WebSocket

__version__ = "0.1.0"

__all__ = [
    "App",
    "BadRequest",
    "CompileError",
    "Config",
    "ConfigError",
    "Deflate",
    "ExpectationFailed",
    "Forbidden",
    "HTTPError",
    "LocalProtocolError",
    "MethodNotAllowed",
    "NotFound",
    "PayloadTooLarge",
    "RangeNotSatisfiable",
    "RemoteProtocolError",
    "Request",
    "RequestCancelled",
    "RequestTimeout",
    "Response",
    "ServerError",
    "ServiceUnavailable",
    "Signal",
    "TrioframeError",
    "URLBuildError",
    "Unauthorized",
    "WebSocket",
    "WebSocketClosed",
    "empty",
    "html",
    "json",
    "raw",
    "redirect",
    "run",
    "text",
]


def __getattr__(name: str) -> Any:
    # An app without WebSockets needs nothing of what these import.
    if name == "WebSocket":
        from .ws.websocket import WebSocket  # noqa: PLC0415

        return WebSocket
    if name == "Deflate":
        from .ws.deflate_terms import Deflate  # noqa: PLC0415

        return Deflate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
