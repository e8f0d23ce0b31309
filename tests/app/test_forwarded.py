"""Where a request comes from: proxies are believed as far as the configuration says, and no further."""

from __future__ import annotations

import time

import pytest

from trioframe.app.forwarded import Origin, find_origin
from trioframe.config import Config
from trioframe.http.exchange import ConnInfo
from trioframe.http.headers import Headers

DIRECT = Origin("203.0.113.9", 4711, "http", "a.example")


def origin(headers: dict[str, str] | list[tuple[str, str]], **config: object) -> Origin:
    pairs = headers.items() if isinstance(headers, dict) else headers
    raw = tuple((name.encode(), value.encode("latin-1")) for name, value in pairs)
    conn = ConnInfo(peername=("203.0.113.9", 4711))
    return find_origin(Headers(raw), "a.example", conn, Config.from_mapping(config))


EVERYTHING = {
    "forwarded": "for=192.0.2.1;proto=https;host=evil.example;secret=guess",
    "x-real-ip": "192.0.2.1",
    "x-forwarded-for": "192.0.2.1",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "evil.example",
}


# --- nothing by default -----------------------------------------------------------------------------------------------


def test_nothing_is_believed_by_default() -> None:
    assert origin(EVERYTHING) == DIRECT


def test_without_an_address_nothing_is_known() -> None:
    assert find_origin(Headers(), "", ConnInfo(unix=True), Config()) == Origin(None, None, "http", "")


# --- X-Forwarded-For --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "count", "client"),
    [
        ("192.0.2.1", 1, ("192.0.2.1", None)),
        ("6.6.6.6, 192.0.2.1", 1, ("192.0.2.1", None)),
        ("6.6.6.6, 192.0.2.1 ,10.0.0.1", 2, ("192.0.2.1", None)),
        ("192.0.2.1:8080", 1, ("192.0.2.1", 8080)),
        ("2001:DB8::1", 1, ("2001:db8::1", None)),
        ("[2001:db8::1]:8080", 1, ("2001:db8::1", 8080)),
        ("[2001:db8::1]", 1, ("2001:db8::1", None)),
        ("unknown", 1, (None, None)),
        ("6.6.6.6,", 1, (None, None)),
        ("999.1.1.1", 1, (None, None)),
        ("fe80::1%<script>", 1, (None, None)),
    ],
)
def test_the_client_is_so_many_places_from_the_right(value, count, client) -> None:
    found = origin({"x-forwarded-for": value}, PROXIES_COUNT=count)
    assert (found.client_ip, found.client_port) == client


def test_lines_of_one_name_are_one_list() -> None:
    headers = [("x-forwarded-for", "6.6.6.6, 192.0.2.1"), ("x-forwarded-for", "10.0.0.1")]
    assert origin(headers, PROXIES_COUNT=2).client_ip == "192.0.2.1"


@pytest.mark.parametrize("value", [None, "", "192.0.2.1"])
def test_a_request_that_passed_fewer_proxies_is_not_believed(value) -> None:
    assert origin({} if value is None else {"x-forwarded-for": value}, PROXIES_COUNT=2) == DIRECT


@pytest.mark.parametrize(
    ("proto", "count", "scheme"),
    [
        ("https", 1, "https"),
        ("HTTPS", 2, "https"),
        ("wss", 1, "https"),
        ("ws", 1, "http"),
        ("https, http", 1, "http"),
        ("http, https, http", 2, "https"),
        ("gopher", 1, "http"),
    ],
)
def test_the_scheme_goes_with_it(proto, count, scheme) -> None:
    headers = {"x-forwarded-for": "192.0.2.1, 10.0.0.1", "x-forwarded-proto": proto}
    assert origin(headers, PROXIES_COUNT=count).scheme == scheme


