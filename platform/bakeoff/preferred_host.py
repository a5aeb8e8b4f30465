"""Of several hosts the one that took the last connection is tried first the next time.

Guarantees: a process waits once for a server whose machine is off, not at each connection: workers make
one for each task, and would spend all their time on the first host of the address. Only where all but
one are standbys (`target_session_attrs=read-write`): hosts of a replica are tried in their order.
Django's connections do so by connected_hosts.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.conninfo import conninfo_to_dict, make_conninfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg import AsyncConnection, Connection

WRITES = "read-write"


def prefer_host_of(connection: Connection | AsyncConnection, address: str) -> str:
    """Return an address whose first host is the one that is connected.

    Args:
        connection: that was made by the address.
        address: a libpq URL, or `key=value` pairs; of one host, or where any of several will do, it
            comes back as it is.
    """
    info = connection.info
    options = conninfo_to_dict(address)
    if not is_one_of_several(options):
        return address
    parts = reordered(
        str(options.get("host") or ""), str(options.get("port") or ""), info.host, info.port
    )
    return make_conninfo(address, **parts) if parts else address


def is_one_of_several(options: Mapping[str, object]) -> bool:
    """Whether options of libpq mean the one of several hosts that takes writes, in any order."""
    # Where hosts have addresses beside their names, the two lists belong together.
    return options.get("target_session_attrs") == WRITES and "hostaddr" not in options


def reordered(hosts: str, ports: str, host: str, port: int) -> dict[str, str]:
    """Return libpq's `host` and `port` with one in front; nothing where it is, or is none of them."""
    names, numbers = hosts.split(","), ports.split(",")
    if len(names) == 1:
        return {}
    if len(numbers) == 1:  # of all, or the default one
        numbers *= len(names)
    pairs = list(zip(names, numbers, strict=False))
    first = next((pair for pair in pairs if pair in {(host, str(port)), (host, "")}), pairs[0])
    if first == pairs[0]:
        return {}
    pairs.remove(first)
    pairs.insert(0, first)
    parts = {"host": ",".join(name for name, _ in pairs)}
    return parts | ({"port": ",".join(number for _, number in pairs)} if ports else {})
