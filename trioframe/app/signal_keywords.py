"""Which keywords a receiver takes, read from its signature once, when it is connected.

It must not know which signal carries what.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any, NamedTuple

__all__ = ["Keywords"]

_ALL_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


class Keywords(NamedTuple):
    """What a receiver takes.

    Parameters:
      names: what it takes by name.
      required: those of them that have no default.
      positional: what it needs, and takes by position alone.
      others: whether it takes any other keyword, too.
    """

    names: frozenset[str]
    required: frozenset[str]
    positional: tuple[str, ...]
    others: bool

    @classmethod
    def of(cls, receiver: Callable[..., Any]) -> Keywords:
        """What its signature says; without one, as some builtins are, it takes everything."""
        try:
            parameters = inspect.signature(receiver).parameters.values()
        except (TypeError, ValueError):
            return cls(frozenset(), frozenset(), (), others=True)
        named = [each for each in parameters if each.kind in _ALL_NAMED]
        return cls(
            frozenset(each.name for each in named),
            frozenset(each.name for each in named if each.default is Parameter.empty),
            tuple(
                each.name
                for each in parameters
                if each.kind is Parameter.POSITIONAL_ONLY and each.default is Parameter.empty
            ),
            any(each.kind is Parameter.VAR_KEYWORD for each in parameters),
        )

    def choose(self, context: Mapping[str, Any]) -> Mapping[str, Any]:
        """The part of a context that it takes."""
        if self.others or self.names.issuperset(context):
            return context
        return {name: context[name] for name in self.names if name in context}
