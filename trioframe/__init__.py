"""An HTTP server framework native to Trio."""

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

__version__ = "0.1.0"

__all__ = [
    "App",
    "BadRequest",
    "CompileError",
    "Config",
    "ConfigError",
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
    "WebSocketClosed",
    "empty",
    "html",
    "json",
    "raw",
    "redirect",
    "run",
    "text",
]
