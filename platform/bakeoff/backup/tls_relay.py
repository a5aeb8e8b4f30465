"""A way to a server over TLS for PostgreSQL's bundled programs, which are built without it.

Guarantees: what leaves the machine is encrypted, and the server is checked by its certificate as libpq
does by `sslmode`; the socket lies in a folder that its owner alone may enter, and goes with the block.
A connection that is cut on one side is cut on the other: no program takes half an answer for a whole.
No login waits for ever: `connect_timeout` holds, or else ours.
What it does not keep: `channel_binding=require`, which binds a login to the program's own TLS.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import struct
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import make_conninfo

from bakeoff.backup.manifest import BackupError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONNECT_SECONDS = 10
LOGIN_SECONDS = 60  # of a program as a whole, where its address has no `connect_timeout`
CHUNK = 2**18
# PostgreSQL's number of a message that asks for TLS; the answer is one byte, before anything else.
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
# How its message about logins by SASL begins, which then names them.
_SASL = struct.pack("!i", 10)
_REMEDY = "the bundled programs have no TLS to bind to; name the folder of your own by --tools"
# What a program is given of an address: the rest says how the server is reached, which is ours.
_PROGRAM_PARAMETERS = (
    "user", "password", "dbname", "options", "application_name", "client_encoding", "require_auth",
    "connect_timeout",
)  # fmt: skip
# A server that is gone must be noticed here as libpq would.
_OF_A_SOCKET = {
    "keepalives_idle": "TCP_KEEPIDLE", "keepalives_interval": "TCP_KEEPINTVL",
    "keepalives_count": "TCP_KEEPCNT", "tcp_user_timeout": "TCP_USER_TIMEOUT",
}  # fmt: skip
_VERSIONS = {
    "tlsv1": ssl.TLSVersion.TLSv1, "tlsv1.1": ssl.TLSVersion.TLSv1_1,
    "tlsv1.2": ssl.TLSVersion.TLSv1_2, "tlsv1.3": ssl.TLSVersion.TLSv1_3,
}  # fmt: skip
_USER_FILES = Path("~/.postgresql")  # libpq's own place for what an address does not name
MAX_SOCKET_PATH = 100


@dataclass(slots=True)
class Relay:
    """What a program connects to.

    Attributes:
        address: a libpq URL or `key=value` pairs, as the program takes it; it may hold a password.
        is_private: whether variables of libpq (`PGHOSTADDR`) must not lead the program elsewhere.
        failure: why the server was not reached, once that is so; empty before.
    """

    address: str = field(repr=False)
    is_private: bool = False
    failure: str = ""


@dataclass(frozen=True, slots=True)
class _Server:
    """The server that libpq chose among those of an address, and how it is spoken to."""

    host: str
    target: str
    port: int
    parameters: Mapping[str, str] = field(repr=False)
    is_tls: bool

    @property
    def wait_seconds(self) -> int:
        """How long each step of the way to a login may take."""
        seconds = int(self.parameters.get("connect_timeout", 0))
        return seconds if seconds > 0 else CONNECT_SECONDS

    @classmethod
    def reach(cls, database_url: str) -> _Server:
        """Connect once by our own libpq, which knows TLS, several hosts, services and password files.

        Raises:
            BackupError: the server does not answer or is not trusted; never shows a password.
        """
        try:
            with psycopg.connect(database_url) as connection:
                info, options = connection.info, connection.pgconn.info
                values = {one.keyword.decode(): one.val.decode() for one in options if one.val}
                values["password"] = info.password
                is_tls = bool(connection.pgconn.ssl_in_use)
                return cls(info.host, info.hostaddr or info.host, info.port, values, is_tls)
        except psycopg.Error as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise BackupError(f"PostgreSQL does not answer: {reason}.") from error


@contextmanager
def reachable(database_url: str) -> Iterator[Relay]:
    """Yield an address under which a program without TLS reaches a database.

    Raises:
        BackupError: the server does not answer, is not trusted, or wants what a relay cannot do.
    """
    if not _is_over_a_network(database_url):
        yield Relay(database_url)
        return
    server = _Server.reach(database_url)
    if not server.is_tls:
        yield Relay(database_url)
        return
    if server.parameters.get("channel_binding") == "require":
        raise BackupError(f"channel_binding == require, must be prefer: {_REMEDY}.")
    context = _context(server.parameters)
    folder = _private_folder()
    try:
        relay = Relay(_address(folder, server), is_private=True)
        with _listening(folder, relay, server, context):
            yield relay
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_over_a_network(database_url: str) -> bool:
    """Whether TLS is possible at all: not where sockets alone are named; variables may name a host.

    An address that cannot be parsed is the program's to name.
    """
    try:
        options = psycopg.conninfo.conninfo_to_dict(database_url)
    except psycopg.ProgrammingError:
        return False
    hosts = str(options.get("hostaddr") or options.get("host") or "").split(",")
    return not all(host.startswith(("/", "@")) for host in hosts)


def _private_folder() -> Path:
    """Make a folder for a socket, whose path must be short, that nobody else may enter."""
    folder = Path(tempfile.mkdtemp(prefix="bf-"))
    if len(str(folder / ".s.PGSQL.5432")) > MAX_SOCKET_PATH:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="bf-", dir="/tmp"))  # its mode is 700
    return folder


def _address(folder: Path, server: _Server) -> str:
    kept = {
        name: server.parameters[name] for name in _PROGRAM_PARAMETERS if server.parameters.get(name)
    }
    kept.setdefault("connect_timeout", str(LOGIN_SECONDS))
    return make_conninfo(host=str(folder), port="5432", sslmode="disable", **kept)


def _context(parameters: Mapping[str, str]) -> ssl.SSLContext:
    """Return what checks the server as libpq does by the same parameters.

    Raises:
        BackupError: a file that they name cannot be read, or authorities are missing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["postgresql"])
    roots = _file(parameters, "sslrootcert", "root.crt")
    mode = parameters.get("sslmode", "")
    # Libpq has refused it as well, but the file may have gone since.
    if mode.startswith("verify-") and not roots:
        where = parameters.get("sslrootcert") or _USER_FILES / "root.crt"
        raise BackupError(f"sslmode == {mode}, must come with root certificates: {where} is not there.")
    context.check_hostname = mode == "verify-full"
    # As libpq has it: authorities that are there are asked, whatever the mode.
    context.verify_mode = ssl.CERT_REQUIRED if roots else ssl.CERT_NONE
    for name, attribute in (
        ("ssl_min_protocol_version", "minimum_version"),
        ("ssl_max_protocol_version", "maximum_version"),
    ):
        if version := parameters.get(name):
            setattr(context, attribute, _VERSIONS[version.lower()])
    try:
        _load_files(context, parameters, roots)
    except (OSError, ssl.SSLError) as error:
        raise BackupError(f"A file for TLS with PostgreSQL cannot be read: {error}.") from error
    return context


