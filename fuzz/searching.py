"""What the searches of this folder have in common: the command line, the corpus, and the tally.

    python fuzz/..._target.py [OPTION...] [CORPUS]      all options of libFuzzer, in a folder of one's own
    python fuzz/..._target.py build/fuzz/...-crash-...  once more what was found

A search starts from what it is given.  What it finds interesting it keeps in the corpus, and goes on from there the
next time.  A disagreement, an exception that is no refusal, and an input that takes seconds end it; the octets are left
in a file ``crash-*`` or ``timeout-*``, behind the name of the search.  Such a finding becomes a case of a test.

Now and then it writes how many inputs were asked about, and how many of them took the lane: where that is next to none,
nothing is proved.

It is imported first: it says what is missing, and makes the modules beside the tests known.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("fuzzing needs atheris, which is built for CPython on Linux only: pip install 'trioframe[fuzz]'")

__all__ = ["atheris", "search"]

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "fuzz"
EVERY = 10.0  # seconds between two lines of the tally

sys.path.insert(0, str(ROOT / "tests"))


class Tally:
    """What has been asked so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.began = self.shown = time.monotonic()
        self.asked = 0
        self.taken = 0

    def add(self, taken: bool) -> None:
        self.asked += 1
        self.taken += taken
        now = time.monotonic()
        if now > self.shown + EVERY:
            self.shown = now
            seconds, share = now - self.began, self.taken / self.asked
            sys.stderr.write(f"{self.asked} {self.name} in {seconds:.0f} s; {share:.1%} of them took the lane\n")


def search(
    name: str,
    ask: Callable[[bytes], bool],
    change: Callable[[bytes, int, int], bytes],
    seeds: Callable[[], Iterable[bytes]],
    *usual: str,
) -> None:
    """Ask until the time is over or something is found; it does not return.

    Parameters:
      name: of what is asked about, in the plural.
      ask: raises if there is a disagreement; returns whether the lane was taken.
      change: makes another input of one, of at most so many octets, by a seed.
      seeds: what the corpus starts from.
      usual: options of libFuzzer, which those of the command line come behind.
    """
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    corpora = [argument for argument in sys.argv[1:] if not argument.startswith("-")] or [str(BUILD / name)]
    BUILD.mkdir(parents=True, exist_ok=True)
    if not Path(corpora[0]).is_file():  # to be asked about once more
        plant(Path(corpora[0]), seeds())
    tally = Tally(name)

    def ask_and_count(octets: bytes) -> None:
        tally.add(ask(octets))

    usual = (f"-artifact_prefix={BUILD}/{name}-", "-timeout=5", "-max_total_time=60", *usual)
    atheris.Setup([sys.argv[0], *usual, *options, *corpora], ask_and_count, custom_mutator=change)
    atheris.Fuzz()


def plant(corpus: Path, seeds: Iterable[bytes]) -> None:
    """Put the seeds into the folder to start from."""
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        corpus.joinpath(hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
