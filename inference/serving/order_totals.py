"""How much items are liked lately, by version and country: counted by a worker, read by web processes.

about           {"at", "upper", "signature", "countries"}
in:             totals over all countries: {"items": [...], "totals": [...]}
in:DE           those of one country
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from inference.serving.keys import totals_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    import redis

ABOUT, IN = "about", "in:"
TTL_SECONDS = 7 * 86_400  # of a version that serves no more
MAX_ITEMS = 100_000  # whose totals are kept: the highest
MAX_COUNTRY_ITEMS = 5_000
MAX_COUNTRIES = 300
MIN_COUNTRY_TOTAL = 20.0  # likes of a country; of fewer, each would show who liked what
EVERYWHERE = ""


@dataclass(frozen=True, slots=True)
class TotalsAbout:
    """What totals are of.

    Attributes:
        at: when they were counted, in seconds since 1970: a like of that moment weighs 1.
        upper: id of the first transaction that is not in them.
        signature: names the order and the likes that it counts; of others, nothing is reused.
        countries: with totals of their own that are large enough to be served.
    """

    at: float
    upper: int
    signature: str
    countries: tuple[str, ...] = ()

    @classmethod
    def parse(cls, packed: bytes) -> TotalsAbout:
        """Read what was written."""
        body = orjson.loads(packed)
        return cls(body["at"], body["upper"], body["signature"], tuple(body["countries"]))


@dataclass(frozen=True, slots=True)
class OrderTotals:
    """Totals of one version.

    Attributes:
        about: what they are of.
        by_country: total by item, by country; `EVERYWHERE` for all.
    """

    about: TotalsAbout
    by_country: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def write(self, client: redis.Redis, version_id: int) -> None:
        """Replace what the cache holds, in one step."""
        key = totals_key(version_id)
        fields: dict[Any, Any] = {ABOUT: orjson.dumps(asdict(self.about))}
        for country, totals in self.by_country.items():
            fields[IN + country] = pack(totals)
        with client.pipeline() as pipe:
            pipe.delete(key)
            pipe.hset(key, mapping=fields)
            pipe.expire(key, TTL_SECONDS)
            pipe.execute()

    @classmethod
    def read(cls, client: redis.Redis, version_id: int) -> OrderTotals | None:
        """Return what the cache holds of a version, or None."""
        fields: Any = client.hgetall(totals_key(version_id))
        if ABOUT.encode() not in fields:
            return None
        about = TotalsAbout.parse(fields.pop(ABOUT.encode()))
        return cls(
            about, {name.decode().removeprefix(IN): unpack(value) for name, value in fields.items()}
        )


def pack(totals: Mapping[str, float]) -> bytes:
    """Return totals by item as they are written."""
    return orjson.dumps({"items": list(totals), "totals": list(totals.values())})


def unpack(packed: bytes | None) -> dict[str, float]:
    """Return totals by item; nothing for None."""
    if packed is None:
        return {}
    body = orjson.loads(packed)
    return dict(zip(body["items"], body["totals"], strict=True))
