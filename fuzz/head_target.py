"""Searches for request heads which the fast lane and the law read differently, guided by coverage.

    make fuzz                                        a minute, and another one for frames
    make fuzz FUZZ="-max_total_time=600"             ten of them each; all options of libFuzzer
    python fuzz/head_target.py [OPTION...] [CORPUS]  heads alone; see `searching`

It starts from the heads of `tests/corpora` and asks what `tests/fuzz/test_head_fuzz.py` asks: `agrees`.  What it finds
becomes a case of that test, or of `tests/corpora`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

from searching import atheris, search

with atheris.instrument_imports(include=["trioframe.http", "h11"]):
    from head_agreement import SMALL, agrees, block_of, takes_the_lane

    from trioframe.http.limits import H1Limits

from corpora_reader import CORPORA, load

LIMITS = H1Limits()


def ask(octets: bytes) -> bool:
    """Whether the head in `octets` takes the lane; raises if the law does not agree."""
    # The law reads only what takes the lane.  So nearly all that is new to the search, and kept, is plain.
    block = block_of(octets)
    for limits in (LIMITS, SMALL):
        if not agrees(block, limits):
            raise AssertionError(f"the law does not say what the lane says of {block!r} within {limits}")
    return takes_the_lane(block, LIMITS)


# --- how heads are changed --------------------------------------------------------------------------------------------

USUAL_LINES = [b"Host: a", b"Content-Length: 5", b"Connection: close", b"connection: keep-alive", b"X: a", b"Te: b"]
PUNCTUATION = b'\t\n\r !"#%,/:;?@\\\x7f\xff'


def change(octets: bytes, max_size: int, seed: int) -> bytes:
    """As libFuzzer changes octets, or as little of a head as leaves it a head."""
    chance = random.Random(seed)
    lines = octets.split(b"\r\n")
    place = chance.choice([0, chance.randrange(len(lines))])  # most that can be odd is in the request line
    match chance.randrange(10):
        case 0 | 1:
            return bytes(atheris.Mutate(octets, max_size))
        case 2:
            lines.insert(place, chance.choice(lines))
        case 3:
            lines.insert(place, chance.choice(USUAL_LINES))
        case 4:
            del lines[place]
        case 5:
            lines[place] = lines[place].swapcase()
        case 6 | 7:
            line, middle = lines[place], chance.randint(0, len(lines[place]))
            lines[place] = line[:middle] + bytes([chance.choice(PUNCTUATION)]) + line[middle:]
        case _:
            lines[place] = change_part(lines[place], chance)
    return b"\r\n".join(lines)[:max_size]


def change_part(line: bytes, chance: random.Random) -> bytes:
    """Of a method, a target, a name or a value, and of nothing else."""
    parts = re.split(rb"(: | |\?)", line)
    place = chance.randrange(0, len(parts), 2)
    parts[place] = bytes(atheris.Mutate(parts[place], len(parts[place]) + 20))
    return b"".join(parts)


def seeds() -> Iterator[bytes]:
    """The heads of the corpora."""
    for folder in CORPORA.iterdir():
        for case in load(folder.name) if folder.is_dir() else ():
            block = block_of(case.octets)
            if len(block) <= LIMITS.max_head_size:
                yield block


if __name__ == "__main__":
    search("heads", ask, change, seeds, f"-dict={Path(__file__).with_name('http1.dict')}", "-max_len=16384")
