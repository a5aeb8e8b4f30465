"""How a variant was served between two looks, as a look stores it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class GenerationUse:
    """What the answers of a variant cost that a model gave; sums, so that looks add up.

    Attributes:
        answers: how many.
        tokens_in: that were sent.
        tokens_out: that came back.
        cost: in money.
        latency_ms: of all together.
    """

    answers: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    latency_ms: float = 0.0

    def __add__(self, other: GenerationUse) -> GenerationUse:
        return GenerationUse(
            answers=self.answers + other.answers,
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
            cost=self.cost + other.cost,
            latency_ms=self.latency_ms + other.latency_ms,
        )

    @property
    def cost_per_answer(self) -> float:
        """Mean cost; 0 without an answer."""
        return self.cost / max(self.answers, 1)

    @property
    def tokens_in_per_answer(self) -> float:
        """Mean tokens that were sent."""
        return self.tokens_in / max(self.answers, 1)

    @property
    def tokens_out_per_answer(self) -> float:
        """Mean tokens that came back."""
        return self.tokens_out / max(self.answers, 1)

    @property
    def mean_latency_ms(self) -> float:
        """Mean latency."""
        return self.latency_ms / max(self.answers, 1)


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
        generation: what answers of a model cost; None where none answered, and of older looks.
    """

    variant: str
    slates: int
    latency_p95_ms: float
    fallback: float
    errors: float
    items: int
    samples: Sequence[Sequence[str]]
    cold: float = 0.0
    generation: GenerationUse | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what is stored under the variant's key."""
        data = asdict(self)
        del data["variant"]
        if self.generation is None:
            del data["generation"]
        return data

    @classmethod
    def from_json(cls, variant: str, data: Mapping[str, Any]) -> ServedVariant:
        """Read what `as_json` wrote."""
        use = data.get("generation")
        generation = GenerationUse(**use) if use is not None else None
        return cls(variant=variant, **{**data, "generation": generation})
