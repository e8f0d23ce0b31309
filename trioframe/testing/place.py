"""Says where in the user's code something stands, in words for a report.

It must not know what is reported.
"""

from __future__ import annotations

import linecache
import os
import sysconfig
from pathlib import Path

import trio
from trio.lowlevel import Task

__all__ = ["place_of", "shorten"]

# Nobody looks for a bug there first: the framework itself; the standard library, installed packages, and Trio.
_OURS = str(Path(__file__).parent.parent) + os.sep
_OTHERS = tuple(
    {path + os.sep for name, path in sysconfig.get_paths().items() if name.endswith("lib")}
    | {str(Path(trio.__file__).parent) + os.sep}
)


def place_of(task: Task) -> str:
    """Where a waiting task stands: ``app.py:9 in handler > app.py:3 in fetch: await response()``.

    These are the frames that are neither a library's nor ours; failing that, the innermost of ours, or of all.
    """
    frames = [frame for frame, _ in task.iter_await_frames()]
    theirs = [frame for frame in frames if not frame.f_code.co_filename.startswith((_OURS, *_OTHERS))]
    ours = [frame for frame in frames if frame.f_code.co_filename.startswith(_OURS)]
    shown = theirs or ours[-1:] or frames[-1:]
    way = [f"{shorten(frame.f_code.co_filename)}:{frame.f_lineno} in {frame.f_code.co_name}" for frame in shown]
    text = linecache.getline(shown[-1].f_code.co_filename, shown[-1].f_lineno).strip()
    return f"{' > '.join(way)}: {text}"


def shorten(file: str) -> str:
    """The path as seen from the current directory, if it is below."""
    path = Path(file)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
