"""TLS: files into contexts, streams that say goodbye, handshakes whose failure is understood."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from cryptography.hazmat.primitives import serialization
from trio.testing import memory_stream_pair

from trioframe.errors import ConfigError
from trioframe.server.tls import describe_handshake_failure, discard_received, server_context, wrap

CA = trustme.CA()
SERVER = CA.issue_cert("app.test")


@pytest.fixture
def files(tmp_path: Path) -> Callable[[str], str]:
    """Writes the named file and gives its path."""
    key = serialization.load_pem_private_key(SERVER.private_key_pem.bytes(), None)
    contents = {
        "cert.pem": SERVER.cert_chain_pems[0].bytes(),
        "key.pem": SERVER.private_key_pem.bytes(),
        "both.pem": SERVER.private_key_and_cert_chain_pem.bytes(),
        "other_key.pem": CA.issue_cert("other.test").private_key_pem.bytes(),
        "damaged_cert.pem": SERVER.cert_chain_pems[0].bytes()[:200],
        "damaged_key.pem": SERVER.private_key_pem.bytes()[:60],
        "locked_key.pem": key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"open sesame"),
        ),
        "notes.txt": b"about -----BEGIN CERTIFICATE----- and others",
    }

    def write(name: str) -> str:
        path = tmp_path / name
        if name in contents:
            path.write_bytes(contents[name])
        return str(path)

    return write


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    CA.configure_trust(context)
    return context


def our_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    SERVER.configure_cert(context)
    return context


async def connect(
    ours: ssl.SSLContext, theirs: ssl.SSLContext
) -> tuple[trio.SSLStream[trio.abc.Stream], trio.SSLStream[Any]]:
    """Both ends of a connection, the handshake done."""
    one, other = memory_stream_pair()
    server = wrap(one, ours, linger_timeout=5)
    client = trio.SSLStream(other, theirs, server_hostname="app.test")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.do_handshake)
        nursery.start_soon(client.do_handshake)
    return server, client


# --- contexts ---------------------------------------------------------------------------------------------------------


async def test_a_context_from_files_serves(files):
    server, client = await connect(server_context(files("cert.pem"), files("key.pem")), client_context())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.send_all, b"hello")
        assert await client.receive_some() == b"hello"
    assert client.version() == "TLSv1.3"


async def test_the_key_may_be_in_the_same_file(files):
    await connect(server_context(files("both.pem")), client_context())


async def test_paths_may_be_paths(files):
    await connect(server_context(Path(files("cert.pem")), Path(files("key.pem"))), client_context())


async def test_a_locked_key_is_opened_with_its_password(files):
    context = server_context(files("cert.pem"), files("locked_key.pem"), password="open sesame")
    await connect(context, client_context())


@pytest.mark.parametrize(
    ("ours", "theirs", "chosen"),
    [(["http/1.1"], ["h2", "http/1.1"], "http/1.1"), (["h2", "http/1.1"], ["http/1.1", "h2"], "h2")],
)
async def test_protocols_are_offered_in_our_order(files, ours, theirs, chosen):
    theirs_context = client_context()
    theirs_context.set_alpn_protocols(theirs)
    server, _ = await connect(server_context(files("both.pem"), alpn=ours), theirs_context)
    assert server.selected_alpn_protocol() == chosen


def test_what_is_no_longer_safe_is_off(files):
    context = server_context(files("both.pem"))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION


@pytest.mark.parametrize(
    ("cert", "key", "password", "why"),
    [
        ("missing.pem", "key.pem", None, "the TLS certificate '.*missing.pem' cannot be read: .*No such file"),
        ("cert.pem", "missing.pem", None, "the TLS private key '.*missing.pem' cannot be read: .*No such file"),
        ("", "key.pem", None, "the TLS certificate '.*' cannot be read: .*Is a directory"),
        ("notes.txt", "key.pem", None, "'.*notes.txt' has no TLS certificate"),
        ("key.pem", "cert.pem", None, "'.*key.pem' has no TLS certificate"),
        ("cert.pem", "cert.pem", None, "'.*cert.pem' has no TLS private key"),
        ("cert.pem", None, None, "'.*cert.pem' has no TLS private key"),
        ("cert.pem", "other_key.pem", None, "the private key is not that of the certificate"),
        ("damaged_cert.pem", "key.pem", None, "cert.pem with .*key.pem: the certificate or the private key is damaged"),
        ("cert.pem", "damaged_key.pem", None, "the certificate or the private key is damaged"),
        ("cert.pem", "locked_key.pem", None, "locked_key.pem is encrypted: its password is needed"),
        ("cert.pem", "locked_key.pem", "guess", "the password is wrong, or"),
    ],
)
def test_files_that_will_not_do(files, cert, key, password, why):
    with pytest.raises(ConfigError, match=why):
        server_context(files(cert), key and files(key), password)


# --- streams ----------------------------------------------------------------------------------------------------------


async def test_closing_says_goodbye_so_that_a_client_knows_the_answer_is_whole(autojump_clock):
    server, client = await connect(our_context(), client_context())
    async with trio.open_nursery() as nursery:

        async def answer_and_close() -> None:
            await server.send_all(b"an answer without a length")
            await server.aclose()

        nursery.start_soon(answer_and_close)
        assert await client.receive_some() == b"an answer without a length"
        assert await client.receive_some() == b""  # without close_notify: BrokenResourceError
        await client.aclose()
    assert trio.current_time() == 0


async def test_closing_lingers_beneath(autojump_clock):
    server, client = await connect(our_context(), client_context())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.aclose)
        await trio.sleep(4)
        await client.transport_stream.send_all(b"still on its way")
    assert trio.current_time() == 5


async def test_what_was_not_read_does_not_prevent_a_goodbye(autojump_clock):
    server, client = await connect(our_context(), client_context())
    await client.send_all(bytes(100_000))
    await server.receive_some(1)
    await discard_received(server)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.aclose)
        await client.send_all(bytes(100_000))  # that lingers beneath
        assert await client.receive_some() == b""  # without close_notify: BrokenResourceError
        await client.aclose()
    assert trio.current_time() == 0


async def test_what_is_left_to_discard_when_the_client_has_gone():
    server, client = await connect(our_context(), client_context())
    await client.send_all(b"a word")
    await client.transport_stream.aclose()
    for _ in range(2):
        await discard_received(server)
    await server.aclose()
    await discard_received(server)


async def test_what_another_task_receives_is_left_to_it():
    server, client = await connect(our_context(), client_context())
    received = []

    async def receive():
        received.append(await server.receive_some())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        await discard_received(server)
        await client.send_all(b"word")
    assert received == [b"word"]
    await client.transport_stream.aclose()


async def test_a_stream_without_half_close_is_wrapped_as_it_is():
    one, other = memory_stream_pair()
    await discard_received(one)  # is left alone
    outer, inner = our_context(), client_context()
    server = wrap(wrap(one, outer, linger_timeout=5), outer, linger_timeout=5)
    client = trio.SSLStream(trio.SSLStream(other, inner, server_hostname="app.test"), inner, server_hostname="app.test")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.do_handshake)
        nursery.start_soon(client.do_handshake)


# --- handshakes -------------------------------------------------------------------------------------------------------


async def failure_of(ours: ssl.SSLContext, say: Callable[[Any], Any]) -> str:
    """How the handshake failed with a client that does `say(stream)` and leaves."""
    one, other = memory_stream_pair()
    found: list[str] = []

    async def handshake() -> None:
        try:
            await wrap(one, ours, linger_timeout=5).do_handshake()
        except trio.BrokenResourceError as exc:
            found.append(describe_handshake_failure(exc))
        await trio.aclose_forcefully(one)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(handshake)
        await say(other)
        await trio.aclose_forcefully(other)
    (description,) = found
    return description


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"GET / HTTP/1.1\r\nHost: app.test\r\n\r\n", "plain HTTP was sent to this TLS port"),
        (b"CONNECT app.test:443 HTTP/1.1\r\n\r\n", "a plain HTTP request for a proxy was sent to this TLS port"),
        (b"OPTIONS / HTTP/1.1\r\n\r\n", "what was sent is not TLS; perhaps plain HTTP"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "what was sent is not TLS; perhaps plain HTTP"),
    ],
)
async def test_what_is_not_tls(sent, why):
    assert await failure_of(our_context(), lambda stream: stream.send_all(sent)) == why


async def test_a_client_that_leaves():
    async def leave(stream: Any) -> None:
        await stream.send_all(b"\x16\x03\x01")
        await stream.send_eof()
        await stream.receive_some()

    assert await failure_of(our_context(), leave) == "the client left before it was complete"


async def test_a_client_that_does_not_wait_for_our_half():
    async def begin(stream: Any) -> None:
        outgoing = ssl.MemoryBIO()
        tls = client_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="app.test")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        await stream.send_all(outgoing.read())
        await stream.aclose()

    assert await failure_of(our_context(), begin) == "the client left"


def with_context(context: ssl.SSLContext) -> Callable[[Any], Any]:
    """A client whose handshake goes as far as it goes, its last alert included."""

    async def shake_hands(stream: Any) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="app.test")
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                await stream.send_all(outgoing.read())
                data = await stream.receive_some()
                if not data:
                    return
                incoming.write(data)
            except ssl.SSLError:
                await stream.send_all(outgoing.read())
                return
            else:
                await stream.send_all(outgoing.read())
                await stream.receive_some()
                return

    return shake_hands


async def test_a_client_that_does_not_trust_us():
    stranger = with_context(ssl.create_default_context())
    assert await failure_of(our_context(), stranger) == "the client does not trust our certificate"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_a_client_from_long_ago():
    old = client_context()
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    assert await failure_of(our_context(), with_context(old)) == "the client speaks no version of TLS that we accept"


async def test_a_client_without_the_certificate_that_is_required():
    ours = our_context()
    ours.verify_mode = ssl.CERT_REQUIRED
    why = await failure_of(ours, with_context(client_context()))
    assert why == "the client has no certificate, and one is required"


async def test_a_client_whose_certificate_is_not_trusted():
    ours = our_context()
    ours.verify_mode = ssl.CERT_REQUIRED
    theirs = client_context()
    trustme.CA().issue_cert("client.test").configure_cert(theirs)
    assert await failure_of(ours, with_context(theirs)) == "the client's certificate is not trusted"


def test_a_reason_without_words_of_ours_is_given_in_openssl_s():
    error = ssl.SSLError()
    error.reason = "SOMETHING_NEW"
    broken = trio.BrokenResourceError()
    broken.__context__ = error
    assert describe_handshake_failure(broken) == "something new"
