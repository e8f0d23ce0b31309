"""One epoll registration for each plain socket: the fast road below a connection, on Linux.

Trio registers a socket anew for every wait, and passes through its scheduler for every operation.  For a server that
answers in microseconds this is most of the cost.  Here every socket is registered once, edge-triggered, with an epoll
of the server's own; a task that must wait parks, and one task - `Reactor.run` - waits with Trio for that epoll and
wakes whom it concerns.  And because the kernel reports a peer's going (`EPOLLRDHUP`) by itself, a busy connection needs
nobody to watch it.

How it works:

* **Edges.**  The kernel tells of a change once.  So the stream keeps what it was told: `_readable` and `_writable` are
  set by an edge and cleared only when the kernel has said "not now" - by EAGAIN, or by a read or write that was shorter
  than asked for, which on a stream socket says the same (epoll(7)).  A stale edge costs a vain try, never a lost wake.
* **Tried first.**  `receive_nowait` and `send_nowait` try without waiting and are no checkpoints: whoever uses them
  sees to it that it yields after a bounded amount of work.  `receive_some` and `send_all` are what Trio says they are:
  checkpoints in every case, with its errors, and safe to cancel (a cancelled `send_all` may have sent a part).
* **Parking.**  A waiting task sits in `wait_task_rescheduled`; the wake-up only says "try again", by one outcome that
  serves for all of them (Trio would make one for each).  One reader and one writer at a time; another one gets
  `trio.BusyResourceError`.
* **Going.**  `EPOLLRDHUP` alone is a FIN; with `EPOLLHUP` or `EPOLLERR` nothing reaches the peer any more.  Both are
  told at once, also in front of bytes that nobody has read, and remembered for a listener that comes later.
* **More.**  Bytes sent with the word that more follows may wait in the kernel for a fuller packet.  `push` lets them
  leave; so does whatever is sent next without that word, and the end of the stream.
* **Closing.**  A socket leaves the epoll and the table before it is closed, so neither a late event nor a file
  descriptor that is used again can reach the wrong stream.  Events are handled in one go, without an await between
  them.

Nothing but the server knows of it: to connections it is a `Transport` like any other.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

import trio
from trio.lowlevel import Abort, Task, checkpoint_if_cancelled, current_task, reschedule, wait_task_rescheduled

from ..http.transport import PeerListener, Transport
from .linger import discard
from .sockets import reset_on_close

if TYPE_CHECKING:
    import outcome

__all__ = ["Reactor", "ReactorStream"]

logger = logging.getLogger("trioframe.server")

EVENTS_AT_ONCE = 1024
DEFAULT_RECEIVE_SIZE = 64 * 1024  # bytes
_MORE = getattr(socket, "MSG_MORE", 0)


class _TryAgain:
    """What a parked task is woken with.  It says nothing, and unlike an outcome of Trio may be unwrapped again."""

    def unwrap(self) -> None: ...


# To be unwrapped is all that Trio's wait wants of it.
_TRY_AGAIN = cast("outcome.Outcome[None]", _TryAgain())


class Reactor:
    """The epoll of one server; `run` has to be running as long as its streams are used.

    Attributes:
      available: whether this system has what it takes.
    """

    available = hasattr(select, "epoll")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._scope = trio.CancelScope(shield=True)
        self._streams: dict[int, ReactorStream] = {}

    async def run(self) -> None:
        """Wake the tasks that wait for sockets, until `stop`.

        Cancellation does not end it: what cleans up, shielded, in a connection still has to be woken.
        """
        fd = self._epoll.fileno()
        poll, streams = self._epoll.poll, self._streams
        with self._scope, self._epoll:
            while True:
                await trio.lowlevel.wait_readable(fd)
                for fileno, events in poll(0, EVENTS_AT_ONCE):
                    stream = streams.get(fileno)
                    if stream is not None:
                        try:
                            stream._tell(events)
                        except Exception:
                            logger.exception("a connection failed when it was told of its socket")
                            stream.close_nowait()

    def stop(self) -> None:
        """End `run`; by now all streams have been closed."""
        self._scope.cancel()

    def take_over(self, stream: trio.SocketStream) -> ReactorStream:
        """Make a stream of what Trio has accepted; `stream` is of no use afterwards."""
        theirs = stream.socket
        family, kind, proto = theirs.family, theirs.type, theirs.proto
        ours = socket.socket(family, kind, proto, fileno=theirs.detach())
        ours.setblocking(False)
        return self.adopt(ours)

    def adopt(self, sock: socket.socket) -> ReactorStream:
        """Make a stream of a connected, non-blocking socket; it is closed with the stream."""
        stream = ReactorStream(self, sock)
        fileno = sock.fileno()
        try:
            self._epoll.register(fileno, _EVENTS)
        except OSError:  # no memory, or too many registrations
            sock.close()
            raise
        self._streams[fileno] = stream
        return stream

    def _forget(self, fileno: int) -> None:
        del self._streams[fileno]
        self._epoll.unregister(fileno)


if Reactor.available:
    _EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
    _READABLE = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
    _WRITABLE = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR
    _GONE = select.EPOLLHUP | select.EPOLLERR
    _HALF_CLOSED = select.EPOLLRDHUP


class ReactorStream(Transport, trio.abc.HalfCloseableStream):
    """A connected socket; made by `Reactor.adopt`."""

    __slots__ = (
        "_corked",
        "_eof_sent",
        "_fileno",
        "_gone",
        "_half_closed",
        "_lingered",
        "_listener",
        "_on_readable",
        "_reactor",
        "_readable",
        "_reader",
        "_recv",
        "_send",
        "_sending",
        "_writable",
        "_writer",
        "socket",
    )

    def __init__(self, reactor: Reactor, sock: socket.socket) -> None:
        self.socket = sock
        self._reactor = reactor
        self._recv, self._send = sock.recv, sock.send
        self._fileno = sock.fileno()  # -1 once closed
        self._readable = self._writable = True
        self._reader: Task | None = None
        self._writer: Task | None = None
        self._sending = False
        self._corked = False  # the last bytes sent may wait for more
        self._eof_sent = False
        self._listener: PeerListener | None = None
        self._on_readable: Callable[[], object] | None = None
        self._half_closed = False
        self._gone = False
        self._lingered: trio.Event | None = None  # a task lingers, or has

    # --- the peer ----------------------------------------------------------------------------------------------------

    def watch(self, listener: PeerListener | None) -> None:
        self._listener = listener
        if self._half_closed and listener is not None:
            self._report(listener)

    def when_readable(self, call: Callable[[], object] | None) -> None:
        self._on_readable = call
        if call is not None and self._readable and self._reader is None:
            call()

    def _report(self, listener: PeerListener) -> None:
        if self._gone:
            listener.peer_reset()
        else:
            listener.peer_half_closed()

    def _tell(self, events: int) -> None:
        """What the kernel has to say."""
        gone = events & (_HALF_CLOSED | _GONE)
        if gone:  # known before anybody reads: behind what is read, the end is to be read
            self._half_closed = True
            self._gone = self._gone or bool(events & _GONE)
        if events & _READABLE:
            self._readable = True
            if self._reader is not None:
                task, self._reader = self._reader, None  # `_wake_reader`, without the call: most events are this one
                reschedule(task, _TRY_AGAIN)
            elif self._on_readable is not None:
                self._on_readable()
        if events & _WRITABLE:
            if self._sending:  # who waits to send has the turn: until its task runs, nobody sends in front of it
                self._wake_writer()
            else:
                self._writable = True
        if gone and self._listener is not None:
            self._report(self._listener)

    # --- receiving ---------------------------------------------------------------------------------------------------

    def receive_nowait(self, max_bytes: int = DEFAULT_RECEIVE_SIZE) -> bytes | None:
        """What is there, b"" at the end of the stream, or None if it must be waited for.  Raises as `receive_some`."""
        if not self._readable:
            return None
        try:
            data = self._recv(max_bytes)
        except BlockingIOError:
            self._readable = False
            return None
        except OSError as exc:
            raise self._translate(exc) from exc
        # A short read has emptied the socket; but where the end is known to be near, it is still to be read.
        if len(data) < max_bytes and not self._half_closed:
            self._readable = False
        return data

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if max_bytes is None:
            max_bytes = DEFAULT_RECEIVE_SIZE
        elif max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        if self._reader is not None:
            await trio.lowlevel.checkpoint()
            raise trio.BusyResourceError("another task is receiving from this stream")
        if self._readable:
            await checkpoint_if_cancelled()
            data = self.receive_nowait(max_bytes)
            if data is not None:
                await trio.lowlevel.cancel_shielded_checkpoint()
                return data
        while True:
            self._reader = current_task()
            await wait_task_rescheduled(self._forget_reader)
            data = self.receive_nowait(max_bytes)
            if data is not None:
                return data

    def _forget_reader(self, raise_cancel: object) -> Abort:
        self._reader = None
        return Abort.SUCCEEDED

    def _wake_reader(self) -> None:
        if self._reader is not None:
            task, self._reader = self._reader, None
            reschedule(task, _TRY_AGAIN)

    # --- sending -----------------------------------------------------------------------------------------------------

    def send_nowait(self, data: bytes | bytearray | memoryview, more: bool = False) -> int:
        """How many of the bytes were sent without waiting.  Raises as `send_all`."""
        if self._eof_sent:
            raise trio.ClosedResourceError("the end of this stream was sent")
        if not self._writable:
            return 0
        self._corked = more
        try:
            sent = self._send(data, _MORE if more else 0) if len(data) or self._fileno < 0 else 0
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            raise self._translate(exc) from exc
        if sent < len(data):
            self._writable = False
        return sent

    def push(self) -> None:
        if self._corked and self._fileno >= 0:
            self._corked = False
            with contextlib.suppress(OSError):  # a unix socket, where nothing waits; or a peer that has gone
                # tcp(7): setting this option forces an explicit flush of pending output.
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await checkpoint_if_cancelled()
        with self._sole_sender():
            rest = memoryview(data)
            while len(rest := rest[self.send_nowait(rest) :]):
                await self._wait_writable()
            await trio.lowlevel.cancel_shielded_checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        await checkpoint_if_cancelled()
        with self._sole_sender():
            if self._fileno < 0:
                raise trio.ClosedResourceError("this stream was closed")
            if not self._writable:
                await self._wait_writable()
                return
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def _wait_writable(self) -> None:
        self._writer = current_task()
        await wait_task_rescheduled(self._forget_writer)
        self._writable = True
        if self._fileno < 0:
            raise trio.ClosedResourceError("this stream was closed")

    def _forget_writer(self, raise_cancel: object) -> Abort:
        self._writer = None
        return Abort.SUCCEEDED

    def _wake_writer(self) -> None:
        if self._writer is not None:
            task, self._writer = self._writer, None
            reschedule(task, _TRY_AGAIN)

    @contextlib.contextmanager
    def _sole_sender(self) -> Iterator[None]:
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._sending = True
        try:
            yield
        finally:
            self._sending = False

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint()  # in front of the turn, which whoever sends meanwhile would find taken
        with self._sole_sender():
            self._send_eof()

    def _send_eof(self) -> None:
        if self._fileno < 0:
            raise trio.ClosedResourceError("this stream was closed")
        if not self._eof_sent:
            self._eof_sent = True
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError as exc:
                raise self._translate(exc) from exc

    # --- ending ------------------------------------------------------------------------------------------------------

    def _translate(self, error: OSError) -> Exception:
        """The kernel's error in Trio's words."""
        if self._fileno < 0:
            return trio.ClosedResourceError("this stream was closed")
        self._half_closed = self._gone = True
        if self._listener is not None:
            self._listener.peer_reset()
        return trio.BrokenResourceError(f"the connection broke: {error.strerror}")

    def close_nowait(self) -> bool:
        if self._fileno >= 0:
            self._reactor._forget(self._fileno)
            self._fileno = -1
            self.socket.close()
            self._readable = self._writable = True  # so that who waits tries, and is told
            self._wake_reader()
            self._wake_writer()
        return True

    async def aclose(self) -> None:
        self.close_nowait()
        await trio.lowlevel.checkpoint()

    async def linger(self) -> None:
        if self._lingered is not None:
            await self._lingered.wait()
            return
        if self._gone or self._sending:
            return
        self._lingered = trio.Event()
        try:
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                self._send_eof()
                await discard(self)
        finally:
            self._lingered.set()

    def abort(self) -> None:
        reset_on_close(self)
