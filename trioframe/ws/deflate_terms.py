"""What a WebSocket agrees upon about compression: the parameters of permessage-deflate (RFC 7692 section 7.1).

    parameter                      offered                             answered
    server_no_context_takeover     binds us                            if offered, or if we want it
    client_no_context_takeover     a hint, which frees us of memory    if offered, or if we want it
    server_max_window_bits=N       binds us to N at most               if offered, or if ours is smaller than usual
    client_max_window_bits[=N]     allows the answer; N is a promise   if offered, and ours is smaller than N

Rules of this file:

* An offer that is not understood to the last parameter is declined, and is no error (section 7.1).
* What was agreed upon has the form of what was wanted: a `Deflate`.

It must not know how anything is compressed.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..options import SWITCH, Kind, whole
from .handshake import Extension

__all__ = ["NAME", "WIDEST", "Deflate", "agree"]

NAME: Final = "permessage-deflate"
WIDEST: Final = 15  # a window, as a power of two

# zlib writes no window of 8; an offer that asks for one is declined.
_NARROWEST: Final = 9
_PARAMETER: Final = re.compile(
    r"(?:client|server)_no_context_takeover"
    r"|client_max_window_bits(?:=(?:[89]|1[0-5]))?"
    r"|server_max_window_bits=(?:9|1[0-5])"
).fullmatch


_WINDOW: Final = whole(_NARROWEST, WIDEST)
_KINDS: Final[Mapping[str, Kind[Any]]] = {
    "server_no_context_takeover": SWITCH,
    "client_no_context_takeover": SWITCH,
    "server_max_window_bits": _WINDOW,
    "client_max_window_bits": _WINDOW,
    "level": whole(1, 9),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deflate:
    """How the messages of a WebSocket are compressed: permessage-deflate (RFC 7692), ``deflate=Deflate(...)``.

    By default each message is compressed for itself.  If messages may refer back to those before them (*context
    takeover*), small ones that resemble each other become much smaller; and each connection on which one was sent
    holds the memory for it, also while it says nothing.

    Parameters:
      server_no_context_takeover: no message of ours refers to one before.  If False, and the client does not object,
        some 260 KiB are held, less with a smaller window.
      client_no_context_takeover: no message of the client's does.  If False, some 40 KiB are held.
      server_max_window_bits: how far our messages refer back, in octets, as a power of two: 9 to 15.
      client_max_window_bits: how far those of the client do, where it can be told; 9 to 15.
      level: of zlib, from 1 (fast) to 9 (small).  Everybody waits while a message is compressed: by the usual 6 three
        times as long as by 4, for a twentieth less.

    Raises:
      ValueError: a value that is not of its kind, or out of its range.
    """

    server_no_context_takeover: bool = True
    client_no_context_takeover: bool = True
    server_max_window_bits: int = WIDEST
    client_max_window_bits: int = WIDEST
    level: int = 4

    def __post_init__(self) -> None:
        for name, kind in _KINDS.items():
            value = getattr(self, name)
            try:
                kind.check(value)
            except ValueError:
                raise ValueError(kind.refusal(name, reprlib.repr(value))) from None


def agree(offers: Iterable[Extension], wanted: Deflate) -> tuple[Extension, Deflate] | None:
    """The answer to the first offer that can be accepted, and what it agrees upon; None if there is no such offer.

    Parameters:
      offers: what the client offers, its favourite first; offers of other extensions are passed over.
    """
    for name, parameters in offers:
        if name == NAME and _is_understood(parameters):
            offered = dict(parameters)
            agreed = _accept(offered, wanted)
            return Extension(NAME, tuple(_write(offered, agreed))), agreed
    return None


def _is_understood(parameters: tuple[tuple[str, str | None], ...]) -> bool:
    written = (name if value is None else f"{name}={value}" for name, value in parameters)
    return len(dict(parameters)) == len(parameters) and all(map(_PARAMETER, written))


def _accept(offered: dict[str, str | None], wanted: Deflate) -> Deflate:
    # A promise that was not repeated is not relied upon: the window of an inflater may be larger than need be.
    may_be_told = "client_max_window_bits" in offered
    promised = int(offered.get("client_max_window_bits") or WIDEST)
    is_told = may_be_told and wanted.client_max_window_bits < promised
    return Deflate(
        server_no_context_takeover=wanted.server_no_context_takeover or "server_no_context_takeover" in offered,
        client_no_context_takeover=wanted.client_no_context_takeover or "client_no_context_takeover" in offered,
        server_max_window_bits=min(wanted.server_max_window_bits, int(offered.get("server_max_window_bits") or WIDEST)),
        client_max_window_bits=wanted.client_max_window_bits if is_told else WIDEST,
        level=wanted.level,
    )


def _write(offered: dict[str, str | None], agreed: Deflate) -> Iterator[tuple[str, str | None]]:
    if agreed.server_no_context_takeover:
        yield "server_no_context_takeover", None
    if agreed.client_no_context_takeover:
        yield "client_no_context_takeover", None
    if "server_max_window_bits" in offered or agreed.server_max_window_bits < WIDEST:
        yield "server_max_window_bits", str(agreed.server_max_window_bits)
    if agreed.client_max_window_bits < WIDEST:
        yield "client_max_window_bits", str(agreed.client_max_window_bits)
