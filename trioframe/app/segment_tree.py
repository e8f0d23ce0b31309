"""The routes as a tree with a branch for each segment of a path, and the search through it.

Rules of this file:

* At each segment, from left to right, the more specific comes first: static text, then patterns in their order, then
  ``path``.  Of several routes at one place that for this host and port comes first, then that for this host, then that
  for any.  If the rest does not fit, or the method is not answered there, the search goes back and tries the next.
* No node is visited twice in a search: each step takes one segment, and what a path takes is known from the number of
  segments behind it.  So time is bounded by the number of routes, whatever is asked.
* The search follows the way that comes first, and notes where branches are left; where it cannot go on it goes back to
  the last such place.  It is not recursive, and where there is one way only it calls nothing but the pattern.
* Where no slash is demanded or forbidden a route stands at both places: the search knows nothing of strictness.
* A page and a WebSocket may end at one place: then GET is the page's, and the WebSocket answers `OPENING`.  Alone, it
  answers GET itself, if only to say that it is a WebSocket.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import product
from typing import Any, Final, NamedTuple

from .patterns import MISMATCH, Pattern
from .route import Route, Slot

__all__ = ["OPENING", "Match", "Node", "Segment", "Target", "has_shared_end", "search"]

# What a GET that asks for a WebSocket is searched for by.  It is no token, so no client can send it as its method.
OPENING: Final = "GET, Upgrade: websocket"

# RFC 9110 section 9.3.2: HEAD is GET without the content.
_AS_GET: Final = frozenset({"HEAD", OPENING})

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
      only: the one of them, if there is no other and it takes one segment.
      ends: the routes that end here.
      blank: the routes that end here when their last parameter, which may be empty, is left out.
    """

    __slots__ = ("blank", "branches", "ends", "only", "static")

    def __init__(self) -> None:
        self.static: dict[str, Node] = {}
        self.branches: list[Branch] = []
        self.only: Branch | None = None
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
        self.only = self.branches[0] if len(self.branches) == 1 and all_but is None else None
        return node


def _occupy(ends: Ends, target: Target, slashes: Collection[bool]) -> dict[Route, list[str]]:
    taken: dict[Route, list[str]] = {}
    for host in target.route.host or ("",):
        tables = ends.setdefault(host.lower(), ({}, {}))
        for slash, method in product(slashes, sorted(target.route.methods)):
            other = _settle(tables[slash], method, target)
            if other is not target and method not in taken.setdefault(other.route, []):
                taken[other.route].append(method)
    return taken


def _settle(methods: Methods, method: str, target: Target) -> Target:
    """Let `target` answer a method.  Gives who answers it: another one, if that is in its way."""
    other = methods.setdefault(method, target)
    if method != "GET" or (other.route.websocket is None) == (target.route.websocket is None):
        return other
    if target.route.websocket is not None:
        return methods.setdefault(OPENING, target)
    methods[OPENING], methods["GET"] = other, target
    return target


def has_shared_end(node: Node) -> bool:
    """Whether a page and a WebSocket end at one place, here or behind."""
    ends = (*node.ends.values(), *node.blank.values())
    if any(OPENING in methods for tables in ends for methods in tables):
        return True
    return any(map(has_shared_end, (*node.static.values(), *(branch.node for branch in node.branches))))


# Where the search is: at a node, before the segment of this index, with the values that led there.
Place = tuple[Node, int, tuple[Any, ...]]
# Branches that are still to be tried, before the segment of this index, with the values that led there.
Turning = tuple[Iterator[Branch], int, tuple[Any, ...]]


def search(root: Node, segments: Sequence[str], method: str, hosts: Sequence[str], allowed: set[str]) -> Match | None:
    """The match of a path, or None.

    Parameters:
      segments: of the path, decoded; the first is what stands before the first slash.
      method: to be answered.
      hosts: the hosts that routes may have asked for, the most specific first.
      allowed: where the methods go that are answered there when this one is not.
    """
    slash = segments[-1] == ""
    end = len(segments) - slash
    turnings: list[Turning] = []
    place: Place | None = (root, 1, ())
    while place is not None:
        node, index, values = place
        while index != end:
            text = segments[index]
            child = node.static.get(text)
            if child is None and node.only is not None:  # nothing is left here to come back to
                _, _, parse, _, child = node.only
                value = parse(text)
                if value is MISMATCH:
                    break
                values = (*values, value)
            elif node.branches:
                turnings.append((iter(node.branches), index, values))
            if child is None:
                break
            node = child
            index += 1
        else:
            target = _target(node.ends, slash, method, hosts, allowed)
            if target is None and node.blank:
                target, values = _target(node.blank, slash, method, hosts, allowed), (*values, "")
            if target is not None:
                return _match(target, values)
        place = _next(turnings, segments, end)
    return None


def _next(turnings: list[Turning], segments: Sequence[str], end: int) -> Place | None:
    """Where the next branch leads, from the last place that has one; None if all have been tried."""
    while turnings:
        branches, index, values = turnings[-1]
        for _, _, parse, following, node in branches:
            if following is None:
                text, behind = segments[index], index + 1
            else:
                behind = end - following
                text = "/".join(segments[index : behind if following else None])
            value = parse(text)
            if value is not MISMATCH:
                return node, behind, (*values, value)
        turnings.pop()
    return None


def _target(ends: Ends, slash: bool, method: str, hosts: Sequence[str], allowed: set[str]) -> Target | None:
    for host in hosts:
        if host in ends:
            methods = ends[host][slash]
            target = methods.get(method) or (methods.get("GET") if method in _AS_GET else None)
            if target is not None:
                return target
            allowed.update(methods)
    return None


def _match(target: Target, values: tuple[Any, ...]) -> Match:
    route, names, file = target
    if file is not None:
        values = (*values[:file], *values[file], *values[file + 1 :])
    # There are as many of both; to have it checked would cost as much as all the rest of this function.
    params = {names[0]: values[0]} if len(names) == 1 else dict(zip(names, values))  # noqa: B905
    return tuple.__new__(Match, (route, params))  # as Match(...) does, without a call in between
