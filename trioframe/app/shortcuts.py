"""What is found without a search: most routes, by their path as it was sent, whole or up to its last slash.

Rules of this file:

* The tree is the law.  What is found here the search would find too; what is not, for whatever reason, is searched for.
* Static text comes first at each segment.  So a path that is nothing else leads to its route, and one that is nothing
  else up to its last segment leads to the node there, and then to the parameters of that node in their order.
* A host, an encoded segment, a file name and all that stands elsewhere in a path is left to the search.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from .patterns import MISMATCH
from .route import Route
from .segment_tree import Branch, Match, Methods, Node
from .url import quote_segment

__all__ = ["Stem", "static_paths", "stems"]


class Way(NamedTuple):
    """A parameter as the last segment of a path.

    Parameters:
      parse: of its pattern.
      routes: by method, each with its name for the parameter.
    """

    parse: Callable[[str], Any]
    routes: dict[str, tuple[Route, str]]


class Stem(NamedTuple):
    """What the last segment of a path may be.

    Parameters:
      static: text that is no parameter.
      ways: the parameters, in order.
    """

    static: Collection[str]
    ways: tuple[Way, ...]

    def find(self, method: str, last: bytes) -> Match | None:
        """The match of a path with this last segment, as it was sent; None if it has to be searched for."""
        if not last or b"%" in last or not last.isascii():
            return None
        text = last.decode()
        if text in self.static:
            return None
        for parse, routes in self.ways:
            value = parse(text)
            if value is not MISMATCH:
                found = routes.get(method)
                # As Match(...) makes it, without a call in between.
                return None if found is None else tuple.__new__(Match, (found[0], {found[1]: value}))
        return None


def static_paths(root: Node) -> Iterator[tuple[bytes, dict[str, Route]]]:
    """The paths without parameters that are the same for every host, as they are sent, and their routes by method.

    No path at all is not one of them: it may be the root, but with CONNECT it is no path (RFC 9110 section 9.3.6).
    """
    for path, node in _static_nodes(root):
        if node.ends.keys() == {""}:
            for slash, methods in zip(("", "/"), node.ends[""], strict=True):
                if not path and not slash:
                    continue
                targets = _with_head(methods)
                yield f"{path}{slash}".encode(), {method: target.route for method, target in targets.items()}


def stems(root: Node) -> Iterator[tuple[bytes, Stem]]:
    """What stands before the last segment of a path, up to the slash, where that segment may be a parameter."""
    for path, node in _static_nodes(root):
        # A path with more behind it takes no last segment.
        if ways := tuple(_way(branch) for branch in node.branches if not branch.following):
            yield f"{path}/".encode(), Stem(node.static, ways)


def _static_nodes(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    yield path, node
    for text, child in node.static.items():
        yield from _static_nodes(child, f"{path}/{quote_segment(text)}")


def _way(branch: Branch) -> Way:
    ends = branch.node.ends
    methods = _with_head(ends[""][False]) if ends.keys() == {""} else {}
    return Way(
        branch.parse,
        {method: (target.route, target.names[0]) for method, target in methods.items() if target.file is None},
    )


def _with_head(methods: Methods) -> Methods:
    # RFC 9110 section 9.3.2: HEAD is GET without the content.
    return {"HEAD": methods["GET"], **methods} if "GET" in methods else methods
