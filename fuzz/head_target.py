"""Searches for request heads which the fast lane and the law read differently, guided by coverage.

    make fuzz                                        a minute
    make fuzz FUZZ="-max_total_time=600"             ten of them; all options of libFuzzer
    python fuzz/head_target.py [OPTION...] [CORPUS]  as above, in a folder of one's own
    python fuzz/head_target.py build/fuzz/crash-...  once more what was found

It starts from the heads of `tests/corpora` and asks what `tests/fuzz/test_head_fuzz.py` asks: `agrees`.  What it finds
interesting it keeps in the corpus, and goes on from there the next time.  A disagreement, an exception that is no
refusal, and a head that takes seconds end the search; the octets are left in a file ``crash-*`` or ``timeout-*``.  Such
a finding becomes a case of that test, or of `tests/corpora`.

Now and then it writes how many heads were asked about, and how many of them took the lane: where that is next to none,
nothing is proved.
"""

from __future__ import annotations

import hashlib
import random
import re
import sys
import time
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("fuzzing needs atheris, which is built for CPython on Linux only: pip install 'trioframe[fuzz]'")

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

with atheris.instrument_imports(include=["trioframe.http", "h11"]):
    from head_agreement import SMALL, agrees, block_of, takes_the_lane

    from trioframe.http.limits import H1Limits

from corpora_reader import CORPORA, load  # noqa: E402 - it is not what is searched

BUILD = ROOT / "build" / "fuzz"
LIMITS = H1Limits()
EVERY = 10.0  # seconds between two lines of the tally


class Tally:
    """What has been asked so far."""

    def __init__(self) -> None:
        self.began = self.shown = time.monotonic()
        self.heads = 0
        self.taken = 0

    def add(self, taken: bool) -> None:
        self.heads += 1
        self.taken += taken
        now = time.monotonic()
        if now > self.shown + EVERY:
            self.shown = now
            seconds, share = now - self.began, self.taken / self.heads
            sys.stderr.write(f"{self.heads} heads in {seconds:.0f} s; {share:.1%} of them took the lane\n")


tally = Tally()


def ask(octets: bytes) -> None:
    # The law reads only what takes the lane.  So nearly all that is new to the search, and kept, is plain.
    block = block_of(octets)
    tally.add(takes_the_lane(block, LIMITS))
    for limits in (LIMITS, SMALL):
        if not agrees(block, limits):
            raise AssertionError(f"the law does not say what the lane says of {block!r} within {limits}")


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


def plant(corpus: Path) -> None:
    """Put the heads of the corpora into the folder to start from."""
    corpus.mkdir(parents=True, exist_ok=True)
    for folder in CORPORA.iterdir():
        for case in load(folder.name) if folder.is_dir() else ():
            block = block_of(case.octets)
            if len(block) <= LIMITS.max_head_size:
                corpus.joinpath(hashlib.sha1(block, usedforsecurity=False).hexdigest()).write_bytes(block)


def main() -> None:
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    corpora = [argument for argument in sys.argv[1:] if not argument.startswith("-")] or [str(BUILD / "heads")]
    BUILD.mkdir(parents=True, exist_ok=True)
    if not Path(corpora[0]).is_file():  # to be asked about once more
        plant(Path(corpora[0]))
    usual = [f"-artifact_prefix={BUILD}/", f"-dict={Path(__file__).with_name('http1.dict')}"]
    usual += ["-max_len=16384", "-timeout=5", "-max_total_time=60"]
    atheris.Setup([sys.argv[0], *usual, *options, *corpora], ask, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
