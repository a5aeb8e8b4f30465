"""What web processes serve, as each says itself: one heartbeat per process, which expires with it.

Guarantees: heartbeats are found by the names of the processes; nobody walks through the cache, which
holds lists of millions of units. A process that was killed is forgotten when its heartbeat expires.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, cast

import orjson

from inference.serving.keys import GONE, SERVING, serving_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import redis


FORGOTTEN_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class ServingHeartbeat:
    """What a web process serves, and how it is.

    Attributes:
        champion: by surface id, the champion's version id; none that could not be loaded.
        experiment: by surface id, the id of the running experiment.
        unserved: ids of champions and variants that cannot be loaded.
        impaired: ids of those that serve without a damaged file which only `/v1/similar` needs.
        breakers: ids of versions whose circuit breaker is open.
        changes: how many announced changes the process has read.
        probes: by version id, the fields of a `ProbeResult`.
        work: status of each long-lived work.
        issues: rows of the configuration that cannot be followed.
    """

    champion: Mapping[str, int] = field(default_factory=dict)
    experiment: Mapping[str, int] = field(default_factory=dict)
    unserved: Sequence[int] = ()
    impaired: Sequence[int] = ()
    breakers: Sequence[int] = ()
    changes: int = 0
    probes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    work: Sequence[Mapping[str, Any]] = ()
    issues: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def from_json(cls, body: bytes) -> ServingHeartbeat:
        """Read a heartbeat; fields of another version of the platform are passed over."""
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in orjson.loads(body).items() if name in known})


def read_heartbeats(client: redis.Redis) -> dict[str, ServingHeartbeat]:
    """Return the heartbeat of each live web process, by the process's name."""
    names = sorted(name.decode() for name in cast("set[bytes]", client.smembers(SERVING)))
    if not names:
        return {}
    bodies = cast("list[bytes | None]", client.mget([serving_key(name) for name in names]))
    gone = [name for name, body in zip(names, bodies, strict=True) if body is None]
    if gone:  # one that only paused puts its name back with its next heartbeat
        seconds, _ = client.time()
        client.hset(GONE, mapping=dict.fromkeys(gone, seconds))
        client.srem(SERVING, *gone)
    return {
        name: ServingHeartbeat.from_json(body)
        for name, body in zip(names, bodies, strict=True)
        if body is not None
    }


def read_gone_hosts(client: redis.Redis) -> list[str]:
    """Return machines whose web processes ended without a word, and that have none now.

    A process that ends in good order takes its name away itself; one that was killed and started again
    on its machine is back under another name.
    """
    live = {host_of(name) for name in read_heartbeats(client)}
    seconds, _ = client.time()
    gone = {
        name.decode(): int(at) for name, at in cast("dict[bytes, bytes]", client.hgetall(GONE)).items()
    }
    over = [
        name for name, at in gone.items() if host_of(name) in live or seconds - at > FORGOTTEN_SECONDS
    ]
    if over:
        client.hdel(GONE, *over)
    return sorted({host_of(name) for name in gone if name not in over})


def host_of(process: str) -> str:
    """Return the machine of a web process, by its name `host:pid`."""
    return process.rpartition(":")[0] or process
