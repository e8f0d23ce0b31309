"""The text of a body by the charset of its Content-Type."""

from __future__ import annotations

import pytest

from trioframe.app.charset import decode_text
from trioframe.errors import BadRequest, HTTPError


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (None, "é".encode()),
        ("text/plain", "é".encode()),
        ("text/plain; charset=UTF-8", "é".encode()),
        ('text/plain; x=y;charset="utf8"', "é".encode()),
        ("text/plain; charset=iso-8859-1", b"\xe9"),
        ("text/plain; charset=windows-1252", b"\xe9"),
        ("text/plain; charset=utf-16le", b"\xe9\x00"),
    ],
)
def test_decoding(content_type, body) -> None:
    assert decode_text(body, content_type) == "é"


@pytest.mark.parametrize("content_type", [None, "text/plain; charset=ascii"])
def test_a_body_that_is_not_in_its_charset(content_type) -> None:
    with pytest.raises(BadRequest, match="not valid"):
        decode_text(b"\xff", content_type)


@pytest.mark.parametrize("charset", ["idna", "punycode", "unicode_escape", "zlib", "klingon", "utf-7"])
def test_only_known_charsets_are_tried(charset) -> None:
    """CVE-2022-45061: the idna codec takes quadratic time."""
    with pytest.raises(HTTPError, match="not supported") as caught:
        decode_text(b"x", f"text/plain; charset={charset}")
    assert caught.value.status == 415