def _load_files(context: ssl.SSLContext, parameters: Mapping[str, str], roots: str) -> None:
    """Load authorities, revoked certificates and the client's own certificate."""
    if roots == "system":
        context.load_default_certs()
    elif roots:
        context.load_verify_locations(roots)
    if roots:
        _load_revoked(context, parameters)
    if parameters.get("sslcertmode") == "disable":
        return
    if own := _file(parameters, "sslcert", "postgresql.crt"):
        key = _file(parameters, "sslkey", "postgresql.key") or None
        # Without a password OpenSSL would ask the terminal.
        context.load_cert_chain(own, key, password=parameters.get("sslpassword", ""))


def _load_revoked(context: ssl.SSLContext, parameters: Mapping[str, str]) -> None:
    folder = parameters.get("sslcrldir", "")
    # Libpq's own file counts only where an address names neither a file nor a folder.
    file = "" if folder and not parameters.get("sslcrl") else _file(parameters, "sslcrl", "root.crl")
    if file or folder:
        context.load_verify_locations(file or None, folder or None)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN


def _file(parameters: Mapping[str, str], name: str, usual: str) -> str:
    """Return the path that an address names, or libpq's usual one, where that is there."""
    if parameters.get(name) == "system":
        return "system"
    path = Path(parameters.get(name) or _USER_FILES / usual).expanduser()
    return str(path) if path.exists() else ""


@contextmanager
def _listening(folder: Path, relay: Relay, server: _Server, context: ssl.SSLContext) -> Iterator[None]:
    """Serve a socket in the folder for a block."""
    listener, ended = socket.socket(socket.AF_UNIX), asyncio.Event()
    listener.bind(str(folder / ".s.PGSQL.5432"))
    listener.listen()

    async def on_connection(reader: Any, writer: Any) -> None:
        with suppress(asyncio.CancelledError):  # the program has ended, or is to
            await _relay(relay, server, context, reader, writer)

    async def serve() -> None:
        await asyncio.start_unix_server(on_connection, sock=listener, limit=CHUNK)
        await ended.wait()

    def run() -> None:
        try:
            runner.run(serve())
        except OSError as error:
            relay.failure = f"the way to {server.host}:{server.port}: {error}"
        finally:
            listener.close()  # whatever ended it: a program must not wait for who is gone

    # Its end cuts what is still open.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        loop = runner.get_loop()
        thread = threading.Thread(target=run, name="tls-relay")
        thread.start()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(ended.set)
            thread.join()


