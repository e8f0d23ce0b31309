"""JSON as the standard library reads it, without what that does anew for each text.

`json.loads` is the law: it finds out how octets are encoded, and looks through its parameters.  Where the first two are
ASCII and no NUL the encoding is UTF-8, as it nearly always is (RFC 8259 section 8.1), and the decoder can begin.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

__all__ = ["read_json"]

_decode: Final = json.JSONDecoder().decode
# A byte order mark begins beyond ASCII; in UTF-16 and UTF-32 without one, one of the first two octets is NUL.
_begins_as_utf_8: Final = re.compile(rb"[\x01-\x7f]{2}").match


def read_json(octets: bytes) -> Any:
    """The value of a JSON text; what is returned and raised is what `json.loads` would."""
    if _begins_as_utf_8(octets) is None:
        return json.loads(octets)
    return _decode(octets.decode("utf-8", "surrogatepass"))
