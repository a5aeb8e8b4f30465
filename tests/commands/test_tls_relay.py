"""The way over TLS for programs without it: what ends it, and what it refuses by itself.

A server that libpq would refuse before is met here by the relay alone, as after a change of servers
between the two connections.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from bakeoff.backup.tls_relay import Relay, _address, _context, _listening, _Server
from tests.support.certificates import certificate, pem
from tests.support.tls_speaker import TlsSpeaker, message

AUTHORITY = certificate("authority of the test", 9)
GOOD = certificate("servers", 5, AUTHORITY)
LOGIN = message(b"R", b"\0\0\0\x05salt")


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="bf-") as folder:  # a socket's path is short
        (Path(folder) / "authority.pem").write_bytes(pem(*AUTHORITY)[0])
        yield Path(folder)


@contextmanager
def relayed(folder, port, *, host="127.0.0.1", **parameters):
    """Serve a socket in a folder; yield it, connected, and the relay."""
    server = _Server(host, "127.0.0.1", port, parameters, is_tls=True)
    relay = Relay("")
    with (
        _listening(folder, relay, server, _context(parameters)),
        socket.socket(socket.AF_UNIX) as program,
    ):
        program.settimeout(30)
        program.connect(str(folder / ".s.PGSQL.5432"))
        yield program, relay


def answer(folder, port, **parameters) -> tuple[bytes, str]:
    """What a program reads until the end or until it is to log in, and why it failed."""
    with relayed(folder, port, **parameters) as (program, relay):
        data = program.recv(4096)
    return data, relay.failure


def test_a_server_that_is_silent_after_tls_ends_the_program(folder):
    with TlsSpeaker(folder, GOOD) as server:
        data, failure = answer(folder, server.port, connect_timeout="1")
    assert data == b""
    assert failure == f"127.0.0.1:{server.port}: the server has said nothing for 1 seconds"


def test_a_server_that_is_silent_before_tls_ends_the_program(folder):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        data, failure = answer(folder, silent.getsockname()[1], connect_timeout="1")
    assert (data, failure.endswith(": timed out")) == (b"", True), failure


@pytest.mark.parametrize(("stated", "passed_on"), [("7", "7"), ("", "60")])
def test_a_program_has_the_timeout_of_the_address_or_ours(folder, stated, passed_on):
    server = _Server("db", "127.0.0.1", 1, {"connect_timeout": stated} if stated else {}, is_tls=True)
    assert f"connect_timeout={passed_on}" in _address(folder, server).split()


def test_a_relay_that_cannot_serve_takes_no_connection(folder, monkeypatch):
    async def fail(*_: object, **__: object) -> None:
        raise OSError("too many open files")

    monkeypatch.setattr(asyncio, "start_unix_server", fail)
    server, relay = _Server("db", "127.0.0.1", 1, {}, is_tls=True), Relay("")
    with _listening(folder, relay, server, _context({})):
        for thread in threading.enumerate():
            if thread.name == "tls-relay":
                thread.join()
        with socket.socket(socket.AF_UNIX) as program, pytest.raises(ConnectionRefusedError):
            program.connect(str(folder / ".s.PGSQL.5432"))
    assert relay.failure == "the way to db:1: too many open files"
