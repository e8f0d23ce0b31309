"""Tools for testing apps: clients in memory, peers that misbehave, and cancellation at every checkpoint."""

from .clients import client
from .faults import FaultyStream
from .harness import cancel_everywhere
from .memory import MemoryStream, memory_pair
from .peer import Peer, PeerResponse, connect
from .report import Finding, Report
from .trial import ALL_REASONS
from .watch import Watch

__all__ = [
    "ALL_REASONS",
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
