"""What is known of a connection."""

from __future__ import annotations

import pytest

from trioframe.http.exchange import ConnInfo


@pytest.mark.parametrize(
    ("conn", "ip", "port", "scheme"),
    [
        (ConnInfo(peername=("192.0.2.1", 5000)), "192.0.2.1", 5000, "http"),
        (ConnInfo(peername=("2001:db8::1", 5000, 0, 0), tls=object()), "2001:db8::1", 5000, "https"),
        (ConnInfo(peername="", unix=True), None, None, "http"),
        (ConnInfo(), None, None, "http"),
    ],
)
def test_who_is_there(conn: ConnInfo, ip: str | None, port: int | None, scheme: str) -> None:
    assert (conn.client_ip, conn.client_port, conn.scheme) == (ip, port, scheme)


def test_connections_are_counted_and_have_room() -> None:
    one, two = ConnInfo(), ConnInfo()
    assert two.id == one.id + 1
    one.ctx.user = "x"
    assert not hasattr(two.ctx, "user")
