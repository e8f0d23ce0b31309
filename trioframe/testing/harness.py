"""Cancels a request at every checkpoint it has, one after the other, and reports what that breaks.

A handler can be cancelled wherever it awaits, and must be right in all these places.  Nobody writes a test for each.
So the request is made once without being cancelled, then again and again, cancelled at its first checkpoint, at its
second, and so on, until a run gets through before its turn comes.  After each of them the same request is made once
more, undisturbed: whatever the cancelled one has kept - a lock, a slot of a pool - is missed then.

Rules of this file:

* A run is judged by `Trial`.  Here is only which runs there are, and what they mean together.
* What goes wrong without a cancellation goes wrong anyway, and is reported once, as such.
* Once the app does not recover, further runs would tell nothing new: the search ends there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import h11

from ..app.app import App
from .report import Finding, Report
from .trial import ALL_REASONS, Reason, Scenario, Trial
from .watch import Watch

__all__ = ["cancel_everywhere"]


async def cancel_everywhere(
    app: App,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes | Sequence[bytes] = b"",
    reasons: Sequence[Reason] = ("disconnect", "timeout"),
    watch: Watch | None = None,
    after: Callable[[], object] | None = None,
    limit: int | None = None,
    patience: float = 30.0,
) -> Report:
    """Make a request again and again, and cancel it at its first checkpoint, at its second, ..., for each reason.

    ``(await cancel_everywhere(app, "GET", "/report")).check()`` raises an AssertionError if, in any of these runs,

    * the handler swallowed its cancellation, or did not end within `patience`;
    * a task that it had started went on, an async generator was not closed, or a coroutine never awaited;
    * the server logged an error, answered wrongly or not at all, left the connection open, or got the access log wrong;
    * `watch` did not balance, or `after` raised;
    * the next request was not answered as the first one was.

    The handler runs some two times for each checkpoint and reason, with whatever it does to the world outside.

    Use an `autojump_clock`, and what sleeps costs no time.

    Parameters:
      target: path and query.
      content: the body, sent together with the head; or its pieces, each sent only when everything waits for it.
      reasons: "disconnect" resets the connection; "timeout", "shutdown" and "application" cancel the request as a
        deadline, a stopping server and `request.cancel()` do.
      watch: what is opened in it has to be closed by the end of each run.
      after: called (and awaited) after each run; raises if something is not as it should be.
      limit: how many checkpoints are tried, for a response that never ends by itself.
      patience: seconds that a run may take.

    If cancelled, the request that runs is cancelled too.
    """
    if unknown := set(reasons) - set(ALL_REASONS):
        raise ValueError(f"no such reason: {', '.join(sorted(unknown))}; there are {', '.join(ALL_REASONS)}")
    scenario = Scenario(
        app=app,
        method=method,
        wire=_wire(method, target, headers or {}, content),
        endless=limit is not None,
        patience=patience,
        watch=watch or Watch(),
        after=after,
    )
    report = Report(f"{method} {target}", tuple(reasons))
    first = Trial(scenario)
    await first.run()
    report.findings += [Finding(problem) for problem in first.problems]
    if first.response is None or first.stuck:
        report.complete = False
    elif not first.handled:
        report.complete = False
        report.findings.append(Finding(f"no handler ran: the answer was {first.response.status}"))
    else:
        for reason in reasons:
            report.complete = report.complete and await _cancel_at_each(scenario, first, reason, limit, report)
    return report


async def _cancel_at_each(scenario: Scenario, first: Trial, reason: Reason, limit: int | None, report: Report) -> bool:
    """Try one checkpoint after the other, as long as the app recovers; whether it did each time."""
    for checkpoint in itertools.count(1) if limit is None else range(1, limit + 1):
        trial = Trial(scenario, reason, checkpoint)
        await trial.run()
        if trial.checkpoints.place is None:
            break  # the request has not got so many
        harm = [] if trial.stuck else await _harm(scenario, first)
        problems = [problem for problem in trial.problems if problem not in first.problems]
        report.add(reason, checkpoint, trial.checkpoints.place, problems + harm)
        if trial.stuck or harm:
            return False
    return True


async def _harm(scenario: Scenario, first: Trial) -> list[str]:
    """What a cancelled request has done to the one that follows it."""
    following = Trial(scenario)
    await following.run()
    problems = [problem for problem in following.problems if problem not in first.problems]
    before, now = _status(first), _status(following)
    if now >= 500 and now != before:
        problems.append(f"the answer was {now} instead of {before}")
    return [f"in the next request: {problem}" for problem in problems]


def _status(trial: Trial) -> int:
    return 0 if trial.response is None else trial.response.status


def _wire(method: str, target: str, headers: Mapping[str, str], content: bytes | Sequence[bytes]) -> list[bytes]:
    """The request as bytes: whole, or as the pieces it is to be sent in."""
    writer = h11.Connection(h11.CLIENT)
    fields = list(headers.items())
    if "host" not in {name.lower() for name in headers}:
        fields.insert(0, ("Host", "testserver"))
    if not isinstance(content, bytes):
        fields.append(("Transfer-Encoding", "chunked"))
    elif content:
        fields.append(("Content-Length", str(len(content))))
    head = writer.send(h11.Request(method=method, target=target, headers=fields))
    pieces = [content] if isinstance(content, bytes) else content
    body = [writer.send(h11.Data(data=piece)) for piece in pieces]
    wire = [data or b"" for data in (head, *body, writer.send(h11.EndOfMessage()))]
    return [b"".join(wire)] if isinstance(content, bytes) else wire
