"""How a variant was served between two looks, as a look stores it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class ServedVariant:
    """What guards an experiment beside its metrics.

    Attributes:
        variant: its key.
        slates: how many were answered.
        latency_p95_ms: 95th percentile of their latency.
        fallback: share of them that held a list other than the version's own.
        errors: share of them that the version could not answer.
        items: distinct items in them.
        samples: the first items of the latest slates.
        cold: share of them to units without history; looks of 0.1.0 did not store it.
    """

    variant: str
    slates: int
    latency_p95_ms: float
    fallback: float
    errors: float
    items: int
    samples: Sequence[Sequence[str]]
    cold: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return what is stored under the variant's key."""
        data = asdict(self)
        del data["variant"]
        return data

    @classmethod
    def from_json(cls, variant: str, data: Mapping[str, Any]) -> ServedVariant:
        """Read what `as_json` wrote."""
        return cls(variant=variant, **data)
