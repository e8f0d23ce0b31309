"""Authorization, taken apart."""

from __future__ import annotations

from base64 import b64encode

import pytest

from trioframe.app.credentials import Credentials, parse_credentials


def basic(text: str) -> str:
    return b64encode(text.encode()).decode()


def test_bearer() -> None:
    assert parse_credentials("Bearer  abc.def") == Credentials("bearer", "abc.def")


@pytest.mark.parametrize(
    ("decoded", "username", "password"), [("ann:s3cret", "ann", "s3cret"), ("é:a:b", "é", "a:b"), (":", "", "")]
)
def test_basic(decoded, username, password) -> None:
    token = basic(decoded)
    assert parse_credentials(f"basic {token}") == Credentials("basic", token, username, password)


@pytest.mark.parametrize("token", ["!", "YQ", basic("no colon"), b64encode(b"\xff:").decode(), "é"])
def test_basic_that_cannot_be_read_names_nobody(token) -> None:
    assert parse_credentials(f"Basic {token}") == Credentials("basic", token)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", " abc"])
def test_without_scheme_and_token_there_are_none(header) -> None:
    assert parse_credentials(header) is None


def test_a_repr_shows_no_secret() -> None:
    assert repr(parse_credentials(f"Basic {basic('ann:s3cret')}")) == "Credentials(scheme='basic', username='ann')"
