"""Tools for testing apps: clients in memory, peers that misbehave, and cancellation at every checkpoint."""

from .client import client

__all__ = ["client"]
