"""The server's side of one HTTP/1 connection, as bytes in and events out, events in and bytes out (RFC 9112).

Nothing here waits, reads or writes.  A driver gives what it received to `receive_data`, asks `next_event` until that is
`NEED_DATA` or `PAUSED`, sends what the ``send_*`` methods return, and asks `start_next_cycle` for the next request.

Receiving runs a table of readers, one for each state of `reading_state`; sending runs the table of `response_state`.
The two are independent: a response may be complete before its request.

Rules of this file:

* Only the bytes of one message are looked at; what is pipelined behind it waits in the inbox.
* An error of the peer is final: it is raised again at each question.  A response can still refuse the request.
* An error of the application (`LocalProtocolError`) changes nothing, so that another response can take its place.
* Whatever leaves doubt about where the next request begins makes this one the last (`must_close`).

Where heads end is told by `framing`, what they mean by `strict`, what responses look like by `response_head`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ..errors import LocalProtocolError, RemoteProtocolError
from .chunked import ChunkedDecoder
from .date import http_date
from .events import CLOSED, NEED_DATA, PAUSED, Data, EndOfMessage, Event, IncompleteMessage, RequestHead
from .fields import Fields
from .framing import HeadCutter
from .head import recognise
from .inbox import Inbox
from .limits import H1Limits
from .reading_state import Reading
from .response_body import BodyFraming, ResponseBody
from .response_head import FinalHead, compose_final, compose_interim, compose_switch
from .response_plain import plain_response
from .response_state import DATA, END, HEAD, INFORMATIONAL, NEXT, REQUEST, RESPONSE, SWITCH, State
from .strict import parse_head

__all__ = ["H1Connection", "H1Limits", "IncompleteMessage"]


# The members by themselves: to look one up in its class costs as much as a call (CPython 3.11).
_HEAD, _LENGTH, _CHUNKED, _AT_END, _PAUSED, _CLOSED, _FAILED = Reading
_STATE_IDLE, _STATE_AWAITED, _, _STATE_COMPLETE, _STATE_SWITCHED = State


class H1Connection:
    """One connection; see the top of this file.

    Parameters:
      limits: sizes the peer must keep to.
      clock: gives the time in seconds since the epoch, for Date.

    Attributes:
      response_state: how far the response to the current request is.
      body_complete: every byte of the current request has become an event.  Then `start_next_cycle` needs only the
        response to be complete; an `EndOfMessage` need not have been asked for.
      must_close: the connection cannot be used for another request; settled once a final head was sent.
      ends_with_close: only closing the connection tells the peer that the response sent is whole.
    """

    __slots__ = (
        "_body",
        "_chunks",
        "_clock",
        "_cutter",
        "_eof",
        "_error",
        "_expecting",
        "_head",
        "_inbox",
        "_limits",
        "_may_switch",
        "_reading",
        "_unread",
        "body_complete",
        "ends_with_close",
        "must_close",
        "response_state",
    )

    def __init__(self, limits: H1Limits, clock: Callable[[], float] = time.time) -> None:
        self.response_state = _STATE_IDLE
        self.body_complete = False
        self.must_close = False
        self.ends_with_close = False
        self._limits = limits
        self._clock = clock
        self._inbox = Inbox()
        self._cutter = HeadCutter(limits)
        self._eof = False
        self._reading = _HEAD
        self._error: RemoteProtocolError
        self._head: RequestHead | None = None
        self._may_switch = False  # what follows the request may be another protocol
        self._expecting = False  # the peer asked for a 100 and got none
        self._unread = 0  # bytes of a LENGTH body
        self._chunks: ChunkedDecoder  # of a CHUNKED body; there is none before the first
        self._body: ResponseBody  # of a response that was begun with `send_head`

    # --- receiving ---------------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Take what was read from the peer, ``b""`` at the end of its stream; then ask `next_event`."""
        if not data:
            self._eof = True
        elif self._reading < _CLOSED:  # what comes behind the last request, or an error, is dropped
            self._inbox.append(data)

    def receive_head(self, data: bytes) -> Event:
        """`receive_data` and `next_event` in one, for what is received while a request is awaited."""
        if self._reading is _HEAD and not self._inbox.data and not self._cutter.begun:
            if data[-4:] == b"\r\n\r\n":
                head = recognise(data, self._limits)
            else:
                self._inbox.data = data
                head = self._recognise_head()
            if head is not None:
                return self._begin_request(head)
            self._inbox.data = b""
        self.receive_data(data)
        return self.next_event()

    def next_event(self) -> Event:
        """What the received bytes mean, one event at a time.

        `NEED_DATA`: call `receive_data`.  `PAUSED`: the request is whole; answer it, then call `start_next_cycle`.
        `CLOSED`: no request will come.

        Raises:
          RemoteProtocolError: the peer broke the protocol or a limit.  Answer `status` if no response was begun, and
            close.  From now on it is raised at each call.
          IncompleteMessage: the stream ended inside a request, which must not be acted on (RFC 9112 section 8).
        """
        try:
            return _READERS[self._reading](self)
        except RemoteProtocolError as error:
            # A copy: by its traceback the error itself holds this frame, and so this object.
            self._error = type(error)(str(error), error.status)
            self._reading = _FAILED
            self.body_complete = False
            self._inbox = Inbox()
            self.must_close = True
            raise

    def _read_head(self) -> Event:
        head = None if self._cutter.begun else self._recognise_head()
        if head is None:
            block = self._cutter.cut(self._inbox) if self._inbox.data else b""
            if not block:
                return self._wait_for_head()
            head = recognise(block, self._limits) or parse_head(block, self._limits)
        return self._begin_request(head)

    def _recognise_head(self) -> RequestHead | None:
        """A plain head that has come whole and with little behind it; what this does not take, the cutter does."""
        data = self._inbox.data
        size = data.find(b"\r\n\r\n") + 4
        if size < 4 or size > self._limits.max_head_size or len(data) - size > _LITTLE or type(data) is not bytes:
            return None
        head = recognise(data[:size], self._limits)
        if head is not None:
            self._inbox.data = data[size:]
        return head

    def _begin_request(self, head: RequestHead) -> RequestHead:
        self.response_state = REQUEST[self.response_state]
        self._head = head
        self._expecting = head.expect_continue
        # What follows a refused CONNECT may be meant for the tunnel.
        connect = head.method == "CONNECT"
        self._may_switch = connect or head.upgrade != b""
        self.must_close = connect or not head.keep_alive
        length = head.content_length
        if length == 0:
            self._reading = _AT_END
            self.body_complete = True
        elif length is None:
            self._chunks = ChunkedDecoder(self._limits)
            self._reading = _CHUNKED
        else:
            self._unread = length
            self._reading = _LENGTH
        return head

    def _wait_for_head(self) -> Event:
        if not self._eof:
            return NEED_DATA
        if self._inbox.data:
            raise IncompleteMessage("incomplete request: the stream ended inside the head")
        self._reading = _CLOSED
        return CLOSED

    def _read_length(self) -> Event:
        return Data(data) if (data := self._take_length()) else self._wait_for_body()

    def _take_length(self) -> bytes:
        data = self._inbox.take(self._unread)
        if data:
            self._expecting = False
            self._unread -= len(data)
            if not self._unread:
                self._reading = _AT_END
                self.body_complete = True
        return data

    def take_body(self) -> bytes | None:
        """The whole body, in the place of its events, if its length is known and all of it is here; else None."""
        if self._reading is not _LENGTH or len(self._inbox.data) < self._unread:
            return None
        return self._take_length() or None

    def _read_chunked(self) -> Event:
        event = self._chunks.next_event(self._inbox)
        if event is None:
            return self._wait_for_body()
        self._expecting = False
        if type(event) is EndOfMessage:
            self._end_message()
        return event

    def _wait_for_body(self) -> Event:
        if self._eof:
            raise IncompleteMessage("incomplete request: the stream ended inside the body")
        return NEED_DATA

    def _read_end(self) -> Event:
        self._end_message()
        return _END

    def _end_message(self) -> None:
        self.body_complete = True
        self._reading = _PAUSED
        if self.must_close and not self._may_switch:
            self._close()

    def _close(self) -> None:
        # What follows the last request is not processed (RFC 9112 section 9.6).
        self._reading = _CLOSED
        self._inbox = Inbox()

    def _read_paused(self) -> Event:
        if self.must_close and self.response_state is _STATE_COMPLETE:
            self._close()
            return CLOSED
        return PAUSED

    def _read_closed(self) -> Event:
        return CLOSED

    def _read_failed(self) -> Event:
        raise self._error

    # --- questions ---------------------------------------------------------------------------------------------------

    @property
    def buffered(self) -> int:
        """How many bytes have been received and are not events yet."""
        return len(self._inbox)

    @property
    def announced(self) -> int:
        """How many bytes of body the current request has, as far as the peer has said: all, or those of the chunks
        that have begun."""
        if self._head is None:
            return 0
        length = self._head.content_length
        return self._chunks.announced if length is None else length

    @property
    def expects_continue(self) -> bool:
        """Whether the peer holds its body back until it sees a 100 (Continue) (RFC 9110 section 10.1.1)."""
        return self._expecting and self.response_state is _STATE_AWAITED and not self._inbox.data

    # --- sending -----------------------------------------------------------------------------------------------------

    def send_response(
        self, status: int, headers: Fields, body: bytes, close: bool = False, reason: str | None = None
    ) -> bytes:
        """A whole response, to be sent at once, without `body` where there must be none; else as `send_head`."""
        state = RESPONSE[self.response_state]
        request = self._head
        if request is not None and reason is None and not (close or self.must_close or self._expecting):
            plain = plain_response(status, headers, body, request, self._clock)
            if plain is not None:
                self.ends_with_close = False
                self.response_state = state
                return plain
        head = self._compose(status, headers, len(body), close, reason)
        self.response_state = state
        return head.data if head.framing is BodyFraming.NOTHING else head.data + body

    def send_head(
        self,
        status: int,
        headers: Fields,
        *,
        content_length: int | None,
        close: bool = False,
        reason: str | None = None,
    ) -> bytes:
        """The head of a response whose body will follow.

        Parameters:
          status: 200 to 599.
          headers: names and values; Date and all framing are added.
          content_length: bytes of the body, None if unknown; a Content-Length among `headers` must agree.
          close: whether to end the connection after this response, and to say so.
          reason: the reason phrase, None for the standard one.

        Raises `LocalProtocolError` for a head HTTP cannot say or not now; then nothing has happened.
        """
        state = HEAD[self.response_state]
        head = self._compose(status, headers, content_length, close, reason)
        self._body = ResponseBody(head.framing, head.length)
        self.response_state = state
        return head.data

    def begin_response(
        self,
        status: int,
        headers: Fields,
        data: bytes,
        *,
        content_length: int | None,
        close: bool = False,
        reason: str | None = None,
        end: bool = False,
        trailers: Fields = (),
    ) -> bytes:
        """The head and the first piece of a body, and its end if `end`; see `send_head`, `send_data` and `send_end`.

        Raises `LocalProtocolError` if any of them would; then nothing has happened, and another response is possible.
        """
        before = self.response_state, self.must_close, self.ends_with_close
        try:
            head = self.send_head(status, headers, content_length=content_length, close=close, reason=reason)
            first = self.send_data(data)
            return b"".join((head, first, self.send_end(trailers) if end else b""))
        except BaseException:  # what is no bytes is a TypeError
            self.response_state, self.must_close, self.ends_with_close = before
            raise

    def send_data(self, data: bytes) -> bytes:
        """Some of the body, as it goes on the wire: nothing for nothing, and for a response that has no body.

        Raises `LocalProtocolError` for more than Content-Length said; then nothing has happened.
        """
        self.response_state = DATA[self.response_state]
        return self._body.encode(data)

    def send_end(self, trailers: Fields = ()) -> bytes:
        """The end of the response.

        Raises `LocalProtocolError` for trailers that cannot be sent, and for fewer bytes than Content-Length said; then
        nothing has happened.  If no more bytes come, the connection must be cut.
        """
        state = END[self.response_state]
        end = self._body.end(trailers)
        self.response_state = state
        return end

    def send_informational(self, status: int, headers: Fields = ()) -> bytes:
        """An interim response; nothing for HTTP/1.0, which knows none (RFC 9110 section 15.2).

        Raises `LocalProtocolError` for a head HTTP cannot say or not now.
        """
        self.response_state = INFORMATIONAL[self.response_state]
        interim = compose_interim(status, headers)
        if status == 100:
            self._expecting = False
        return b"" if self._head is None or self._head.version == "1.0" else interim

    def send_switch(self, status: int = 101, headers: Fields = ()) -> bytes:
        """The last HTTP of this connection: 101 to an Upgrade (RFC 9110 section 7.8), 2xx to CONNECT (section 9.3.6).

        Connection, and Upgrade if it is not among `headers`, are added to a 101.  Afterwards `leftover` has the peer's
        first bytes in the other protocol.

        Raises `LocalProtocolError` if the request did not ask for it, or is not complete.
        """
        state = SWITCH[self.response_state]
        head = self._head
        if head is None or not (head.upgrade if status == 101 else head.method == "CONNECT" and 200 <= status <= 299):
            raise LocalProtocolError(f"the request did not ask for what a {status} response would begin")
        if not self.body_complete:
            raise LocalProtocolError("the protocol can be switched only when the request has been read to its end")
        data = compose_switch(status, headers, request=head, date=http_date(self._clock()))
        self.response_state = state
        self._reading = _PAUSED
        self.must_close = True
        return data

    def leftover(self) -> bytes:
        """The bytes received behind the request that switched the protocol; they are given only once."""
        if self.response_state is not _STATE_SWITCHED:
            raise LocalProtocolError("the bytes received belong to HTTP: the protocol was not switched")
        return self._inbox.take(len(self._inbox))

    def _compose(self, status: int, headers: Fields, length: int | None, close: bool, reason: str | None) -> FinalHead:
        head = compose_final(
            status,
            headers,
            request=self._head,
            length=length,
            # A refusal of what was never a request closes.  So does a final answer to a peer that still holds its body
            # back: whether it will send that body now, nobody can know (RFC 9110 section 10.1.1).
            close=close or self.must_close or self._head is None or self.expects_continue,
            date=http_date(self._clock()),
            reason=reason,
        )
        self.must_close = head.close
        self.ends_with_close = head.framing is BodyFraming.UNTIL_CLOSE
        return head

    # --- from one request to the next --------------------------------------------------------------------------------

    def start_next_cycle(self) -> bool:
        """Turn to the next request; False if `next_event` can say nothing of it before more is received.

        Raises `LocalProtocolError` if the request or its response is not complete, or the connection must be closed.
        """
        state = NEXT[self.response_state]
        if self.must_close:
            raise LocalProtocolError("the next request cannot begin: the connection must be closed")
        if not self.body_complete:
            raise LocalProtocolError("the next request cannot begin: this one has not been read to its end")
        self.response_state = state
        self._reading = _HEAD
        self.body_complete = False
        self._head = None
        return self._eof or len(self._inbox.data) > 0


_END = EndOfMessage()
_LITTLE: Final = 4096  # bytes behind a head that are copied to get it out of the way

_READERS: Final[dict[Reading, Callable[[H1Connection], Event]]] = {
    Reading.HEAD: H1Connection._read_head,
    Reading.LENGTH: H1Connection._read_length,
    Reading.CHUNKED: H1Connection._read_chunked,
    Reading.END: H1Connection._read_end,
    Reading.PAUSED: H1Connection._read_paused,
    Reading.CLOSED: H1Connection._read_closed,
    Reading.FAILED: H1Connection._read_failed,
}
