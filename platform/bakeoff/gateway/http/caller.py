"""Who calls and on whose behalf: the key, what the visitor consents to, and whether it is a crawler."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from crawleruseragents import is_crawler

from bakeoff.accounts.keys import PUBLIC, SECRET
from bakeoff.gateway.http import fields
from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.http.rate_limits import ADDRESS, KEY, UNIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bakeoff.gateway.config.serving_config import KeyConfig
    from bakeoff.gateway.http.rate_limits import Rates
    from bakeoff.gateway.http.request import Request
    from bakeoff.gateway.intake.identity_resolver import Ids

MAX_USER_AGENT = 512


@dataclass(frozen=True, slots=True)
class Caller:
    """One request's sender.

    Attributes:
        key: its key.
        user_agent: of the visitor's browser; empty when a server calls.
        opted_out: whether the browser sent Global Privacy Control.
        address: where it comes from.
        rates: what it may send.
    """

    key: KeyConfig
    user_agent: str
    opted_out: bool
    address: str = ""
    rates: Rates | None = None

    @classmethod
    def of(cls, request: Request, key: KeyConfig, rates: Rates | None = None) -> Caller:
        """Read the headers.

        A secret key is a server's, whose user agent says nothing of the visitor, and neither does
        an HTTP library's with a public key; it may say the visitor's in the body.
        """
        agent = request.header(b"user-agent") if key.kind == PUBLIC else ""
        return cls(
            key=key,
            user_agent=agent if agent.startswith("Mozilla/") else "",
            opted_out=request.header(b"sec-gpc").strip() == "1",
            address=request.address,
            rates=rates,
        )

    def spend(self, rows: int) -> None:
        """Count a request, or rows of it, against its key and, of a public one, its address.

        Raises:
            ApiError: 429.
        """
        if self.rates is None:
            return
        self.rates.take(KEY, self.key.digest, rows)
        if self.key.kind == PUBLIC:
            self.rates.take(ADDRESS, self.address, rows)

    def spend_on(self, several: Iterable[Ids]) -> None:
        """Count what a public key says of units, one each time that it names one.

        Raises:
            ApiError: 429.
        """
        if self.rates is None or self.key.kind != PUBLIC:
            return
        for (anonymous, user), count in Counter(several).items():
            self.rates.take(UNIT, f"{self.key.project_id}:{user or anonymous}", count)

    @property
    def is_crawler(self) -> bool:
        """Whether the request itself comes from a crawler's browser.

        What it does is kept, but it is no exposure, links no ids, and no model learns from it: the
        crawler is in no comparison. It leaves out no unit: whoever has a public key could put any
        unit's name beside a crawler's user agent.
        """
        return bool(self.user_agent) and _is_crawler(self.user_agent[:MAX_USER_AGENT])

    def refuse_crawler(self) -> None:
        """Refuse to count a crawler as a visitor.

        Raises:
            ApiError: the request comes from a crawler's browser.
        """
        if self.is_crawler:
            shown = self.user_agent[:80]
            raise ApiError(
                400, "crawler", f"user-agent == '{shown}', is a crawler's: it is no visitor."
            )

    def names_crawler(self, user_agent: object) -> bool:
        """Whether a server says in the body that its visitor is a crawler; a page's key cannot."""
        if self.key.kind != SECRET or not isinstance(user_agent, str):
            return False
        return _is_crawler(user_agent[:MAX_USER_AGENT])


@dataclass(frozen=True, slots=True)
class Consent:
    """What may be done with a fact.

    Attributes:
        analytics: it may be kept at all.
        training: models may learn from it.
    """

    analytics: bool
    training: bool

    @classmethod
    def of(cls, data: Mapping[str, Any], caller: Caller) -> Consent:
        """Read `consent`; what is not said is given, but for training under an opt-out.

        Raises:
            ApiError: it is not an object of booleans.
        """
        said = fields.mapping(data, "consent")
        return cls(
            analytics=fields.flag(said, "analytics", default=True),
            training=fields.flag(said, "training", default=True)
            and not (caller.opted_out or caller.is_crawler),
        )


@lru_cache(maxsize=10_000)
def _is_crawler(agent: str) -> bool:
    return bool(is_crawler(agent))
