"""Random totals under random rules, and whether what is said of them contradicts itself.

`python -m benchmarks statistics` runs 100,000 of them, the tests a thousand.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from experiments.kinds import PROPORTIONS, RULES
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from experiments.stats.policy import Policy
from experiments.stats.quantiles import Sketch
from experiments.stats.totals import Moments, Totals
from tests.support.looks import look_input, metric_input

if TYPE_CHECKING:
    from experiments.stats.comparison import Comparison
    from experiments.stats.look_result import LookResult

KINDS = ("proportion", "retention", "funnel", "mean", "ratio", "quantile", "mean with covariate",
         "proportion with covariate", "ratio with covariate")  # fmt: skip
SPLITS = (0.5, 0.5, 0.33, 0.2, 0.1, 0.05, 0.01)
CONTROL = "control"


@dataclass
class Tally:
    """What was tried and what went wrong."""

    looks: int = 0
    comparisons: int = 0
    intervals: int = 0
    lifts: int = 0
    decided: int = 0
    wrong: list[str] = field(default_factory=list)
    by_kind: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_split: Counter[str] = field(default_factory=Counter)

    def __iadd__(self, other: Tally) -> Self:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))
        return self


class Draws:
    """Totals of two variants whose difference lies near the bounds as often as not."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def sides(self, kind: str, sizes: dict[str, int]) -> dict[str, Any]:
        plain = kind.removesuffix(" with covariate")
        if plain in PROPORTIONS and plain == kind:
            return self._proportions(sizes)
        if plain == "quantile":
            return self._sketches(sizes)
        return self._moments(plain, sizes, covariate=plain != kind)

    def _shift(self, small: int, sd: float) -> float:
        """A difference of a few standard errors, of the smaller variant's."""
        return float(self.rng.normal(0, 5.0) * sd / max(small, 2) ** 0.5)

    def _proportions(self, sizes: dict[str, int]) -> dict[str, Any]:
        p = float(self.rng.choice([0.001, 0.01, 0.1, 0.5, 0.9, 0.999]) * self.rng.uniform(0.5, 1.0))
        by_variant = {}
        for name, n in sizes.items():
            shift = 0.0 if name == CONTROL else self._shift(n, (p * (1 - p)) ** 0.5)
            by_variant[name] = Totals.of_proportion(
                int(self.rng.binomial(n, min(max(p + shift, 0), 1))), n
            )
        return by_variant

    def _sketches(self, sizes: dict[str, int]) -> dict[str, Any]:
        step, zeros = self.rng.choice([0.0, 1.0, 10.0, 50.0]), self.rng.choice([0.0, 0.3, 0.6])
        by_variant = {}
        for name, n in sizes.items():
            shift = 0.0 if name == CONTROL else self._shift(n, 0.7)
            values = 50 * np.exp(self.rng.normal(shift, 0.6, min(n, 3000)))
            values = np.round(values / step) * step if step else values
            by_variant[name] = Sketch.of((values * (self.rng.random(len(values)) >= zeros)).tolist())
        return by_variant

    def _moments(self, kind: str, sizes: dict[str, int], *, covariate: bool) -> dict[str, Any]:
        proportion = kind == "proportion"
        p, mean = (
            float(self.rng.uniform(0.05, 0.6)),
            float(self.rng.choice([0.0, 0.02, 0.3, 3.0, -1.0])),
        )
        root = self.rng.normal(0, 1, (4, 4))
        if not covariate:
            root[2:] = 0.0
        if kind != "ratio":
            root[[1, 3]] = 0.0
        by_variant = {}
        for name, n in sizes.items():
            sd = float(np.sqrt((root @ root.T)[0, 0]))
            shift = 0.0 if name == CONTROL else self._shift(n, sd)
            c = root @ root.T * (n - 1)
            y = min(max(p + shift * 0.3 / sd, 0.01), 0.99) if proportion else mean + shift
            if proportion:
                c = c * (y * (1 - y) / sd**2 * n / (n - 1))
            nonzero = round(n * (y if proportion else self.rng.choice([1.0, 0.3])))
            by_variant[name] = Moments(
                n, nonzero, y, 3.0 if kind == "ratio" else 1.0, float(self.rng.normal(1, 1 / n**0.5)),
                2.0 if kind == "ratio" else 1.0,
                c[0, 0], c[1, 1], c[2, 2], c[3, 3], c[0, 1], c[0, 2], c[0, 3], c[1, 2], c[1, 3], c[2, 3],
            )  # fmt: skip
        return by_variant


def contradictions(count: int, seed: int = 0, *, exact: float = 0.25) -> Tally:
    """Take so many looks at random totals and note everything that contradicts itself.

    Args:
        count: of the looks.
        seed: of the draws.
        exact: share of the looks under rule `exact`, which are slow.
    """
    draws, tally = Draws(seed), Tally()
    for _ in range(count):
        look_input = random_input(draws, exact)
        result = take_look(look_input)
        _check(look_input, result, tally)
    return tally


