"""Other people's servers, from Debian's packages, each in a temporary folder and on a free port.

Debian's PostgreSQL, PgBouncer and Redis run as nobody inside a user namespace where the tests run
as root, because the first two refuse to run as root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

from tests.support.waiting import wait_until

POSTGRES_BINARIES = Path("/usr/lib/postgresql/15/bin")
START_SECONDS = 180  # generous: a busy machine is no failure
AS_NOBODY = ["unshare", "--user", "--map-user=65534", "--map-group=65534"]


def free_port() -> int:
    """Return a TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def binary(name: str, package: str) -> str:
    """Return a Debian program; without it these tests fail, they are never skipped."""
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:{POSTGRES_BINARIES}")
    assert path, f"{name} is not installed: apt-get install {package} (.ci/run does)."
    return path


def answers(port: int) -> bool:
    """Whether somebody accepts connections on this port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@dataclass
class Server:
    """One server process, its port and its folder."""

    name: str
    command: list[str]
    folder: Path
    port: int
    process: subprocess.Popen | None = None
    stop_signal: int = signal.SIGTERM

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        wait_until(
            self._is_up, f"{self.name} answers on port {self.port} ({self.log})", seconds=START_SECONDS
        )

    def _is_up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        return answers(self.port)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()


def _unprivileged() -> list[str]:
    return AS_NOBODY if os.geteuid() == 0 else []


def debian_postgres(folder: Path, *, programs: Path | None = None) -> Server:
    """Make a PostgreSQL 15 with a database `bakeoff` and a user `bakeoff`, password `p@ss/word`.

    Args:
        folder: of its data.
        programs: folder of another major's; None: Debian's.
    """
    data = folder / "data"
    postgres = str(programs / "postgres") if programs else binary("postgres", "postgresql-15")
    initdb = (programs or POSTGRES_BINARIES) / "initdb"
    password = folder / "password"
    password.write_text("p@ss/word\n")
    subprocess.run(
        [*_unprivileged(), initdb, "-D", data, "-U", "bakeoff", "--auth=scram-sha-256",
         f"--pwfile={password}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
        check=True, capture_output=True,
    )  # fmt: skip
    port = free_port()
    command = [
        *_unprivileged(), postgres, "-D", str(data), "-p", str(port), "-k", str(folder),
        "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
    ]  # fmt: skip
    # A fast shutdown: another waits for sessions that stay, is killed, and leaves processes behind.
    server = Server("postgres", command, folder, port, stop_signal=signal.SIGINT)
    server.start()
    wait_until(lambda: _takes_connections(server), "PostgreSQL has started up")
    with psycopg.connect(postgres_url(server, "postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE bakeoff")
    return server


def _takes_connections(server: Server) -> bool:
    """Whether it does more than listen: while it starts up it refuses everybody."""
    with contextlib.suppress(psycopg.OperationalError):
        psycopg.connect(postgres_url(server, "postgres")).close()
        return True
    return False


def postgres_url(server: Server, database: str = "bakeoff") -> str:
    """Return the URL of a database; the password holds characters that must be quoted."""
    return f"postgresql://bakeoff:p%40ss%2Fword@127.0.0.1:{server.port}/{database}"


def debian_pgbouncer(folder: Path, postgres: Server) -> Server:
    """Make a PgBouncer in transaction mode in front of a PostgreSQL."""
    port = free_port()
    (folder / "users.txt").write_text('"bakeoff" "p@ss/word"\n')
    (folder / "pgbouncer.ini").write_text(
        f"""[databases]
bakeoff = host=127.0.0.1 port={postgres.port} dbname=bakeoff
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = 10
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
"""
    )
    pgbouncer = binary("pgbouncer", "pgbouncer")
    server = Server("pgbouncer", [*_unprivileged(), pgbouncer, f"{folder}/pgbouncer.ini"], folder, port)
    server.start()
    return server


def debian_redis(folder: Path) -> Server:
    """Make Debian's Redis 7.0 with an append-only file."""
    port = free_port()
    command = [
        binary("redis-server", "redis-server"), "--port", str(port), "--bind", "127.0.0.1",
        "--dir", str(folder), "--appendonly", "yes", "--save", "",
    ]  # fmt: skip
    server = Server("redis", command, folder, port)
    server.start()
    wait_until(lambda: redis.Redis(port=port).ping(), "Redis answers a ping")
    return server


def nginx(folder: Path, configuration: str, port: int) -> Server:
    """Start nginx with an `http { … }` block of your own; paths are inside the folder."""
    (folder / "nginx.conf").write_text(
        f"""daemon off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include /etc/nginx/mime.types;
{configuration}
}}
"""
    )
    command = [binary("nginx", "nginx-light"), "-p", str(folder), "-c", f"{folder}/nginx.conf"]
    server = Server("nginx", command, folder, port)
    server.start()
    return server
