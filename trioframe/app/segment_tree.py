"""The routes as a tree with a branch for each segment of a path, and the search through it.

Rules of this file:

* At each segment, from left to right, the more specific comes first: static text, then patterns in their order, then
  ``path``.  Of several routes at one place that for this host and port comes first, then that for this host, then that
  for any.  If the rest does not fit, or the method is not answered there, the search goes back and tries the next.
* No node is visited twice in a search: each step takes one segment, and what a path takes is known from the number of
  segments behind it.  So time is bounded by the number of routes, whatever is asked.
* Where no slash is demanded or forbidden a route stands at both places: the search knows nothing of strictness.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import product
from typing import Any, NamedTuple

from .patterns import MISMATCH, Pattern
from .route import Route, Slot

__all__ = ["Match", "Node", "Search", "Segment", "Target"]

Segment = str | tuple[Slot, Pattern]


class Match(NamedTuple):
    """A route, and the parameters its handler is given."""

    route: Route
    params: dict[str, Any]


class Target(NamedTuple):
    """A route at the end of a branch.

    Parameters:
      names: of its parameters, from left to right.
      file: which of its slots is a file name, whose value is two parameters; None if there is none.
    """

    route: Route
    names: tuple[str, ...]
    file: int | None


# What ends at a node.  By host, "" for any; then first without and second with a slash behind; then by method.
Methods = dict[str, Target]
Ends = dict[str, tuple[Methods, Methods]]


class Branch(NamedTuple):
    """A parameter, and what may follow it.

    Parameters:
      order: the lowest is tried first.
      label: of the pattern.
      parse: of the pattern.
      following: None if it takes one segment; else it takes all but so many.
      node: what may follow.
    """

    order: tuple[int, ...]
    label: str
    parse: Callable[[str], Any]
    following: int | None
    node: Node


class Node:
    """What may follow the segments that lead here.

    Attributes:
      static: the nodes behind static text.
      branches: parameters, in order.
      ends: the routes that end here.
      blank: the routes that end here when their last parameter, which may be empty, is left out.
    """

    __slots__ = ("blank", "branches", "ends", "static")

    def __init__(self) -> None:
        self.static: dict[str, Node] = {}
        self.branches: list[Branch] = []
        self.ends: Ends = {}
        self.blank: Ends = {}

    def plant(self, route: Route, segments: Sequence[Segment]) -> dict[Route, list[str]]:
        """Add a route, with this node as the root.  Gives those that are in its way, each with the methods it holds."""
        slots = [segment[0] for segment in segments if not isinstance(segment, str)]
        names = tuple(parameter.name for parameter in route.parameters)
        target = Target(route, names, next((index for index, slot in enumerate(slots) if slot.stem), None))
        node = parent = self
        for following, segment in zip(reversed(range(len(segments))), segments, strict=True):
            node, parent = node._grow(segment, following), node

        last = slots[-1].label if segments and not isinstance(segments[-1], str) else ""
        strict, slash = route.strict_slashes, route.template.slash
        if last == "strorempty" and not (strict and slash):  # /x/<a> with an empty a is /x/
            _occupy(parent.blank, target, {True} if strict else {False, True})
        # A path at the end takes the slash behind it too.
        return _occupy(node.ends, target, {slash} if strict and last != "path" else {False, True})

    def _grow(self, segment: Segment, following: int) -> Node:
        if isinstance(segment, str):
            return self.static.setdefault(segment, Node())
        _, pattern = segment
        all_but = following if pattern.label == "path" else None
        # Of two paths the one with more behind it is the more specific.
        order = pattern.order if all_but is None else (*pattern.order, -all_but)
        for branch in self.branches:
            if (branch.order, branch.label) == (order, pattern.label):
                return branch.node
        self.branches.append(Branch(order, pattern.label, pattern.parse, all_but, node := Node()))
        self.branches.sort(key=lambda branch: branch.order)
        return node


def _occupy(ends: Ends, target: Target, slashes: Collection[bool]) -> dict[Route, list[str]]:
    taken: dict[Route, list[str]] = {}
    for host in target.route.host or ("",):
        tables = ends.setdefault(host.lower(), ({}, {}))
        for slash, method in product(slashes, sorted(target.route.methods)):
            other = tables[slash].setdefault(method, target)
            if other is not target and method not in taken.setdefault(other.route, []):
                taken[other.route].append(method)
    return taken


class Search:
    """One path on its way through a tree.

    Parameters:
      segments: of the path, decoded; the first is what stands before the first slash.
      method: to be answered.
      hosts: the hosts that routes may have asked for, the most specific first.

    Attributes:
      allowed: the methods that routes met on the way answer.
    """

    __slots__ = ("allowed", "end", "hosts", "method", "segments", "slash")

    def __init__(self, segments: list[str], method: str, hosts: tuple[str, ...]) -> None:
        self.segments = segments
        self.method = method
        self.hosts = hosts
        self.slash = segments[-1] == ""
        self.end = len(segments) - self.slash
        self.allowed: set[str] = set()

    def visit(self, node: Node, index: int, values: tuple[Any, ...]) -> Match | None:
        """The match at or below `node`, to which the segments before `index` led, and gave `values`."""
        while index != self.end:
            child = node.static.get(self.segments[index])
            if node.branches:
                match = None if child is None else self.visit(child, index + 1, values)
                return match or self._visit_branches(node, index, values)
            if child is None:
                return None
            node, index = child, index + 1
        return self._finish(node.ends, values) or self._finish(node.blank, (*values, ""))

    def _visit_branches(self, node: Node, index: int, values: tuple[Any, ...]) -> Match | None:
        for _, _, parse, following, child in node.branches:
            if following is None:
                text, behind = self.segments[index], index + 1
            else:
                behind = self.end - following
                text = "/".join(self.segments[index : behind if following else None])
            value = parse(text)
            if value is not MISMATCH and (match := self.visit(child, behind, (*values, value))):
                return match
        return None

    def _finish(self, ends: Ends, values: tuple[Any, ...]) -> Match | None:
        for host in self.hosts:
            if host in ends:
                methods = ends[host][self.slash]
                # RFC 9110 section 9.3.2: HEAD is GET without the content.
                target = methods.get(self.method) or (methods.get("GET") if self.method == "HEAD" else None)
                if target is not None:
                    route, names, file = target
                    if file is not None:
                        values = (*values[:file], *values[file], *values[file + 1 :])
                    # There are as many of both; to have it checked would cost as much as all the rest of this method.
                    return Match(route, dict(zip(names, values)))  # noqa: B905
                self.allowed.update(methods)
        return None
