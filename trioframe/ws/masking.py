"""Taking the mask from a payload (RFC 6455 section 5.3).

    transformed-octet-i = original-octet-i XOR masking-key-octet-(i MOD 4)

Python has no fast loop over octets.  So the loop is that of the library websockets, written in C, where it is installed
(``trioframe[speed]``); or else one in C that is there for something else:

* An integer is an array of digits, and one XOR goes over all of them.  It has little to prepare, but octets have to be
  made digits and these octets again.
* A table of 256 octets tells what one octet of the key makes of any other, and `translate` looks up a quarter of the
  payload at once.  It takes three times the preparation, and less time for each octet.

Microseconds for so many octets of payload, CPython 3.11:

    octets        16    125    256   1024   4096  16384  65536
    websockets   0.1    0.1    0.1    0.1    0.2    0.4    1.3
    integers     0.3    0.5    0.7    2.3    7.5     29    114
    tables       0.9    1.0    1.2    2.0    5.2     18     71
    a loop       1.2    6.5     13     53    260   1000   3500
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["unmask", "unmask_in_python"]

Octets = bytes | bytearray | memoryview

_FEW: Final = 640  # octets; more are faster by tables

_number: Final = int.from_bytes
_TABLES: Final = [bytes(octet ^ key for octet in range(256)) for key in range(256)]


def unmask_in_python(payload: Octets, key: bytes | bytearray) -> bytes:
    """`payload` without its mask, or with it, as masking twice is not masking at all.

    Parameters:
      key: four octets.
    """
    size = len(payload)
    if size > _FEW:
        return _by_tables(payload, key)
    mask = (key * (size // 4 + 1))[:size]
    return (_number(payload, "big") ^ _number(mask, "big")).to_bytes(size, "big")


def _by_tables(payload: Octets, key: bytes | bytearray) -> bytes:
    octets = bytearray(payload)  # not bytes, of which every fourth is taken in nearly twice the time
    for place, octet in enumerate(key):
        octets[place::4] = octets[place::4].translate(_TABLES[octet])
    return bytes(octets)


try:
    from websockets.speedups import apply_mask as unmask_in_c
except ImportError:
    unmask: Callable[[Octets, bytes | bytearray], bytes] = unmask_in_python
else:
    unmask = unmask_in_c
