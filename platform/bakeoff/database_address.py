"""What a database's address gets beside what its owner wrote: a server that is gone must be noticed.

Guarantees: what the address names itself stays as it is; one of a socket file is not touched; one
that cannot be parsed comes back as it was, for whoever parses it to name. It imports no driver.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

# A machine without power sends no word: without these an answer is waited for 15 minutes, and by a
# connection that only listens 2 hours. A busy server still acknowledges what it does not answer.
_OVER_A_NETWORK: Mapping[str, str] = {
    "connect_timeout": "5",  # seconds, per host
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",  # milliseconds without an acknowledgement of what was sent
}
# Of several hosts all but one are standbys, which write nothing and may be behind.
_OF_SEVERAL: Mapping[str, str] = {"target_session_attrs": "read-write"}
_SCHEMES = ("postgresql://", "postgres://")
_PAIR = re.compile(r"(\w+)\s*=\s*('(?:\\.|[^'\\])*'|(?:\\.|[^\s\\])*)")


def complete(address: str, *, writes: bool = True) -> str:
    """Return a libpq URL, or `key=value` pairs, with limits, and which of several hosts is meant.

    Args:
        address: as its owner wrote it.
        writes: whether a server is meant that takes writes.
    """
    names = _parameters_of(address)
    wanted = {name: value for name, value in _wanted(names, writes=writes).items() if name not in names}
    if not wanted:
        return address
    if not address.startswith(_SCHEMES):
        return " ".join([address, *(f"{name}={value}" for name, value in wanted.items())])
    return f"{address}{'&' if '?' in address else '?'}{urlencode(wanted)}"


def unreadable(name: str) -> str:
    """Say that an address cannot be parsed, without the address: it may hold a password."""
    return f"{name} cannot be parsed, must be like postgresql://user:password@host:5432/bakeoff"


def has_several_hosts(address: str) -> bool:
    """Whether an address names more than one server."""
    return len(_hosts_of(_parameters_of(address))) > 1


def _wanted(parameters: Mapping[str, str], *, writes: bool) -> dict[str, str]:
    hosts = _hosts_of(parameters)
    over_a_network = any(host and not host.startswith(("/", "@")) for host in hosts)
    one_of_several = writes and len(hosts) > 1
    return {**(_OVER_A_NETWORK if over_a_network else {}), **(_OF_SEVERAL if one_of_several else {})}


def _hosts_of(parameters: Mapping[str, str]) -> list[str]:
    return (parameters.get("host") or parameters.get("hostaddr") or "").split(",")


def _parameters_of(address: str) -> dict[str, str]:
    """Return what an address names, its hosts as `host`."""
    if not address.startswith(_SCHEMES):
        return {name: value.strip("'") for name, value in _PAIR.findall(address)}
    rest, _, query = address.partition("://")[2].partition("?")
    servers = rest.partition("/")[0].rpartition("@")[2].split(",")
    hosts = [unquote(server if server.endswith("]") else _without_port(server)) for server in servers]
    return {"host": ",".join(hosts)} | dict(parse_qsl(query, keep_blank_values=True))


def _without_port(server: str) -> str:
    host, _, port = server.rpartition(":")
    return host if port.isdigit() or (host and not port) else server
