"""A group of Redis servers that sentinels watch, as one URL names it.

    sentinel://user:password@host1:26379,host2:26379,host3:26379/NAME?db=0
    sentinels://user:password@host1:26379,host2:26379/NAME?db=0&ssl_ca_certs=/etc/ssl/company.pem

The second goes over TLS, to sentinels and to servers. Their certificates are checked against the file,
or the system's, unless `ssl_cert_reqs=none`; `ssl_certfile` and `ssl_keyfile` are the client's own.

Hosts are sentinels; NAME is the group's in their configuration (`sentinel monitor NAME …`). User and
password are those of the servers, and `sentinel_username` and `sentinel_password`, in the query, those
of the sentinels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEME, TLS_SCHEME = "sentinel", "sentinels"
PORT = 26379
# As sentinels take it in their own configuration.
_NAME = re.compile(r"[A-Za-z0-9._-]+")
# Not urlsplit: from CPython 3.11.12 on it takes one host, and nothing before an address in brackets.
_PARTS = re.compile(rf"({SCHEME}s?)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:,/]+)(?::([0-9]{1,5}))?")
_OPTIONS = frozenset({"db", "sentinel_username", "sentinel_password"})
_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_TLS_OPTIONS = frozenset({"ssl_cert_reqs", *_TLS_FILES})
# What redis-py and kombu begin with where no sentinel names a primary; every connection follows.
_NO_PRIMARY = "No master found"


class SentinelAddressError(ValueError):
    """The URL breaks a rule; the message names it without a password."""


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """Where sentinels are asked for the primary of a group.

    Attributes:
        hosts: of the sentinels, with their ports.
        name: of the group.
        db: number of the database.
        username: of the servers; empty: the default user's.
        password: of the servers.
        sentinel_username: of the sentinels.
        sentinel_password: of the sentinels.
        tls: what redis-py and Celery want to know of TLS; None: nothing goes over it.
    """

    hosts: tuple[tuple[str, int], ...]
    name: str
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    sentinel_username: str = ""
    sentinel_password: str = field(default="", repr=False)
    tls: Mapping[str, str] | None = None

    @classmethod
    def of(cls, url: str) -> SentinelAddress:
        """Read a URL.

        Raises:
            SentinelAddressError: it breaks a rule.
        """
        parts = _PARTS.fullmatch(url)
        if parts is None:
            raise SentinelAddressError(f"it must begin with {SCHEME}:// or {TLS_SCHEME}://.")
        scheme, netloc, path, query = parts.groups(default="")
        login, _, hosts = netloc.rpartition("@")
        username, _, password = login.partition(":")
        name = path.removeprefix("/")
        if not _NAME.fullmatch(name):
            raise SentinelAddressError(
                f"path == '{path}', must be the name of the group, such as /bakeoff."
            )
        options = dict(parse_qsl(query, keep_blank_values=True))
        known = _OPTIONS | _TLS_OPTIONS if scheme == TLS_SCHEME else _OPTIONS
        if unknown := sorted(options.keys() - known):
            raise SentinelAddressError(_unknown(unknown[0], known))
        return cls(
            hosts=_hosts_of(hosts),
            name=name,
            db=_database_of(options.get("db", "0")),
            username=unquote(username),
            password=unquote(password),
            sentinel_username=options.get("sentinel_username", ""),
            sentinel_password=options.get("sentinel_password", ""),
            tls=_tls_of(options) if scheme == TLS_SCHEME else None,
        )

    @property
    def server_options(self) -> dict[str, object]:
        """What redis-py wants for connections to the servers."""
        return {"db": self.db} | _login(self.username, self.password) | self._tls_options

    @property
    def sentinel_options(self) -> dict[str, object]:
        """What redis-py wants for connections to the sentinels."""
        return _login(self.sentinel_username, self.sentinel_password) | self._tls_options

    @property
    def _tls_options(self) -> dict[str, object]:
        return {} if self.tls is None else {"ssl": True, **self.tls}

    @property
    def absence(self) -> str:
        """The sentence for the case that none of them names a primary; without a period."""
        hosts = ", ".join(f"{host}:{port}" for host, port in map(_bracketed, self.hosts))
        return absence(hosts, self.name)

    @property
    def broker_url(self) -> str:
        """The URL as Celery spells it; the name stands in the transport's options."""
        login = f"{quote(self.username, safe='')}:{quote(self.password, safe='')}@"
        urls = [f"{SCHEME}://{host}:{port}" for host, port in map(_bracketed, self.hosts)]
        host, port = _bracketed(self.hosts[0])
        urls[0] = f"{SCHEME}://{login if self.password else ''}{host}:{port}/{self.db}"
        return ";".join(urls)


def is_sentinel(url: str) -> bool:
    """Whether a URL names sentinels, and not a server."""
    return url.startswith((f"{SCHEME}://", f"{TLS_SCHEME}://"))


def absence(hosts: str, group: str) -> str:
    """Return the sentence for sentinels of which none names a primary of a group; without a period."""
    return f"No sentinel of {hosts} names a primary of '{group}'"


def absence_in(text: str, *, broker_url: str, group: str) -> str | None:
    """Return in one sentence what kombu writes where no sentinel names a primary; else None.

    Args:
        text: of its exception.
        broker_url: as `SentinelAddress.broker_url`.
        group: name of the group.
    """
    if not text.startswith(_NO_PRIMARY):
        return None
    hosts = (url.removeprefix(f"{SCHEME}://") for url in broker_url.split(";"))
    return absence(", ".join(host.rpartition("@")[2].partition("/")[0] for host in hosts), group)


def _unknown(name: str, known: frozenset[str]) -> str:
    if name in _TLS_OPTIONS:
        return f"{name}, must stand in an address that begins with {TLS_SCHEME}://."
    return f"{name}, must be one of {', '.join(sorted(known))}."


def _tls_of(options: Mapping[str, str]) -> dict[str, str]:
    """Return the TLS options; servers' certificates are checked unless `ssl_cert_reqs=none`."""
    wanted = options.get("ssl_cert_reqs", "required")
    if wanted not in {"required", "none"}:
        raise SentinelAddressError(f"ssl_cert_reqs == '{wanted}', must be 'required' or 'none'.")
    files = {name: options[name] for name in _TLS_FILES if name in options}
    for name, path in files.items():
        # Else a wrong path would look like sentinels that are away.
        if not Path(path).is_file():
            raise SentinelAddressError(f"{name} == '{path}', must be a file.")
    return {"ssl_cert_reqs": wanted, **files}


def _hosts_of(text: str) -> tuple[tuple[str, int], ...]:
    hosts = []
    for one in text.split(","):
        match = _HOST.fullmatch(one)
        port = int(match[2] or PORT) if match else 0
        if match is None or not 0 < port < 65536:
            raise SentinelAddressError(
                f"host == '{one}', must be a sentinel's host with its port, such as host1:{PORT}."
            )
        hosts.append((match[1].strip("[]"), port))
    return tuple(hosts)


def _database_of(text: str) -> int:
    if not text.isdecimal():
        raise SentinelAddressError(f"db == '{text}', must be the number of a database.")
    return int(text)


def _login(username: str, password: str) -> dict[str, object]:
    known = {"username": username, "password": password}
    return {name: value for name, value in known.items() if value}


def _bracketed(host: tuple[str, int]) -> tuple[str, int]:
    name, port = host
    return (f"[{name}]" if ":" in name else name), port
