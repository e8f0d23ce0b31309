"""Where a request comes from, when proxies stand in front.

Any client can send any header, so nothing is believed until the configuration says which of them a proxy of yours
writes.  These are asked in turn, each only if it is configured, and the first that answers is believed:

====================  ==================================================================================
FORWARDED_SECRET      the element of Forwarded (RFC 7239) that carries it as ``secret=`` or ``by=``
REAL_IP_HEADER        the one address in that header
PROXIES_COUNT         the address so many places from the right of X-Forwarded-For
====================  ==================================================================================

With the last two go X-Forwarded-Proto and X-Forwarded-Host, which the same proxy has to set.

Rules of this file:

* Lists are read from the right: what a client has made up stands to the left of what a proxy appends.
* What is not an address, a scheme or a host is as good as not said.
"""

from __future__ import annotations

import hmac
import re
from ipaddress import ip_address
from typing import NamedTuple

from ..config import Config
from ..http.exchange import ConnInfo
from ..http.headers import Headers

__all__ = ["Origin", "find_origin"]

# A proxy that carries a WebSocket names the scheme of its URL.
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
# node = nodename [ ":" node-port ] (RFC 7239 section 6): IPv6 in brackets, IPv4, or IPv6 without brackets and port,
# as X-Forwarded-For often has it
_NODE = re.compile(
    r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)|([0-9A-Fa-f]*:[0-9A-Fa-f:.]*))(?::([0-9]{1,5}))?",
)
# uri-host [ ":" port ] (RFC 9110 section 7.2), without the characters no DNS name has
_HOST = re.compile(r"(?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class Origin(NamedTuple):
    """What the client looked like to the first trusted proxy, or to us.

    Attributes:
      client_ip, client_port: its address; None where it is unknown.
      scheme: "http" or "https", as the client spoke it.
      host: host and port as the client asked for them; "" if it named none.
    """

    client_ip: str | None
    client_port: int | None
    scheme: str
    host: str


def find_origin(headers: Headers, host: str, conn: ConnInfo, config: Config) -> Origin:
    """The origin of a request.

    Parameters:
      host: what the request itself says.
      conn: what came to us.
    """
    told = _from_forwarded(headers, config.FORWARDED_SECRET) or _from_x_forwarded(headers, config)
    if told is None:
        return Origin(conn.client_ip, conn.client_port, conn.scheme, host)
    ip, port = _parse_node(told.node)
    scheme = _SCHEMES.get(told.scheme.lower(), conn.scheme)
    return Origin(ip, port, scheme, told.host if _HOST.fullmatch(told.host) else host)


class _Told(NamedTuple):
    """A trusted proxy's words; "" for what it does not say."""

    node: str
    scheme: str
    host: str


def _from_forwarded(headers: Headers, secret: str | None) -> _Told | None:
    if secret is None:
        return None
    # Split at every comma, also within quotes: quotes that a client leaves open must not swallow the proxy's element,
    # and no address, scheme or host has a comma.
    for element in reversed([element for line in headers.getall("forwarded") for element in line.split(",")]):
        pairs = (pair.partition("=") for pair in element.split(";"))
        said = {key.strip(" \t").lower(): _unquote(value.strip(" \t")) for key, _, value in pairs}
        if any(hmac.compare_digest(said.get(key, "").encode(), secret.encode()) for key in ("secret", "by")):
            return _Told(said.get("for", ""), said.get("proto", ""), said.get("host", ""))
    return None


def _unquote(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _from_x_forwarded(headers: Headers, config: Config) -> _Told | None:
    depth = config.PROXIES_COUNT
    node = None
    if config.REAL_IP_HEADER is not None and (address := headers.get(config.REAL_IP_HEADER)):
        node, depth = address, 1
    elif depth > 0:
        node = _from_right(headers, "x-forwarded-for", depth)
    if node is None:
        return None
    return _Told(node, _nearest(headers, "x-forwarded-proto", depth), _nearest(headers, "x-forwarded-host", depth))


def _from_right(headers: Headers, name: str, depth: int) -> str | None:
    """The element of a list that `depth` proxies, appending one each, have to thank the first of them for."""
    elements = headers.get(name, "").split(",")
    return elements[-depth].strip(" \t") if len(elements) >= depth and elements != [""] else None


def _nearest(headers: Headers, name: str, depth: int) -> str:
    """The same, where most proxies do not append but overwrite."""
    elements = headers.get(name, "").split(",")
    return elements[-min(depth, len(elements))].strip(" \t")


def _parse_node(node: str) -> tuple[str | None, int | None]:
    # "unknown" and obfuscated names (RFC 7239 section 6.3) tell no address.
    match = _NODE.fullmatch(node)
    if match is None:
        return None, None
    in_brackets, v4, bare_v6, port = match.groups()
    try:
        return str(ip_address(in_brackets or v4 or bare_v6)), None if port is None else int(port)
    except ValueError:
        return None, None