def random_input(draws: Draws, exact: float) -> LookInput:
    rng = draws.rng
    others = [rule for rule in RULES if rule != "exact"]
    rule = "exact" if rng.random() < exact else str(rng.choice(others))
    kind = str(rng.choice(sorted(PROPORTIONS) if rule == "exact" else KINDS))
    treatments = [f"t{n}" for n in range(int(rng.choice([1, 1, 1, 2, 3])))]
    units, share = int(10 ** rng.uniform(1.2, 4.5)), float(rng.choice(SPLITS))
    sizes = {CONTROL: max(round(units * (1 - share)), 2)}
    sizes |= {name: max(round(units * share), 2) for name in treatments}
    if rng.random() < 0.5:  # a small control is as possible as a small treatment
        sizes = dict(zip(sizes, reversed(list(sizes.values())), strict=True))
    epochs = [
        draws.sides(kind, sizes) for _ in range(1 if rule == "exact" else int(rng.choice([1, 1, 2])))
    ]
    roles = [("primary", kind), *((str(rng.choice(["guardrail", "secondary"])), str(rng.choice(KINDS)))
                                  for _ in range(int(rng.choice([0, 1]))))]  # fmt: skip
    metrics = [
        metric_input(
            key=f"m{n}",
            kind=kind.removesuffix(" with covariate"),
            role=role,
            direction="increase" if n == 0 or rng.random() < 0.5 else "decrease",
            margin=0.05,
            epochs=epochs if n == 0 else [draws.sides(kind, sizes)],
            quantile=float(rng.choice([0.1, 0.5, 0.9])),
        )
        for n, (role, kind) in enumerate(roles)
    ]
    total = sum(sizes.values()) * len(epochs)
    policy = Policy.parse(
        {
            "rule": rule, "alpha": float(rng.choice([0.05, 0.01, 0.2])), "reserve": 0.005,
            "planned_units": max(int(total / rng.choice([0.3, 0.7, 1.0, 1.5])), 2), "twyman_limit": 0.0,
            "minimum_run_seconds": 0.0, "minimum_conversions": int(rng.choice([1, 25])),
            "minimum_nonzero": int(rng.choice([1, 100])),
        }
    )  # fmt: skip
    batches = metrics[0].epochs if rule == "exact" else ()
    look = look_input(*metrics, policy=policy, control=CONTROL, treatments=treatments, batches=batches)
    if rng.random() < 0.3:  # a second look, at which too little may be new for the rule to test
        before = take_look(look)
        look = replace(look, elapsed_seconds=2.0, states=before.states, batches=())
    return look


def _excludes_zero(interval: tuple[float | None, float | None]) -> int:
    low, high = interval
    return 1 if low is not None and low > 0 else -1 if high is not None and high < 0 else 0


def _check(look_input: LookInput, result: LookResult, tally: Tally) -> None:
    tally.looks += 1
    sizes = [totals.n for totals in look_input.metrics[0].epochs[0].values()]
    tally.by_split[_name_of_split(min(sizes) / (min(sizes) + max(sizes)))] += 1
    roles = {metric.key: metric for metric in look_input.metrics}
    harmed = {row.variant for row in result.comparisons if row.harmed}
    losses = set(result.leaving) | (
        set(look_input.treatments) if result.action == "roll_back" else set()
    )
    for row in result.comparisons:
        tally.comparisons += 1
        tally.by_kind[roles[row.metric].kind, look_input.policy.rule] += 1
        if row.interval is None:
            if row.effect is not None and not row.why_not:
                tally.wrong.append(f"no interval and no reason: {row}")
            continue
        for problem in _problems(look_input, row, roles[row.metric].role):
            tally.wrong.append(f"{problem}: {look_input.policy} {row}")
        tally.intervals += 1
        tally.lifts += row.lift_interval is not None
        side = _excludes_zero(row.interval)
        tally.decided += side != 0
        if roles[row.metric].role != "primary" or row.variant in harmed:
            continue
        gated = bool(row.why_not)  # Student's interval of a few units: only its loss is a verdict
        if (side > 0 and not gated) != (row.variant in result.crossed):
            tally.wrong.append(
                f"a gain that the interval denies, or the reverse: {look_input.policy} {row}"
            )
        if (side < 0) != (row.variant in losses):
            tally.wrong.append(
                f"a loss that the interval denies, or the reverse: {look_input.policy} {row}"
            )


def _name_of_split(share: float) -> str:
    """Return the range that the smaller of two variants' share lies in."""
    bounds = (0.015, 0.06, 0.12, 0.25, 0.4)
    return next((f"up to {bound:.1%}" for bound in bounds if share <= bound), "about half")


def _problems_of_p(look_input: LookInput, row: Comparison, role: str) -> list[str]:
    problems = []
    if row.p_value is None or row.p_value <= 0:
        problems.append("a p-value of zero or none")
    if role == "primary" and row.level is not None and row.p_value is not None:
        adjusted = row.adjusted_p_value
        if adjusted is None or (adjusted <= look_input.policy.alpha) != (row.p_value <= row.level):
            problems.append("adjusted p and p")
    return problems


def _problems(look_input: LookInput, row: Comparison, role: str) -> list[str]:
    assert row.interval is not None
    side = _excludes_zero(row.interval)
    problems = _problems_of_p(look_input, row, role)
    significant = row.level is not None and row.p_value is not None and row.p_value <= row.level
    if significant != bool(side):
        problems.append("p and interval")
    low, high = row.interval
    if low is not None and high is not None and low > high:
        problems.append("ends of the interval")
    if row.lift_interval is not None and _excludes_zero(row.lift_interval) != side:
        problems.append("relative and absolute interval")
    if row.lift_interval is None and not row.lift_why_not:
        problems.append("no relative interval and no reason")
    if role == "guardrail" and row.harmed != significant:
        problems.append("harm and p")
    return problems
