"""The four forms of a request-target (RFC 9112 section 3.2) and the hosts they may name (RFC 3986 section 3.2)."""

from __future__ import annotations

import pytest

from trioframe.errors import RemoteProtocolError
from trioframe.http.target import Target, check_host, split_target

HOST = b"h.example"


@pytest.mark.parametrize(
    ("method", "target", "path", "query", "authority"),
    [
        (b"GET", b"/", b"/", b"", HOST),
        (b"GET", b"/a/b?c=d?e", b"/a/b", b"c=d?e", HOST),
        (b"GET", b"/?", b"/", b"", HOST),
        (b"GET", b"//evil.example/x", b"//evil.example/x", b"", HOST),
        (b"GET", b'/%00%zz\\[]|"<>', b'/%00%zz\\[]|"<>', b"", HOST),
        (b"GET", b"/http://b.example/", b"/http://b.example/", b"", HOST),
        (b"OPTIONS", b"*", b"*", b"", HOST),
        (b"OPTIONS", b"/a", b"/a", b"", HOST),
        (b"GET", b"http://b.example/x?y", b"/x", b"y", b"b.example"),
        (b"GET", b"HTTPS://B.example:8443/", b"/", b"", b"B.example:8443"),
        (b"GET", b"http://b.example", b"/", b"", b"b.example"),
        (b"GET", b"http://b.example?q", b"/", b"q", b"b.example"),
        (b"GET", b"http://[::1]:80/x", b"/x", b"", b"[::1]:80"),
        (b"OPTIONS", b"http://b.example", b"*", b"", b"b.example"),
        (b"OPTIONS", b"http://b.example?q", b"/", b"q", b"b.example"),
        (b"OPTIONS", b"http://b.example/", b"/", b"", b"b.example"),
        (b"CONNECT", b"b.example:443", b"", b"", b"b.example:443"),
        (b"CONNECT", b"[::1]:443", b"", b"", b"[::1]:443"),
    ],
)
def test_forms(method: bytes, target: bytes, path: bytes, query: bytes, authority: bytes) -> None:
    assert split_target(method, target, HOST) == Target(path, query, authority)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        (b"GET", b"*"),
        (b"GET", b"foo/bar"),
        (b"GET", b"?a=b"),
        (b"GET", b"b.example:443"),
        (b"GET", b"/a#b"),
        (b"GET", b"http://b.example/#b"),
        (b"GET", b"http:///x"),
        (b"GET", b"http://:80/x"),
        (b"GET", b"http://user@b.example/"),
        (b"GET", b"http://b.example:x/"),
        (b"GET", b"http:/b.example/"),
        (b"GET", b"ftp://b.example/"),
        (b"GET", b"mailto:a@b.example"),
        (b"OPTIONS", b"**"),
        (b"CONNECT", b"/"),
        (b"CONNECT", b"*"),
        (b"CONNECT", b"b.example"),
        (b"CONNECT", b"b.example:"),
        (b"CONNECT", b":443"),
        (b"CONNECT", b"http://b.example:443/"),
        (b"CONNECT", b"user@b.example:443"),
    ],
)
def test_anything_else_is_refused(method: bytes, target: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        split_target(method, target, HOST)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"example.com",
        b"EXAMPLE.com.",
        b"a_b.example",
        b"xn--bcher-kva.example",
        b"127.0.0.1",
        b"127.0.0.1:8000",
        b"example.com:",
        b"example.com:0",
        b"example.com:65535",
        b"example.com:0000000080",
        b"b%C3%BCcher.example",
        b"a!$&'()*+;=~b",
        b"[::1]",
        b"[::1]:80",
        b"[2001:db8::ffff:127.0.0.1]",
        b"[v1.fe80::a+en1]",
    ],
)
def test_good_hosts(host: bytes) -> None:
    check_host(host)


@pytest.mark.parametrize(
    "host",
    [
        b":80",
        b"user@example.com",
        b"example.com/path",
        b"example.com?q",
        b"a.example,b.example",
        b"a.example, b.example",
        b"exa mple.com",
        b"example.com:8a",
        b"example.com:-1",
        b"example.com:65536",
        b"example.com:99999999",
        b"example.com:80:80",
        b"example.com:" + b"0" * 9000 + b"x",
        b"caf\xe9.example",
        b"%zz.example",
        b"%4",
        b"::1",
        b"[::1",
        b"::1]",
        b"[]",
        b"[::1]x",
        b"[::1]x:80",
        b"[1]",
        b"[:::1]",
        b"[fe80::1%25eth0]",
        b"[fe80::1%eth0]",
        b"[127.0.0.1]",
        b"[v1.]",
        b"[vx.a]",
        b"[g::1]",
        b'"example.com"',
        b"http://example.com",
        b"a\\b",
    ],
)
def test_bad_hosts(host: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="invalid") as caught:
        check_host(host)
    assert caught.value.status == 400


def test_a_port_may_have_many_zeros() -> None:
    """Python refuses to make a number of thousands of digits; a peer must not find that out."""
    check_host(b"example.com:" + b"0" * 9000 + b"80")
