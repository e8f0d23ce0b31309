"""What is answered to an offer of compression, and what is agreed upon by that (RFC 7692 section 7.1)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from trioframe.ws.deflate_terms import Deflate, agree
from trioframe.ws.handshake import Extension

BAD_BITS = ["", "7", "16", "08", "9.0", "nine", "\u0669"]


TAKEN_OVER = Deflate(server_no_context_takeover=False, client_no_context_takeover=False)
NARROW = Deflate(server_max_window_bits=11, client_max_window_bits=12)

SERVER_ALONE = "server_no_context_takeover"
CLIENT_ALONE = "client_no_context_takeover"
SERVER_BITS = "server_max_window_bits"
CLIENT_BITS = "client_max_window_bits"


class TestTheDefault:
    @pytest.mark.parametrize(
        ("parameters", "bits"),
        [
            ((), None),
            ((("client_no_context_takeover", None),), None),
            ((("client_max_window_bits", None),), None),
            ((("client_max_window_bits", "8"), ("server_no_context_takeover", None)), None),
            ((("server_max_window_bits", "9"), ("client_no_context_takeover", None)), "9"),
            ((("server_max_window_bits", "15"),), "15"),
        ],
    )
    def test_the_answer(self, parameters: tuple[tuple[str, str | None], ...], bits: str | None) -> None:
        agreed = agree([Extension("permessage-deflate", parameters)], Deflate())
        assert agreed is not None
        answer, terms = agreed
        takeover = (("server_no_context_takeover", None), ("client_no_context_takeover", None))
        expected = takeover if bits is None else (*takeover, ("server_max_window_bits", bits))
        assert answer == Extension("permessage-deflate", expected)
        assert terms == Deflate(server_max_window_bits=int(bits or 15))

    @pytest.mark.parametrize(
        "parameters",
        [
            (("server_max_window_bits", None),),
            *(((name, bits),) for name in ("server_max_window_bits", "client_max_window_bits") for bits in BAD_BITS),
            (("server_max_window_bits", "8"),),
            (("server_no_context_takeover", "1"),),
            (("client_no_context_takeover", ""),),
            (("client_max_window_bits", None), ("client_max_window_bits", "9")),
            (("other", None),),
        ],
    )
    def test_what_is_declined(self, parameters: tuple[tuple[str, str | None], ...]) -> None:
        assert agree([Extension("permessage-deflate", parameters)], Deflate()) is None

    def test_the_first_that_can_be_accepted(self) -> None:
        offers = [
            Extension("x-other"),
            Extension("permessage-deflate", (("server_max_window_bits", "8"),)),
            Extension("permessage-deflate", (("server_max_window_bits", "10"),)),
            Extension("permessage-deflate"),
        ]
        agreed = agree(offers, Deflate())
        assert agreed is not None
        assert ("server_max_window_bits", "10") in agreed[0].parameters

    def test_nothing_is_offered(self) -> None:
        assert agree([], Deflate()) is None


@pytest.mark.parametrize(
    ("wanted", "offered", "answered", "agreed"),
    [
        # What we do not mind is done if the client asks for it.
        (TAKEN_OVER, {}, {}, TAKEN_OVER),
        (TAKEN_OVER, {SERVER_ALONE: None}, {SERVER_ALONE: None}, Deflate(client_no_context_takeover=False)),
        (TAKEN_OVER, {CLIENT_ALONE: None}, {CLIENT_ALONE: None}, Deflate(server_no_context_takeover=False)),
        (TAKEN_OVER, {CLIENT_ALONE: None, SERVER_ALONE: None}, {SERVER_ALONE: None, CLIENT_ALONE: None}, Deflate()),
        (Deflate(client_no_context_takeover=False), {}, {SERVER_ALONE: None}, ...),
        (Deflate(server_no_context_takeover=False), {}, {CLIENT_ALONE: None}, ...),
        # Our window is the smaller one of what both sides want.
        (NARROW, {}, {SERVER_BITS: "11"}, Deflate(server_max_window_bits=11)),
        (NARROW, {SERVER_BITS: "10"}, {SERVER_BITS: "10"}, Deflate(server_max_window_bits=10)),
        (NARROW, {SERVER_BITS: "12"}, {SERVER_BITS: "11"}, Deflate(server_max_window_bits=11)),
        # That of the client can be told if it says so, and makes no larger one than it promises.
        (NARROW, {CLIENT_BITS: None}, {SERVER_BITS: "11", CLIENT_BITS: "12"}, NARROW),
        (NARROW, {CLIENT_BITS: "15"}, {SERVER_BITS: "11", CLIENT_BITS: "12"}, NARROW),
        (NARROW, {CLIENT_BITS: "12"}, {SERVER_BITS: "11"}, Deflate(server_max_window_bits=11)),
        (NARROW, {CLIENT_BITS: "8"}, {SERVER_BITS: "11"}, Deflate(server_max_window_bits=11)),
        (Deflate(level=9), {}, {}, Deflate(level=9)),
    ],
)
def test_what_is_agreed(
    wanted: Deflate, offered: dict[str, str | None], answered: dict[str, str | None], agreed: Any
) -> None:
    if wanted.server_no_context_takeover and wanted.client_no_context_takeover:
        answered = {SERVER_ALONE: None, CLIENT_ALONE: None, **answered}
    answer, terms = agree([Extension("permessage-deflate", tuple(offered.items()))], wanted) or (None, None)
    assert answer == Extension("permessage-deflate", tuple(answered.items()))
    assert terms == (wanted if agreed is ... else agreed)


WINDOW, LEVEL, SWITCH = "a whole number, 9 to 15", "a whole number, 1 to 9", "True or False"


@pytest.mark.parametrize(
    ("wrong", "allowed"),
    [
        ({SERVER_BITS: 8}, WINDOW),
        ({CLIENT_BITS: 16}, WINDOW),
        ({CLIENT_BITS: "12"}, WINDOW),
        ({"level": 0}, LEVEL),
        ({"level": 10}, LEVEL),
        ({"level": None}, LEVEL),
        ({"level": True}, LEVEL),
        ({SERVER_ALONE: "no"}, SWITCH),
        ({CLIENT_ALONE: 0}, SWITCH),
    ],
)
def test_what_cannot_be_wanted(wrong: dict[str, Any], allowed: str) -> None:
    [(name, value)] = wrong.items()
    message = f"{name} cannot be {value!r}; allowed is {allowed}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Deflate(**wrong)
