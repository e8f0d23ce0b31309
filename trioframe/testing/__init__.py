"""Tools for testing apps, in memory and in virtual time.

* `client` is an HTTP and WebSocket client; `connect` a raw peer with every fault a client can have.
* `cancel_everywhere` cancels a request at each of its checkpoints and reports what that breaks.
* `FaultyStream` and `memory_pair` are what they stand on, for tests of your own.

All of them go through `App.serve_stream`, so what is tested is what serves.  Only `client` needs the extra
``trioframe[testing]``.
"""

from .clients import ClientContext, client
from .faults import FaultyStream
from .harness import cancel_everywhere
from .memory import MemoryStream, memory_pair
from .peer import Peer, PeerResponse, connect
from .report import Finding, Report
from .trial import ALL_REASONS
from .watch import Watch

__all__ = [
    "ALL_REASONS",
    "ClientContext",
    "FaultyStream",
    "Finding",
    "MemoryStream",
    "Peer",
    "PeerResponse",
    "Report",
    "Watch",
    "cancel_everywhere",
    "client",
    "connect",
    "memory_pair",
]
