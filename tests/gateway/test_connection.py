"""Connections: what is no HTTP, headers that do not come, and that nobody else is held up by either."""

from __future__ import annotations

import json
import socket

import pytest

from bakeoff.gateway.http.connection import IDLE_SECONDS, Connection


def connect(lane) -> socket.socket:
    host, port = lane.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], dict]:
    """Return status, headers and error of the last answer, when the server has closed."""
    received = b""
    while piece := connection.recv(65_536):
        received += piece
    head, _, body = received.rpartition(b"\r\n\r\n")
    first, *lines = head.rpartition(b"HTTP/1.1 ")[2].decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[0]), headers, json.loads(body)["error"]


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01",  # TLS on a port without it
        b"NONSENSE\r\n\r\n",
        b"GET /v1/flags HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_in_the_one_error_shape(lane, sent):
    with connect(lane) as connection:
        connection.sendall(sent)
        status, headers, error = read_answer(connection)
    assert (status, error["code"], headers["connection"]) == (400, "not_http", "close")
    assert headers["content-type"] == "application/json"
    assert error["message"]


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(Connection, "header_seconds", 0.3)


def test_who_connects_and_asks_nothing_is_not_waited_for(lane, impatient):
    with connect(lane) as connection:
        assert connection.recv(100) == b""


def test_an_idle_connection_is_closed_after_those_of_proxies(lane, monkeypatch):
    assert IDLE_SECONDS > 60
    monkeypatch.setattr(Connection, "idle_seconds", 0.3)
    with connect(lane) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"".join(iter(lambda: connection.recv(65_536), b"")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("sent", [b"G", b"GET /readyz HTTP/1.1\r\nHost: x\r\nX-Long: "])
def test_a_header_that_does_not_come_ends_the_connection(lane, impatient, sent):
    with connect(lane) as connection:
        connection.sendall(sent)
        status, headers, error = read_answer(connection)
    assert (status, error["code"], headers["connection"]) == (408, "header_too_slow", "close")


def test_the_second_request_of_a_connection_has_a_deadline_too(lane, impatient):
    with connect(lane) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHos")
        assert read_answer(connection)[0] == 408


def test_a_header_in_pieces_is_answered(lane):
    with connect(lane) as connection:
        for piece in (b"GET /heal", b"thz HTTP/1.1\r\nHo", b"st: x\r\nConnection: close\r\n\r", b"\n"):
            connection.sendall(piece)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
