"""TLS: contexts from certificate files, streams from contexts, and plain words for what goes wrong.

Rules of this file:

* A context that a user made is used as it is; one made here speaks TLS 1.2 and 1.3 and never asks a terminal for a
  password.
* `close_notify` is always sent (RFC 8446 section 6.1, RFC 9112 section 9.8): it alone tells a client that an answer
  that ends with the connection is whole, and OpenSSL 3 treats its absence as an attack.  Then the layer beneath
  lingers.
* OpenSSL sends no `close_notify` while something received is unread: so that is read and thrown away first.
* OpenSSL's errors are named once, in the tables below.

It must not know HTTP beyond the name in ALPN.  The handshake belongs to the task of its connection.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress

import trio

from ..errors import ConfigError
from .linger import LingeringStream

__all__ = ["describe_handshake_failure", "discard_received", "server_context", "wrap"]


StrPath = str | os.PathLike[str]


class _PasswordNeededError(Exception):
    """OpenSSL asked for a password and there is none."""


# ---------------------------------------------------------------- contexts


def server_context(
    cert: StrPath,
    key: StrPath | None = None,
    password: str | None = None,
    alpn: Sequence[str] = ("http/1.1",),
) -> ssl.SSLContext:
    """A context for a server: TLS 1.2 and above, without compression and renegotiation.

    Parameters:
      cert: a PEM file with the server's certificate and, after it, those of its issuers.
      key: a PEM file with the private key; by default it is in `cert` too.
      password: of the private key, if it is encrypted.
      alpn: the protocols offered, the preferred one first (RFC 7301).

    Raises:
      ConfigError: a file cannot be read, is not what it should be, or the two do not belong together.
    """
    _check_pem(cert, "certificate", rb"CERTIFICATE")
    _check_pem(cert if key is None else key, "private key", rb"[A-Z ]*PRIVATE KEY")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(alpn)
    _load(context, cert, key, password)
    return context


def _check_pem(path: StrPath, what: str, label: bytes) -> None:
    """OpenSSL says neither which file is wrong nor why: look first."""
    try:
        with open(path, "rb") as file:
            text = file.read()
    except (OSError, ValueError) as exc:
        raise ConfigError(f"the TLS {what} {os.fspath(path)!r} cannot be read: {exc}") from exc
    if not re.search(rb"^-----BEGIN " + label + rb"-----", text, re.MULTILINE):
        raise ConfigError(f"{os.fspath(path)!r} has no TLS {what}: a PEM file is needed, with one in it")


def _load(context: ssl.SSLContext, cert: StrPath, key: StrPath | None, password: str | None) -> None:
    files = os.fspath(cert) if key is None else f"{os.fspath(cert)} with {os.fspath(key)}"

    def give_password() -> str:
        if password is None:
            raise _PasswordNeededError
        return password

    try:
        context.load_cert_chain(cert, key, give_password)
    except _PasswordNeededError:
        raise ConfigError(f"TLS: the private key of {files} is encrypted: its password is needed") from None
    except ssl.SSLError as exc:
        if exc.reason == "KEY_VALUES_MISMATCH":
            why = "the private key is not that of the certificate"
        elif password is None:
            why = "the certificate or the private key is damaged"
        else:
            why = "the password is wrong, or the certificate or the private key is damaged"
        raise ConfigError(f"TLS cannot use {files}: {why}") from exc


# ---------------------------------------------------------------- streams


def wrap(stream: trio.abc.Stream, context: ssl.SSLContext, *, linger_timeout: float) -> trio.SSLStream[trio.abc.Stream]:
    """The server's side of TLS on `stream`; nothing is sent or received yet.

    Its `aclose` sends `close_notify` and, if `stream` can half-close, lingers on it for `linger_timeout` seconds at
    most.  A peer that ends without `close_notify` breaks the stream, as nothing can be sent to it any more.
    """
    if isinstance(stream, trio.abc.HalfCloseableStream):
        stream = _Beneath(stream, timeout=linger_timeout)
    return trio.SSLStream(stream, context, server_side=True)


# Not b"", the end: that would break the `SSLStream`, which then sends no close_notify.
class _NothingMoreError(Exception):
    """All that had been received was read."""


class _Beneath(LingeringStream):
    """What TLS stands on.

    Attributes:
      exhausted: nothing more is received, but by lingering.
    """

    exhausted = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self.exhausted:
            raise _NothingMoreError
        return await super().receive_some(max_bytes)


async def discard_received(stream: trio.abc.Stream) -> None:
    """Throw away what has come over TLS and was not read, and receive nothing more; to be called before `aclose`.

    Parameters:
      stream: one that `wrap` has made; others are left alone.

    Raises nothing of its own.  If cancelled, the stream is still to be closed.
    """
    if isinstance(stream, trio.SSLStream) and isinstance(stream.transport_stream, _Beneath):
        stream.transport_stream.exhausted = True
        # Busy: another task receives, and what comes is its own.
        ends = _NothingMoreError, trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError
        with suppress(*ends):
            while await stream.receive_some():
                pass


# ---------------------------------------------------------------- handshakes

_DISTRUST = "the client does not trust our certificate"
_OLD = "the client speaks no version of TLS that we accept"
_FAILURES: Mapping[str, str] = {
    "HTTP_REQUEST": "plain HTTP was sent to this TLS port",
    "HTTPS_PROXY_REQUEST": "a plain HTTP request for a proxy was sent to this TLS port",
    "WRONG_VERSION_NUMBER": "what was sent is not TLS; perhaps plain HTTP",
    "UNEXPECTED_EOF_WHILE_READING": "the client left before it was complete",
    "UNSUPPORTED_PROTOCOL": _OLD,
    "VERSION_TOO_LOW": _OLD,
    "NO_SHARED_CIPHER": "the client offers no cipher that we accept",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "the client cannot verify the kind of certificate we have",
    "NO_APPLICATION_PROTOCOL": "the client offers no application protocol that we speak",
    "TLSV1_ALERT_UNKNOWN_CA": _DISTRUST,
    "SSLV3_ALERT_BAD_CERTIFICATE": _DISTRUST,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _DISTRUST,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the client says that our certificate has expired",
    "TLSV1_ALERT_PROTOCOL_VERSION": _OLD,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the client has no certificate, and one is required",
    "CERTIFICATE_VERIFY_FAILED": "the client's certificate is not trusted",
}


def describe_handshake_failure(exc: BaseException) -> str:
    """Why a handshake failed, in one line for the log, with nothing of the peer's in it.

    Parameters:
      exc: what `trio.SSLStream.do_handshake` raised.
    """
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, ssl.SSLError) and cause.reason is not None:
            return _FAILURES.get(cause.reason, cause.reason.lower().replace("_", " "))
        cause = cause.__cause__ or cause.__context__
    return "the client left"
