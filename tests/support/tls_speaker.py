"""A server that goes over to TLS as PostgreSQL does, and then says what a test wants, or nothing."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from typing import TYPE_CHECKING

from tests.support.certificates import pem

if TYPE_CHECKING:
    from pathlib import Path


def message(kind: bytes, body: bytes) -> bytes:
    """Return a message of PostgreSQL's protocol."""
    return struct.pack("!ci", kind, len(body) + 4) + body


class TlsSpeaker:
    """Accepts connections for a block, over TLS, and says to each the same; then it waits for its end.

    Args:
        folder: for its certificate.
        certificate: with its key, as `certificates.certificate` makes them.
        says: after the handshake.
    """

    def __init__(self, folder: Path, certificate: tuple, says: bytes = b"") -> None:
        signed, key = pem(*certificate)
        file = folder / "speaker.pem"
        file.write_bytes(signed + key)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(file)
        self._says = says
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> TlsSpeaker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._speak, args=[connection], daemon=True).start()

    def _speak(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:  # a client that refuses it ends there
            connection.recv(8)
            connection.sendall(b"S")
            with self._context.wrap_socket(connection, server_side=True) as encrypted:
                encrypted.sendall(self._says)
                while encrypted.recv(4096):
                    pass
