"""The one way out: where it may go, how long it takes, and how little it says."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from inference.outgoing import (
    AddressRefusedError,
    AllowedHosts,
    AllowError,
    OutgoingClient,
    OutgoingError,
    check_address,
)
from inference.outgoing_wait import post_and_wait

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def server(answer=PLAIN, *, behave=None):
    """A server that answers every connection with these bytes; yields its port and what it heard."""
    heard: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                heard.append(connection.recv(65536))
                try:
                    (behave or (lambda peer: peer.sendall(answer)))(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1], heard
    finally:
        ended.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)


def post(port, host="127.0.0.1", seconds=5.0):
    return post_and_wait(
        f"http://{host}:{port}/x",
        content=b"{}",
        headers={"content-type": "text/plain"},
        seconds=seconds,
    )


@pytest.fixture
def nothing_allowed(monkeypatch):
    monkeypatch.setenv("BAKEOFF_OUTGOING_ALLOW", "")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0",
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
        "2001:0:7f00:1::", "nonsense",
    ],
)  # fmt: skip
def test_what_is_not_public_is_refused(address):
    assert not AllowedHosts().permits("host", address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_what_is_public_is_not(address):
    assert AllowedHosts().permits("host", address)


def test_the_setting_allows_addresses_networks_and_hosts():
    rule = AllowedHosts.parse("10.0.0.0/8, ::1 models.internal")
    assert rule.permits("x", "10.1.2.3")
    assert rule.permits("x", "::ffff:10.1.2.3")
    assert rule.permits("x", "::1")
    assert rule.permits("Models.Internal.", "192.168.0.1")
    assert not rule.permits("x", "192.168.0.1")
    for wrong in ("10.0.0/33", "host:", "host:x", ":80", "10.0.0.0/8:80"):
        with pytest.raises(AllowError, match="BAKEOFF_OUTGOING_ALLOW has '"):
            AllowedHosts.parse(wrong)


def test_the_setting_allows_single_ports():
    rule = AllowedHosts.parse("127.0.0.1:8077 [::1]:80 Models.internal:81")
    assert rule.permits("x", "127.0.0.1", 8077)
    assert rule.permits("x", "::ffff:127.0.0.1", 8077)
    assert rule.permits("x", "::1", 80)
    assert rule.permits("models.internal.", "192.168.0.1", 81)
    for host, address, port in [
        ("x", "127.0.0.1", 8078), ("x", "127.0.0.2", 8077), ("x", "::1", 81), ("models.internal", "10.0.0.1", 80),
    ]:  # fmt: skip
        assert not rule.permits(host, address, port)


def test_of_this_machine_the_embedded_models_port_alone_is_asked(nothing_allowed, monkeypatch):
    with server() as (port, heard), server() as (other, unheard):
        monkeypatch.setenv("BAKEOFF_LOCAL_LLM", f"127.0.0.1:{port}")
        assert post(port).status == 200
        check_address(f"http://127.0.0.1:{port}/v1")
        with pytest.raises(OutgoingError):
            post(other)
        with pytest.raises(AddressRefusedError):
            check_address(f"http://127.0.0.1:{other}/v1")
        assert heard
        assert unheard == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "127.1"]
)
def test_no_spelling_of_this_machine_is_asked(nothing_allowed, host):
    with server() as (port, heard):
        with pytest.raises(OutgoingError):
            post(port, host)
        assert heard == []


def test_a_failure_says_nothing_of_its_reason(nothing_allowed, monkeypatch):
    """A closed port, an open one that is refused, a name that is none: one sentence."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        messages = set()
        for allow in ("", "127.0.0.1"):
            monkeypatch.setenv("BAKEOFF_OUTGOING_ALLOW", allow)
            with pytest.raises(OutgoingError) as caught:
                post(port)
            messages.add(str(caught.value))
    with server(b"SSH-2.0-OpenSSH\r\n") as (open_port, _), pytest.raises(OutgoingError) as caught:
        post(open_port)
    messages.add(str(caught.value).replace(str(open_port), str(port)))
    with pytest.raises(OutgoingError) as caught:
        post(port, "no-such-host.invalid")
    messages.add(str(caught.value).replace("no-such-host.invalid", "127.0.0.1"))
    assert len(messages) == 1, messages


def test_the_environments_proxy_is_not_asked(monkeypatch):
    with server() as (proxy, heard), server() as (port, _):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        assert post(port).status == 200
        assert heard == []


def test_a_redirect_is_an_answer_and_not_followed():
    with server() as (target, heard):
        moved = (
            f"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:{target}/\r\nContent-Length: 0\r\n\r\n"
        )
        with server(moved.encode()) as (port, _):
            assert post(port).status == 307
        assert heard == []


def test_a_packed_answer_is_not_unpacked():
    packed = gzip.compress(b"0" * 50_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    with server(head.encode() + packed) as (port, heard):
        with pytest.raises(OutgoingError):
            post(port)
        assert b"accept-encoding: identity" in heard[0].lower()


def test_an_endless_answer_is_cut_off():
    def behave(connection) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"0" * 65536)

    with server(behave=behave) as (port, _), pytest.raises(OutgoingError):
        post(port, seconds=30)


def test_a_dripping_answer_ends_by_the_deadline():
    """A byte now and then keeps every pause short and the whole endless."""
    ended = threading.Event()

    def behave(connection) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not ended.wait(0.05):
            connection.sendall(b"0")

    with server(behave=behave) as (port, _):
        start = time.monotonic()
        with pytest.raises(OutgoingError):
            post(port, seconds=0.3)
        ended.set()
        assert time.monotonic() - start < 60  # it would last for 14 hours


def test_a_name_that_changes_its_mind_is_judged_where_it_is_connected(nothing_allowed, monkeypatch):
    """The first resolution is public, the next is not: only what was judged is connected to."""
    answers = iter(["8.8.8.8", "127.0.0.1"])

    async def ask() -> None:
        loop = asyncio.get_running_loop()

        async def resolve(_host, port, **_options):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

        monkeypatch.setattr(loop, "getaddrinfo", resolve)
        client = OutgoingClient()
        for _ in range(2):
            with pytest.raises(OutgoingError):
                await client.post(
                    f"http://rebind.example:{port}/", content=b"", headers={}, seconds=0.2
                )
        await client.aclose()

    with server() as (port, heard):
        asyncio.run(ask())
        assert heard == []
