"""Who calls and on whose behalf: the key, what the visitor consents to, and whether it is a crawler."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from crawleruseragents import is_crawler

from bakeoff.accounts.keys import PUBLIC, SECRET
from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.http.fields import flag, json_object, parse, request_type, rule
from bakeoff.gateway.http.rate_limits import ADDRESS, KEY, PROJECT, UNIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.gateway.config.serving_config import KeyConfig
    from bakeoff.gateway.http.fields import Ids
    from bakeoff.gateway.http.rate_limits import Rates
    from bakeoff.gateway.http.request import Request

# The pattern of crawlers is searched in this much: a header may be as long as its sender likes.
MAX_USER_AGENT = 512


@request_type
class Consent:
    """What a visitor consents to; what is not refused is granted.

    Attributes:
        analytics: facts may be stored at all.
        training: models may learn from them.
    """

    analytics: bool = rule(flag, default=True)
    training: bool = rule(flag, default=True)


FULL_CONSENT = Consent(analytics=True, training=True)


def read_consent(value: Any, name: str) -> Consent:
    """Read the consent of a body: an object of booleans.

    Raises:
        ApiError: it is none.
    """
    return FULL_CONSENT if value is None else parse(Consent, json_object(value, name))


class Caller(NamedTuple):
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

    def spend(self, rows: int, *, counted: int = 0) -> None:
        """Count a request, or rows of it, against its key, project and, of a public key, its address.

        Args:
            rows: to count now.
            counted: of the same request, before; a refusal gives them back.

        Raises:
            ApiError: 429.
        """
        if self.rates is None:
            return
        try:
            self.rates.take(self._counts(rows))
        except ApiError:
            self.rates.give_back(self._counts(counted))
            raise

    def _counts(self, rows: int) -> dict[tuple[str, str], int]:
        counts = {(KEY, self.key.digest): rows, (PROJECT, self.key.project): rows}
        # Behind a secret key stands a server, whose one address sends for all of its visitors.
        if self.key.kind == PUBLIC:
            counts[ADDRESS, self.address] = rows
        return counts

    def spend_on(self, several: Sequence[Ids], *, rows: int = 1) -> None:
        """Count what a public key says of units, one each time that it names one.

        Args:
            several: the units.
            rows: of the request, which `spend` has counted; a refusal gives them back.

        Raises:
            ApiError: 429.
        """
        if self.rates is None or self.key.kind != PUBLIC:
            return
        # One take per unit: a batch names the same visitor many times.
        counts = Counter(several) if len(several) > 1 else dict.fromkeys(several, 1)
        by_bucket: Counter[tuple[str, str]] = Counter()
        for (anonymous, user), count in counts.items():
            by_bucket[UNIT, f"{self.key.project_id}:{user or anonymous}"] += count
        try:
            self.rates.take(by_bucket)
        except ApiError:
            # Other visitors share the key's and the project's rate.
            self.rates.give_back(self._counts(rows))
            raise

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

    def limit(self, consent: Consent) -> Consent:
        """Return a visitor's consent, less training where the browser opted out or is a crawler's."""
        if consent.training and (self.opted_out or self.is_crawler):
            return replace(consent, training=False)
        return consent

    def names_crawler(self, user_agent: object) -> bool:
        """Whether a server says in the body that its visitor is a crawler; a page's key cannot."""
        if self.key.kind != SECRET or not isinstance(user_agent, str):
            return False
        return _is_crawler(user_agent[:MAX_USER_AGENT])


# A site sees a few thousand user agents, and the pattern has hundreds of alternatives.
@lru_cache(maxsize=10_000)
def _is_crawler(agent: str) -> bool:
    return bool(is_crawler(agent))
