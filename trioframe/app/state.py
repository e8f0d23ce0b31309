"""Which servers of an app live now, and what runs in them: counts, for whoever wants to see.

Rules of this file:

* An app may be served several times, also at the same time.  The counts are those of all its servers together.
* Nothing is counted: what is counted elsewhere is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .background import Background

__all__ = ["State"]


class Living(Protocol):
    """What has to be seen of a server."""

    @property
    def is_serving(self) -> bool: ...
    @property
    def background(self) -> Background: ...
    def stop(self) -> None: ...


class State:
    """What runs now; `app.state`."""

    def __init__(self) -> None:
        self._lives: list[Living] = []

    @property
    def is_serving(self) -> bool:
        """Whether a server listens that has not been asked to stop."""
        return any(life.is_serving for life in self._lives)

    @property
    def tasks(self) -> int:
        """How many tasks of the app run: those of `app.add_task`, `app.every` and `app.nursery`."""
        return sum(len(life.background.nursery.child_tasks) for life in self._lives)

    @property
    def after_response(self) -> int:
        """How many tasks run that requests have left behind."""
        return sum(len(life.background.left_behind.child_tasks) for life in self._lives)

    # --- for the servers ---------------------------------------------------------------------------------------------

    def begin(self, life: Living) -> None:
        """A server begins."""
        self._lives.append(life)

    def end(self, life: Living) -> None:
        """It has ended."""
        self._lives.remove(life)

    @property
    def lives(self) -> tuple[Living, ...]:
        """The servers that have begun and not yet ended, the latest last."""
        return tuple(self._lives)
