"""The decision rule of an experiment, fixed and hashed at its start."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from experiments.bounds import MAX_COUNT, MAX_SECONDS, MAX_VALUE
from experiments.kinds import PROPORTIONS, RULES, Rule

WEEK = 7 * 86_400.0
MAX_OVERRUN = 1000.0
# Below it, a variant's own users are too few for a verdict that holds its level.
MIN_FLOOR = 0.05
MIN_UPDATE_SECONDS = 60.0
MAX_ATTRIBUTE = 39  # characters of its name
MAX_BLOCK_SECONDS = WEEK  # fewer than 40 blocks of a week in most of a year
SHIP_WHEN = ("significant", "valuable")
_HIGHEST = {
    "minimum_conversions": MAX_COUNT,
    "minimum_nonzero": MAX_COUNT,
    "minimum_run_seconds": 10 * MAX_SECONDS,  # "never by itself"
    "window_seconds": MAX_SECONDS,
    "twyman_limit": MAX_VALUE,
    "burn_in_units": MAX_COUNT,
    "block_seconds": MAX_BLOCK_SECONDS,
    "carry_over_seconds": MAX_BLOCK_SECONDS,
}


class PolicyError(ValueError):
    """A field of a policy breaks its rule."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Fields of the decision rule; the defaults suit live traffic.

    Attributes:
        rule: how evidence is judged: `group_sequential` (looks at will, a planned number of units),
            `always_valid` (no plan needed), `exact` (rare proportions, drifting rates), `fixed` (one
            look at the planned units).
        alpha: two-sided level of a wrong verdict, reserve included.
        reserve: group_sequential: part of alpha kept for the confidence sequence that runs on after
            the planned units.
        planned_units: units over all variants that the power calculation asked for.
        overrun: end without a verdict after this multiple of the planned units.
        minimum_conversions: proportion: conversions needed in each variant before a verdict.
        minimum_nonzero: mean and ratio: units with a value other than zero needed in each variant,
            times the root of the larger over the smaller variant.
        minimum_run_seconds: no ship before, rounded up to full weeks from a week on; a loss does not
            wait.
        window_seconds: a unit is complete this long after its exposure, unless its metric has its own.
        look_every_seconds: pause between looks.
        twyman_limit: a relative gain beyond it waits for a person.
        futility: group_sequential: stop when neither direction has 10 % conditional power at the
            planned effect.
        log_odds_spread: exact: standard deviation of the mixture over the log odds ratio; the rule is
            quickest for effects of about this size.
        srm_alpha: level of the sample-ratio test.
        most_doubled: share of units seen in two variants beyond which the experiment halts.
        promote: whether a ship verdict promotes by itself; otherwise it waits for a person.
        ship_when: `significant`: by the rule's verdict alone; `valuable`: at the end of the plan also
            what is more likely better than not, with every guardrail shown to be safe.
        prior_mean, prior_sd: valuable: how lifts of challengers are distributed, on the log scale.
        floor: bandit: the least share of new users that a variant gets; 0 of an experiment that splits.
        update_every_seconds: bandit: pause between changes of the shares, each of which opens an epoch.
        burn_in_units: bandit: users that get the shares of the start before the first change.
        cluster_by: cluster: the attribute of the request's context that names what is randomised.
        block_seconds: switchback: length of the blocks of time; `planned_units` then counts blocks.
        carry_over_seconds: switchback: from a block's start, in which the block before still acts.

    Raises:
        PolicyError: a value breaks its rule.
    """

    rule: Rule = "group_sequential"
    alpha: float = 0.05
    reserve: float = 0.005
    planned_units: int = 10_000
    overrun: float = 4.0
    minimum_conversions: int = 25
    minimum_nonzero: int = 100
    minimum_run_seconds: float = 7 * 86_400.0
    window_seconds: float = 86_400.0
    look_every_seconds: float = 60.0
    twyman_limit: float = 0.5
    futility: bool = True
    log_odds_spread: float = 0.15
    srm_alpha: float = 0.001
    most_doubled: float = 0.01
    promote: bool = True
    ship_when: str = "significant"
    prior_mean: float = 0.0
    prior_sd: float = 0.03
    floor: float = 0.0
    update_every_seconds: float = 86_400.0
    burn_in_units: int = 200
    cluster_by: str = ""
    block_seconds: float = 0.0
    carry_over_seconds: float = 0.0

    def __post_init__(self) -> None:
        self._require(self.rule in RULES, "rule", f"one of {list(RULES)}")
        self._require(0 < self.alpha < 1, "alpha", "in (0, 1)")
        self._require(0 <= self.reserve < self.alpha, "reserve", "in [0, alpha)")
        counted = 2 <= self.planned_units <= MAX_COUNT
        self._require(counted, "planned_units", f"at least 2 and at most {MAX_COUNT:g}")
        ends = 1 <= self.overrun <= MAX_OVERRUN
        self._require(ends, "overrun", f"at least 1 and at most {MAX_OVERRUN:g}")
        self._require(0 < self.srm_alpha < 1, "srm_alpha", "in (0, 1)")
        self._require(0 <= self.most_doubled <= 1, "most_doubled", "in [0, 1]")
        for name, high in _HIGHEST.items():
            self._require(0 <= getattr(self, name) <= high, name, f"at least 0 and at most {high:g}")
        self._require(
            0 < self.look_every_seconds <= MAX_SECONDS,
            "look_every_seconds",
            f"positive, at most {MAX_SECONDS:g}",
        )
        self._require(0 < self.log_odds_spread <= 10, "log_odds_spread", "positive, at most 10")
        self._require(self.ship_when in SHIP_WHEN, "ship_when", f"one of {list(SHIP_WHEN)}")
        self._require(abs(self.prior_mean) <= 1, "prior_mean", "in [-1, 1]")
        self._require(0 < self.prior_sd <= 1, "prior_sd", "in (0, 1]")
        floored = self.floor == 0 or MIN_FLOOR <= self.floor <= 0.5
        self._require(floored, "floor", f"in [{MIN_FLOOR:g}, 0.5], or 0 of an experiment that splits")
        named = len(self.cluster_by) <= MAX_ATTRIBUTE
        self._require(
            named, "cluster_by", f"the name of an attribute, at most {MAX_ATTRIBUTE} characters"
        )
        self._require(
            MIN_UPDATE_SECONDS <= self.update_every_seconds <= MAX_SECONDS,
            "update_every_seconds",
            f"at least {MIN_UPDATE_SECONDS:g} and at most {MAX_SECONDS:g}",
        )

    def require_attainable(self, kind: str, min_weight: float) -> None:
        """Refuse a plan that ends before its own count gate can be passed.

        Args:
            kind: of the primary metric.
            min_weight: the smallest share of a variant.

        Raises:
            PolicyError: the planned units of the smallest variant are fewer than the gate.
        """
        proportion = kind in PROPORTIONS
        gate = self.minimum_conversions if proportion else self.minimum_nonzero
        have = self.planned_units * min_weight * self.overrun
        if have < gate:
            raise PolicyError(
                f"planned_units == {self.planned_units}, gives the smallest variant {have:g} units by "
                f"the end: fewer than the gate of {gate} "
                f"{'conversions' if proportion else 'units with a value'}."
            )

    def _require(self, holds: bool, name: str, rule: str) -> None:  # noqa: FBT001  private, one line
        if not holds:
            raise PolicyError(f"{name} == {getattr(self, name)!r}, must be {rule}.")

    @classmethod
    def parse(cls, data: object) -> Policy:
        """Read a policy from JSON; fields that are missing keep their defaults.

        Raises:
            PolicyError: an unknown field, a wrong type, or a value that breaks its rule.
        """
        if not isinstance(data, Mapping):
            raise PolicyError(f"policy == {data!r:.80}, must be an object.")
        known = {f.name: f for f in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in data.items():
            if name not in known:
                raise PolicyError(f"policy field '{name}' is unknown, must be one of {sorted(known)}.")
            default = known[name].default
            wanted = (int, float) if isinstance(default, float) else type(default)
            if not isinstance(value, wanted) or (
                isinstance(value, bool) and not isinstance(default, bool)
            ):
                raise PolicyError(f"{name} == {value!r}, must be a {type(default).__name__}.")
            values[name] = value
        return cls(**values)

    def as_json(self) -> dict[str, Any]:
        """Return every field; those of `ship_when` only where it is `valuable`, a mode's only of it.

        A policy is hashed at the start of its experiment: what was hashed then must hash the same now.
        """
        fields_of_valuable = ("ship_when", "prior_mean", "prior_sd")
        fields_of_bandit = ("floor", "update_every_seconds", "burn_in_units")
        left_out = (fields_of_valuable if self.ship_when == "significant" else ()) + (
            fields_of_bandit if self.floor == 0 else ()
        )
        left_out += () if self.cluster_by else ("cluster_by",)
        left_out += () if self.block_seconds else ("block_seconds", "carry_over_seconds")
        return {name: value for name, value in asdict(self).items() if name not in left_out}

    @property
    def sequential_alpha(self) -> float:
        """What the rule may spend by the planned units."""
        return self.alpha - self.reserve if self.rule == "group_sequential" else self.alpha

    def interval_level(self, treatments: int = 1) -> float:
        """Return the level of intervals of treatments that share alpha (Bonferroni), such as 0.95."""
        return 1 - self.alpha / treatments

    @property
    def interval_kind(self) -> str:
        """When intervals hold: one look that was planned, or any number of them."""
        return "one fixed analysis" if self.rule == "fixed" else "valid at any time"

    @property
    def required_run_seconds(self) -> float:
        """No ship before: from a week on in full weeks, so that every day of the week counts alike."""
        if self.minimum_run_seconds < WEEK:
            return self.minimum_run_seconds
        return math.ceil(self.minimum_run_seconds / WEEK) * WEEK