@pytest.mark.parametrize(
    ("said", "host"),
    [
        ("b.example", "b.example"),
        ("b.example:8443", "b.example:8443"),
        ("[::1]:80", "[::1]:80"),
        ("b.example/path", "a.example"),
        ("user@b.example", "a.example"),
        ("b.example:80x", "a.example"),
        ("<b>", "a.example"),
        ("", "a.example"),
    ],
)
def test_the_host_goes_with_it_if_it_is_one(said, host) -> None:
    assert origin({"x-forwarded-for": "192.0.2.1", "x-forwarded-host": said}, PROXIES_COUNT=1).host == host


# --- the header of one's own proxy ------------------------------------------------------------------------------------


def test_the_real_ip_header_goes_before_the_list() -> None:
    headers = {**EVERYTHING, "x-real-ip": "198.51.100.7", "x-forwarded-host": "b.example"}
    expected = Origin("198.51.100.7", None, "https", "b.example")
    assert origin(headers, REAL_IP_HEADER="X-Real-IP", PROXIES_COUNT=1) == expected


def test_without_that_header_it_says_nothing() -> None:
    assert origin({"x-forwarded-proto": "https"}, REAL_IP_HEADER="X-Real-IP") == DIRECT


def test_two_addresses_in_it_are_none() -> None:
    """The proxy has not overwritten what the client sent: which is which?"""
    headers = [("x-real-ip", "6.6.6.6"), ("x-real-ip", "192.0.2.1")]
    assert origin(headers, REAL_IP_HEADER="X-Real-IP").client_ip is None


# --- Forwarded --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=192.0.2.1;secret=s3", Origin("192.0.2.1", None, "http", "a.example")),
        ("for=192.0.2.1;by=s3", Origin("192.0.2.1", None, "http", "a.example")),
        ('For="[2001:db8::1]:80" ; Secret = "s3"', Origin("2001:db8::1", 80, "http", "a.example")),
        ("for=1.1.1.1;proto=https;host=b.example;secret=s3", Origin("1.1.1.1", None, "https", "b.example")),
        ("for=6.6.6.6, for=1.1.1.1;secret=s3", Origin("1.1.1.1", None, "http", "a.example")),
        ("for=1.1.1.1;secret=s3, for=10.0.0.1", Origin("1.1.1.1", None, "http", "a.example")),
        ("for=9.9.9.9;secret=s3, for=1.1.1.1;secret=s3", Origin("1.1.1.1", None, "http", "a.example")),
        ('for="6.6.6.6, for=1.1.1.1;secret=s3', Origin("1.1.1.1", None, "http", "a.example")),
        ("for=_hidden;secret=s3", Origin(None, None, "http", "a.example")),
        ("secret=s3", Origin(None, None, "http", "a.example")),
        ("for=6.6.6.6;secret=s4", DIRECT),
        ("for=6.6.6.6;secret=", DIRECT),
        ("for=6.6.6.6", DIRECT),
        ("=;,;é", DIRECT),
    ],
)
def test_the_element_with_the_secret_is_believed(value, expected) -> None:
    assert origin({"forwarded": value}, FORWARDED_SECRET="s3") == expected


def test_without_it_the_others_are_asked() -> None:
    assert origin(EVERYTHING, FORWARDED_SECRET="s3", PROXIES_COUNT=1).client_ip == "192.0.2.1"


@pytest.mark.parametrize("piece", [",", ";", "for=", '"', "for=1.1.1.1;secret=x,", "=,"])
@pytest.mark.parametrize("name", ["forwarded", "x-forwarded-for"])
def test_reading_is_linear(name, piece) -> None:
    began = time.process_time()
    origin({name: piece * (16384 // len(piece))}, FORWARDED_SECRET="s3", PROXIES_COUNT=3)
    assert time.process_time() - began < 0.1


@pytest.mark.parametrize("node", ["1" * 16384, ":" * 16384, "[" + ":" * 16384, "1:" * 8192, "::1" + ":1" * 8000 + "x"])
def test_reading_an_address_is_linear(node) -> None:
    began = time.process_time()
    origin({"x-forwarded-for": node, "x-forwarded-host": node}, PROXIES_COUNT=1)
    assert time.process_time() - began < 0.05
