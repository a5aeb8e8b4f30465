"""Who calls and on whose behalf: the key, what the visitor consents to, and whether it is a crawler."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from crawleruseragents import is_crawler

from bakeoff.accounts.keys import PUBLIC, SECRET
from bakeoff.gateway import fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.gateway.http import Request
    from bakeoff.gateway.live import LiveKey

MOST_USER_AGENT = 512


@dataclass(frozen=True, slots=True)
class Caller:
    """One request's sender.

    Attributes:
        key: its key.
        user_agent: of the visitor's browser; empty when a server calls.
        opted_out: whether the browser sent Global Privacy Control.
    """

    key: LiveKey
    user_agent: str
    opted_out: bool

    @classmethod
    def of(cls, request: Request, key: LiveKey) -> Caller:
        """Read the headers.

        A secret key is a server's, whose user agent says nothing of the visitor, and neither does
        an HTTP library's with a public key; it may say the visitor's in the body.
        """
        agent = request.header(b"user-agent") if key.kind == PUBLIC else ""
        return cls(
            key=key,
            user_agent=agent if agent.startswith("Mozilla/") else "",
            opted_out=request.header(b"sec-gpc").strip() == "1",
        )

    def is_bot(self, said: object = None) -> bool:
        """Whether the visitor is a crawler: a server says so in the body, a page's key by the header.

        Whoever has a public key could put any unit's name beside a crawler's user agent.
        """
        from_server = isinstance(said, str) and self.key.kind == SECRET
        agent = str(said) if from_server else self.user_agent
        return bool(agent) and _is_crawler(agent[:MOST_USER_AGENT])


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
            training=fields.flag(said, "training", default=True) and not caller.opted_out,
        )


@lru_cache(maxsize=10_000)
def _is_crawler(agent: str) -> bool:
    return bool(is_crawler(agent))
