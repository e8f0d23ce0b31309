"""One request, cancelled at one of its checkpoints, and everything that went wrong with it.

Rules of this file:

* The request comes over a real connection, through the real server and dispatcher.  A "disconnect" is a peer that
  resets the connection; for the other reasons the request's own lifetime is cancelled, as the server does it.
* A request is judged when its connection has ended, its tasks had a moment to end, and it can hold nothing any more.
* Whatever it takes, a trial ends in time: what does not end by itself is a problem, and is cancelled.

It must not know that there are other trials.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal

import h11
import trio

from ..app.app import App
from ..app.dispatch import Dispatcher
from ..errors import HTTPError, RemoteProtocolError, RequestCancelled
from ..http.exchange import ConnInfo, Exchange
from ..http.lifetime import Lifetime
from ..server.serve import Server
from .checkpoints import Checkpoints, place_of
from .error_log import ErrorLog
from .leaks import coroutines_never_awaited, unfinished_generators
from .network import open_network
from .peer import Peer, PeerResponse
from .watch import Watch
