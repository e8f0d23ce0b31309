"""What holds for the lifetime of every request of a server, in whatever protocol it came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["DEFAULT_TERMS", "Terms"]


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a lifetime.

    Attributes:
      grace: seconds a handler may clean up after a `cancellable` block has been cancelled.
      half_close: what a FIN of the peer means; "allow" ignores it.
    """

    grace: float = 5.0
    half_close: Literal["disconnect", "allow"] = "disconnect"


DEFAULT_TERMS: Final = Terms()
