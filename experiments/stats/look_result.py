"""What a look comes to, and its stored form, which every page, file and report reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from experiments.stats.comparison import Comparison
from experiments.stats.interleaving import Preference
from experiments.stats.segments import SegmentEffect
from experiments.stats.shrunken_segments import SegmentDifference
from experiments.stats.srm import SampleRatio, SegmentRatio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.kinds import Action
    from experiments.stats.rules import RuleState

# 1: intervals of the estimate ± critical · se; 2: by inverting the test, null below the gates.
SCHEMA = 2


@dataclass(frozen=True, slots=True)
class SpentAlpha:
    """How much of a treatment's alpha its looks have spent.

    Attributes:
        t: information fraction of the last look that spent any.
        bound: critical value of |z| at that look; None before the first.
        spent: two-sided alpha spent so far.
    """

    t: float
    bound: float | None
    spent: float


@dataclass(frozen=True, slots=True)
class LookResult:
    """What a look comes to.

    Attributes:
        action: what to do.
        variant: which treatment it is about, or None.
        reason: why, in words.
        information: complete units over planned units.
        sample_ratio: whether the split is as planned.
        comparisons: every treatment on every metric.
        segments: the primary's effects within segments, for exploration.
        differences: whether those effects differ, by attribute and treatment.
        mismatch: of an unhealthy sample ratio, the segments that explain it.
        leaving: treatments that do harm and leave while another one runs on, ships or ends, and why.
        bounds: alpha that each treatment has spent.
        preferences: of an interleaved experiment, of each version against the control.
        schema: of the stored form; intervals of 1 are the estimate ± critical · se.
        states: what the rule hands to the next look. It is stored with that look's input, not here.
        crossed: treatments whose upper bound was crossed, now or before; stored likewise.
    """

    action: Action
    variant: str | None
    reason: str
    information: float
    sample_ratio: SampleRatio
    comparisons: Sequence[Comparison]
    segments: Sequence[SegmentEffect] = ()
    differences: Sequence[SegmentDifference] = ()
    mismatch: Sequence[SegmentRatio] = ()
    leaving: Mapping[str, str] = field(default_factory=dict)
    bounds: Mapping[str, SpentAlpha] = field(default_factory=dict)
    preferences: Sequence[Preference] = ()
    schema: int = SCHEMA
    # Not compared: a result that is read back has none, and is the same result.
    states: Mapping[str, RuleState] = field(default_factory=dict, compare=False)
    crossed: Sequence[str] = field(default=(), compare=False)

    def of_metric(self, key: str) -> list[Comparison]:
        """Return the treatments' comparisons on one metric."""
        return [row for row in self.comparisons if row.metric == key]

    def as_json(self) -> dict[str, Any]:
        """Return the result as plain values; what follows from the numbers is spelled out."""
        interleaved = {"preferences": [one.as_json() for one in self.preferences]}
        differences = {"differences": [one.as_json() for one in self.differences]}
        return {
            "schema": self.schema,
            "action": self.action,
            "variant": self.variant,
            "reason": self.reason,
            "leaving": dict(self.leaving),
            "information": self.information,
            "sample_ratio": self.sample_ratio.as_json(),
            "comparisons": [row.as_json() for row in self.comparisons],
            "segments": [row.as_json() for row in self.segments],
            "mismatch": [row.as_json() for row in self.mismatch],
            "bounds": {
                key: {"t": one.t, "bound": one.bound, "spent": one.spent}
                for key, one in self.bounds.items()
            },
            **(interleaved if self.preferences else {}),
            **(differences if self.differences else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LookResult:
        """Read what `as_json` wrote, now or in an older version."""
        return cls(
            action=data["action"],
            variant=data.get("variant"),
            reason=data["reason"],
            information=data["information"],
            sample_ratio=SampleRatio.from_json(data["sample_ratio"]),
            comparisons=[Comparison.from_json(row) for row in data["comparisons"]],
            segments=[SegmentEffect.from_json(row) for row in data.get("segments", ())],
            differences=list(map(SegmentDifference.from_json, data.get("differences", ()))),
            mismatch=[SegmentRatio.from_json(row) for row in data.get("mismatch", ())],
            leaving=data.get("leaving", {}),
            bounds={key: SpentAlpha(**one) for key, one in data.get("bounds", {}).items()},
            preferences=tuple(map(Preference.from_json, data.get("preferences", ()))),
            schema=data.get("schema", 1),
        )