async def _relay(
    relay: Relay, server: _Server, context: ssl.SSLContext, reader: Any, writer: Any
) -> None:
    """Carry one connection's bytes both ways until one side ends."""
    try:
        there_reader, there_writer = await _connect(server, context)
    except (OSError, ssl.SSLError) as error:
        relay.failure = f"{server.host}:{server.port}: {error}"
        writer.close()
        return
    ways = [
        asyncio.ensure_future(_copy(reader, there_writer)),
        asyncio.ensure_future(_answer(relay, server, there_reader, writer)),
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for one in (writer, there_writer):
            one.close()
            with suppress(OSError, ssl.SSLError, TimeoutError):
                await asyncio.wait_for(one.wait_closed(), CONNECT_SECONDS)


async def _connect(server: _Server, context: ssl.SSLContext) -> tuple[Any, Any]:
    """Connect, and go over to TLS before anything else is said.

    Raises:
        OSError: the server is away, or its certificate is refused.
    """
    is_named = context.check_hostname or server.parameters.get("sslsni") != "0"
    return await asyncio.open_connection(
        sock=await asyncio.to_thread(_open, server), ssl=context,
        server_hostname=server.host if is_named else "", limit=CHUNK,
        ssl_handshake_timeout=server.wait_seconds,
    )  # fmt: skip


def _open(server: _Server) -> socket.socket:
    """Return a connection on which TLS comes next.

    Raises:
        OSError: the server is away, or has no TLS.
    """
    connection = socket.create_connection((server.target, server.port), server.wait_seconds)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, option in _OF_A_SOCKET.items():
        if (value := server.parameters.get(name)) and hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), int(value))
    if server.parameters.get("sslnegotiation") != "direct":
        connection.sendall(_SSL_REQUEST)
        # One byte alone: what somebody put behind it in the clear would fail as TLS.
        if connection.recv(1) != b"S":
            connection.close()
            raise OSError("the server speaks no TLS")
    connection.settimeout(0)  # asyncio waits
    return connection


async def _answer(relay: Relay, server: _Server, source: Any, target: Any) -> None:
    """Carry what the server says, without the logins that are bound to a TLS of the program's own."""
    try:
        await asyncio.wait_for(_carry_login(source, target), server.wait_seconds)
    except TimeoutError:
        where = f"{server.host}:{server.port}"
        relay.failure = f"{where}: the server has said nothing for {server.wait_seconds} seconds"
    except BackupError as error:
        relay.failure = str(error)
    except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
        return  # it ends here as it ended there
    else:
        await _copy(source, target)


async def _carry_login(source: Any, target: Any) -> None:
    """Carry what the server says until it has said how to log in, or why not.

    Raises:
        BackupError: it offers nothing but logins that are bound to a TLS of the program's own.
        OSError, asyncio.IncompleteReadError: the connection ended.
    """
    kind = b""
    while kind not in {b"R", b"E"}:
        kind, size = struct.unpack("!ci", await source.readexactly(5))
        body = await source.readexactly(size - 4)
        if kind == b"R" and body.startswith(_SASL):
            body = _without_channel_binding(body)
            if body == _SASL + b"\0":
                raise BackupError(f"the server demands channel binding: {_REMEDY}")
        target.write(struct.pack("!ci", kind, len(body) + 4) + body)


def _without_channel_binding(offer: bytes) -> bytes:
    """Leave out of an offer of logins what a program without TLS takes for an attack."""
    names = offer.removeprefix(_SASL).rstrip(b"\0").split(b"\0")
    kept = [name for name in names if not name.endswith(b"-PLUS")]
    return _SASL + b"".join(name + b"\0" for name in kept) + b"\0"


async def _copy(source: Any, target: Any) -> None:
    """Carry bytes one way; an end that is no clean one is an end as well."""
    with suppress(OSError, ssl.SSLError):
        while chunk := await source.read(CHUNK):
            target.write(chunk)
            await target.drain()
