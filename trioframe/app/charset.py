"""The text of a body, by the charset its Content-Type names (RFC 9110 section 8.3.2).

A peer may not name just any of Python's codecs: some take quadratic time, and each unknown name would be remembered for
ever.  The table has what clients still send.
"""

from __future__ import annotations

import re

from ..errors import BadRequest, HTTPError

__all__ = ["decode_text"]

_CODECS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}
# parameter = "charset" "=" ( token / quoted-string ) (RFC 9110 section 5.6.6)
_CHARSET = re.compile(r';[ \t]*charset="?([^";, \t]+)', re.IGNORECASE)


def decode_text(body: bytes, content_type: str | None) -> str:
    """`body` as text; UTF-8 if `content_type` does not say otherwise.

    Raises:
      HTTPError: 415 for a charset that is not known, 400 for a body that is not in it.
    """
    match = _CHARSET.search(content_type or "")
    charset = match[1].lower() if match else "utf-8"
    if charset not in _CODECS:
        raise HTTPError(415, f"the charset of the body is not supported; use one of {', '.join(_CODECS)}")
    try:
        return body.decode(_CODECS[charset])
    except UnicodeDecodeError:
        raise BadRequest(f"the body is not valid {charset}") from None
