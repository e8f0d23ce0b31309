"""Unmasking does what the RFC says of each octet (RFC 6455 section 5.3), in Python and, where it is installed, in C."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from written_frames import masked

from trioframe.ws.masking import unmask, unmask_in_python

Unmask = Callable[[bytes | bytearray | memoryview, bytes | bytearray], bytes]

pytestmark = pytest.mark.parametrize("unmask", {unmask, unmask_in_python}, ids=lambda function: function.__name__)

payloads = st.builds(lambda data, times: data * times, st.binary(max_size=50), st.sampled_from([1, 1, 13, 14, 99]))


@given(payloads, st.binary(min_size=4, max_size=4))
def test_octet_by_octet(unmask: Unmask, payload: bytes, key: bytes) -> None:
    assert unmask(payload, key) == masked(payload, key)


@given(payloads, st.binary(min_size=4, max_size=4))
def test_twice_is_not_at_all(unmask: Unmask, payload: bytes, key: bytes) -> None:
    assert unmask(unmask(payload, key), key) == payload


def test_the_example_of_the_rfc(unmask: Unmask) -> None:
    assert unmask(b"\x7f\x9f\x4d\x51\x58", b"\x37\xfa\x21\x3d") == b"Hello"


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 640, 641, 65535, 65536])
def test_zeros_stay_zeros(unmask: Unmask, size: int) -> None:
    """An integer has no leading zeros; octets have."""
    assert unmask(bytes(size), bytes(4)) == bytes(size)


@pytest.mark.parametrize("size", [4, 1000])
def test_a_buffer_becomes_bytes(unmask: Unmask, size: int) -> None:
    assert type(unmask(bytearray(size), bytearray(b"key!"))) is bytes
