"""The way over TLS for programs without it: what ends it, and what it refuses by itself.

A server that libpq would refuse before is met here by the relay alone, as after a change of servers
between the two connections.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from bakeoff.backup.manifest import BackupError
from bakeoff.backup.tls_relay import (
    Relay,
    _address,
    _context,
    _listening,
    _Server,
    _without_channel_binding,
)
from tests.support.certificates import certificate, pem, revocation
from tests.support.tls_speaker import TlsSpeaker, message

AUTHORITY = certificate("authority of the test", 9)
GOOD = certificate("servers", 5, AUTHORITY)
LOGIN = message(b"R", b"\0\0\0\x05salt")
SASL = b"\0\0\0\x0a"
PLUS, PLAIN = b"SCRAM-SHA-256-PLUS\0", b"SCRAM-SHA-256\0"


@pytest.fixture
def folder(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="bf-") as folder:  # a socket's path is short
        (Path(folder) / "authority.pem").write_bytes(pem(*AUTHORITY)[0])
        (Path(folder) / "other.pem").write_bytes(pem(*certificate("somebody else", 9))[0])
        monkeypatch.setenv("HOME", folder)  # libpq's own files lie there
        yield Path(folder)


@contextmanager
def relayed(folder, port, *, host="127.0.0.1", **parameters):
    """Serve a socket in a folder; yield it, connected, and the relay."""
    server = _Server(host, "127.0.0.1", port, parameters, is_tls=True)
    relay, place = Relay(""), Path(tempfile.mkdtemp(dir=folder))
    with (
        _listening(place, relay, server, _context(parameters)),
        socket.socket(socket.AF_UNIX) as program,
    ):
        program.settimeout(30)
        program.connect(str(place / ".s.PGSQL.5432"))
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


def verified(folder, port, *, root="authority.pem", **parameters) -> tuple[bytes, str]:
    """What a program gets of a server that is to be checked by its authority and its name."""
    stated = {"sslmode": "verify-full", "sslrootcert": str(folder / root)} | parameters
    return answer(folder, port, **stated)


def test_a_server_that_is_trusted_answers(folder):
    with TlsSpeaker(folder, GOOD, LOGIN) as server:
        assert verified(folder, server.port) == (LOGIN, "")


@pytest.mark.parametrize(
    ("days", "changes", "reason"),
    [
        (5, {"root": "other.pem"}, "certificate verify failed"),
        (5, {"root": "other.pem", "sslmode": "verify-ca"}, "certificate verify failed"),
        # Authorities that are there are asked in the weaker modes, too.
        (5, {"root": "other.pem", "sslmode": "require"}, "certificate verify failed"),
        (5, {"host": "db.example"}, "Hostname mismatch"),
        (-1, {}, "certificate has expired"),
        (-1, {"sslmode": "verify-ca"}, "certificate has expired"),
    ],
)
def test_a_server_that_is_not_trusted_gets_nothing(folder, days, changes, reason):
    with TlsSpeaker(folder, certificate("servers", days, AUTHORITY), LOGIN) as server:
        data, failure = verified(folder, server.port, **changes)
    assert (data, reason in failure) == (b"", True), failure


@pytest.mark.parametrize("sslmode", ["verify-ca", "require"])
def test_only_the_strictest_mode_looks_at_the_name(folder, sslmode):
    with TlsSpeaker(folder, GOOD, LOGIN) as server:
        assert verified(folder, server.port, host="db.example", sslmode=sslmode) == (LOGIN, "")


@pytest.mark.parametrize("place", ["sslcrl", "sslcrldir", "home"])
def test_a_server_whose_certificate_is_revoked_gets_nothing(folder, place):
    name, revoked = revocation(AUTHORITY, GOOD)
    stated = {}
    if place == "home":
        (folder / ".postgresql").mkdir()
        (folder / ".postgresql" / "root.crl").write_bytes(revoked)
    else:
        (folder / name).write_bytes(revoked)
        stated = {place: str(folder if place == "sslcrldir" else folder / name)}
    with TlsSpeaker(folder, GOOD, LOGIN) as server:
        data, failure = verified(folder, server.port, **stated)
    assert (data, "certificate revoked" in failure) == (b"", True), failure
    with TlsSpeaker(folder, certificate("servers", 5, AUTHORITY), LOGIN) as server:
        assert verified(folder, server.port, **stated) == (LOGIN, "")


@pytest.mark.parametrize("sslmode", ["verify-ca", "verify-full"])
def test_authorities_that_have_gone_are_not_taken_for_leave_to_trust(folder, sslmode):
    gone = str(folder / "gone.pem")
    sentence = f"sslmode == {sslmode}, must come with root certificates: {gone} is not there."
    with pytest.raises(BackupError) as refused:
        _context({"sslmode": sslmode, "sslrootcert": gone})
    assert str(refused.value) == sentence


def test_a_certificate_of_the_clients_is_read_unless_it_is_switched_off(folder):
    (folder / "own.pem").write_text("none")
    stated = {"sslcert": str(folder / "own.pem")}
    with pytest.raises(BackupError, match="A file for TLS with PostgreSQL cannot be read"):
        _context(stated)
    _context(stated | {"sslcertmode": "disable"})


@pytest.mark.parametrize("stated", ["TLSv1.3", "tlsv1.3", "TLSV1.3"])
def test_versions_of_tls_are_named_in_any_case(stated):
    context = _context({"ssl_min_protocol_version": stated, "ssl_max_protocol_version": stated})
    assert (context.minimum_version, context.maximum_version) == (ssl.TLSVersion.TLSv1_3,) * 2


def test_logins_that_are_bound_to_the_programs_own_tls_are_left_out(folder):
    assert _without_channel_binding(SASL + PLUS + PLAIN + b"\0") == SASL + PLAIN + b"\0"
    offer = message(b"R", SASL + PLUS + PLAIN + b"\0")
    with TlsSpeaker(folder, GOOD, offer) as server:
        data, failure = verified(folder, server.port)
    assert (data, failure) == (message(b"R", SASL + PLAIN + b"\0"), "")


def test_a_server_that_offers_no_other_login_is_named(folder):
    with TlsSpeaker(folder, GOOD, message(b"R", SASL + PLUS + b"\0")) as server:
        data, failure = verified(folder, server.port)
    assert data == b""
    assert failure.startswith("the server demands channel binding: ")
