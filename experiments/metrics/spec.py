"""What a metric counts, as a frozen value: the one definition that every back end compiles.

A unit's value is taken over its events in [exposed + delay, exposed + delay + window):

| kind | y | d |
|---|---|---|
| proportion | 1 if there is an event, else 0 | 1 |
| retention | the same, on a later day: delay = k days, window = 1 day | 1 |
| funnel | 1 if the steps occur in their order, else 0 | 1 |
| mean, quantile | number of events, sum or largest of their values, or number of items; capped | 1 |
| ratio | the same | number of denominator events |

With a covariate, x and w are the same numbers over [exposed − lookback, exposed): never after exposure.
With a prediction, x is what a model, fixed at the start, says of y from those numbers, and w is 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Protocol, cast

from experiments.bounds import MAX_SECONDS, MAX_VALUE
from experiments.kinds import (
    COVARIATE_KINDS,
    DIRECTIONS,
    METRIC_KINDS,
    PROPORTIONS,
    VALUE_KINDS,
    direction_of,
)
from experiments.stats.outcome_model import OutcomeModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from experiments.kinds import Direction, MetricKind

_LENGTHS = frozenset({"delay_seconds", "window_seconds", "lookback_seconds"})
SERVED = "slate"  # denominator: served answers of the experiment
SLATE_PREFIX = "slate."  # an event's name that begins so is a fact of a served answer
SLATE_FACTS = (
    "latency", "error", "fallback", "cold_start", "cost", "item",
    "first_token", "tokens", "refusal", "schema_failure", "rating", "judge_score", "reward",
)  # fmt: skip
RATING, JUDGE_SCORE = "slate.rating", "slate.judge_score"  # what people, and a judge, say of an answer
REWARD = "slate.reward"  # how good the action of a decision was, as /v1/reward took it
REWARD_EVENT = "reward"  # what such a reward is stored as; a product's own may have this name too
FEEDBACK_PREFIX = "feedback."  # an event's name that begins so is a kind of feedback
COST_OF_DECISIONS = "feedback.cost"  # what answers cost by the label that a correction names
COMPARISONS = ("eq", "ne", "in", "gt", "gte", "lt", "lte", "exists")


class MetricError(ValueError):
    """A metric that breaks a rule; `field` names where."""

    def __init__(self, message: str, *, field: str) -> None:
        """Keep the field beside the message."""
        super().__init__(message)
        self.field = field


def is_feedback(name: str) -> bool:
    """Whether an event's name stands for a kind of feedback: `feedback.thumb`."""
    return name.startswith(FEEDBACK_PREFIX)


def is_slate_fact(name: str) -> bool:
    """Whether an event's name stands for a fact of served answers: `slate.latency`."""
    return name.startswith(SLATE_PREFIX)


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on an event.

    Attributes:
        field: `value`, `item_id`, or `properties.NAME`.
        op: eq, ne, in, gt, gte, lt, lte or exists.
        value: what it is compared with; numbers for gt, gte, lt and lte, a list for in.
    """

    field: str
    op: str
    value: Any = None

    @classmethod
    def parse(cls, data: object) -> Filter:
        """Read a condition from JSON.

        Raises:
            MetricError: it is none.
        """

        def require(holds: object, what: str) -> None:
            if not holds:
                raise MetricError(f"filter == {data!r}, {what}.", field="filters")

        require(isinstance(data, dict), "must be an object")
        condition = cast("Mapping[str, Any]", data)
        require(set(condition) <= {"field", "op", "value"}, "must have field, op and value")
        name, op, value = condition.get("field", ""), condition.get("op", "eq"), condition.get("value")
        known = name in {"value", "item_id"} or str(name).startswith("properties.")
        require(known and len(str(name)) <= 200, "field must be value, item_id or properties.NAME")
        require(op in COMPARISONS, f"op must be one of {list(COMPARISONS)}")
        if op in {"gt", "gte", "lt", "lte"}:
            require(_is_number(value), "must be compared with a number")
        if op == "in":
            require(isinstance(value, list) and value, "must be compared with a list")
        if op in {"eq", "ne"}:
            require(isinstance(value, str | int | float | bool), "must be compared with one value")
        return cls(str(name), str(op), value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_VALUE


class MetricDefinition(Protocol):
    """What `MetricSpec.of` reads of a declared metric: the columns of `experiments.models.Metric`.

    This module lies below the models, which check themselves with it.
    """

    key: str
    kind: str
    event: str
    value: str
    filters: Any
    denominator: str
    steps: Any
    quantile: float
    delay_seconds: float
    window_seconds: float | None
    cap: float | None
    cap_quantile: float | None
    lookback_seconds: float | None
    covariate: str
    attributed_only: bool
    trusted_only: bool
    direction: str


def counts_items(metric: MetricDefinition) -> bool:
    """Whether each of its events is about an item of a list, so that interleaving can credit it."""
    return not why_not_items(metric)


def why_not_items(metric: MetricDefinition) -> str:
    """Say which rule of interleaving a metric breaks, or nothing."""
    about_items = not (is_feedback(metric.event) or is_slate_fact(metric.event))
    if not about_items or metric.kind not in {"proportion", "mean", "ratio"} or metric.filters:
        return (
            f"primary metric == '{metric.key}', must count an event of items, such as a click, without "
            "filters: it is credited to the version that ranked the item higher."
        )
    if metric.kind != "proportion" and metric.value not in {"count", "items"}:
        return (
            f"value of '{metric.key}' == '{metric.value}', must be 'count' or 'items': interleaving "
            "counts events."
        )
    if metric.cap is not None or metric.cap_quantile is not None:
        return f"cap of '{metric.key}' is set, must be none: interleaving has a bound of its own."
    return ""


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric, with everything settled.

    Attributes:
        key: its name.
        kind: proportion, mean, ratio, quantile, retention or funnel.
        event: what is counted above the line.
        value: count, sum, max or items.
        filters: conditions that an event above the line meets.
        denominator: what is counted below the line of a ratio; `slate` for served answers.
        steps: of a funnel.
        quantile: of a quantile.
        delay_seconds: from exposure to the start of the window.
        window_seconds: length of the window.
        cap: largest value of a unit, or None.
        lookback_seconds: of the covariate, or None.
        covariate: history (CUPED) or prediction (CUPAC), where there is a lookback.
        prediction: the model, fixed at the start; None before, and of a history.
        attributed_only: count only events that name a recommendation of the experiment.
        trusted_only: count only events and feedback that came by a secret key or a bulk load.
        direction: which change is good, increase or decrease.
        names: of stored events and facts of answers that it reads.
    """

    key: str
    kind: MetricKind
    event: str = ""
    value: str = "count"
    filters: tuple[Filter, ...] = ()
    denominator: str = ""
    steps: tuple[str, ...] = ()
    quantile: float = 0.5
    delay_seconds: float = 0.0
    window_seconds: float = 86_400.0
    cap: float | None = None
    lookback_seconds: float | None = None
    covariate: str = "history"
    prediction: OutcomeModel | None = None
    attributed_only: bool = False
    trusted_only: bool = False
    direction: Direction = "increase"
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        funnel, ratio = self.kind == "funnel", self.kind == "ratio"
        self._require(self.kind in METRIC_KINDS, "kind", f"one of {list(METRIC_KINDS)}")
        self._require(self.value in VALUE_KINDS, "value", f"one of {list(VALUE_KINDS)}")
        self._require(funnel or bool(self.event), "event", "the name of an event")
        self._require(not funnel or len(self.steps) >= 2, "steps", "at least two events in their order")
        self._require(ratio == bool(self.denominator), "denominator", "an event, of a ratio only")
        self._require(0 < self.quantile < 1, "quantile", "in (0, 1)")
        long = f"at most {MAX_SECONDS:g} (10 years)"
        self._require(0 < self.window_seconds <= MAX_SECONDS, "window_seconds", f"positive and {long}")
        self._require(0 <= self.delay_seconds <= MAX_SECONDS, "delay_seconds", f"at least 0 and {long}")
        capped = self.cap is None or (0 < self.cap <= MAX_VALUE and self.kind not in PROPORTIONS)
        self._require(capped, "cap", f"positive, and not of a proportion; at most {MAX_VALUE:g}")
        look = self.lookback_seconds
        self._require(self.direction in DIRECTIONS, "direction", f"one of {list(DIRECTIONS)}")
        self._require(
            look is None or (0 < look <= MAX_SECONDS and self.kind != "quantile"),
            "lookback_seconds",
            f"positive, and not of a quantile; {long}",
        )
        self._require_covariate()
        facts = [f"{SLATE_PREFIX}{fact}" for fact in SLATE_FACTS]
        for name in ("event", "denominator"):
            if is_slate_fact(getattr(self, name)):
                self._require(getattr(self, name) in facts, name, f"one of {facts}")
        if unknown := [step for step in self.steps if is_slate_fact(step) and step not in facts]:
            raise MetricError(f"step == '{unknown[0]}', must be one of {facts}.", field="steps")
        names = {*self.steps, self.event, self.denominator} - {"", SERVED}
        if REWARD in names:
            names.add(REWARD_EVENT)
        object.__setattr__(self, "names", tuple(sorted(names)))

    def _require_covariate(self) -> None:
        self._require(self.covariate in COVARIATE_KINDS, "covariate", f"one of {list(COVARIATE_KINDS)}")
        if self.covariate != "prediction":
            return
        # A prediction is learnt from units of the time before, who met no answer of the experiment.
        counted = is_slate_fact(self.event) or self.denominator == SERVED or self.attributed_only
        learnable = not counted and not any(map(is_slate_fact, (*self.steps, self.denominator)))
        self._require(
            learnable, "covariate", "'history' where it counts answers, or attributed events alone"
        )
        self._require(
            self.lookback_seconds is not None,
            "covariate",
            "'history' without lookback_seconds: a prediction needs a time to look back on",
        )

    def _require(self, holds: bool, name: str, rule: str) -> None:  # noqa: FBT001  private, one line
        if not holds:
            raise MetricError(f"{name} == {getattr(self, name)!r}, must be {rule}.", field=name)

    @property
    def reads_slates(self) -> bool:
        """Whether it counts served answers, or facts of them."""
        return self.denominator == SERVED or any(map(is_slate_fact, self.names))

    @property
    def reads_judge(self) -> bool:
        """Whether it counts what a judge says, which no person has checked."""
        return JUDGE_SCORE in self.names

    @property
    def complete_after_seconds(self) -> float:
        """How long after its exposure a unit counts."""
        return self.delay_seconds + self.window_seconds

    @classmethod
    def of(cls, metric: MetricDefinition, *, default_window_seconds: float) -> MetricSpec:
        """Read a declared metric.

        Raises:
            MetricError: its fields break a rule.
        """
        if metric.cap_quantile is not None and not 0 < metric.cap_quantile < 1:
            raise MetricError(
                f"cap_quantile == {metric.cap_quantile:g}, must be in (0, 1).", field="cap_quantile"
            )
        filters = metric.filters if isinstance(metric.filters, list) else [metric.filters]
        steps = metric.steps if isinstance(metric.steps, list) else [metric.steps]
        if not all(isinstance(step, str) and step for step in steps):
            raise MetricError(f"steps == {steps!r}, must be names of events.", field="steps")
        return cls(
            key=metric.key,
            kind=cast("MetricKind", metric.kind),
            event="" if metric.kind == "funnel" else metric.event,
            value=metric.value,
            filters=tuple(Filter.parse(one) for one in filters),
            denominator=metric.denominator,
            steps=tuple(steps),
            quantile=metric.quantile,
            delay_seconds=metric.delay_seconds,
            window_seconds=metric.window_seconds or default_window_seconds,
            cap=metric.cap,
            lookback_seconds=metric.lookback_seconds,
            covariate=metric.covariate,
            attributed_only=metric.attributed_only,
            trusted_only=metric.trusted_only,
            direction=cast("Direction", metric.direction),
        )

    def as_json(self) -> dict[str, Any]:
        """Return every field as plain values."""
        data = {"schema": 2} | asdict(self)
        del data["names"]
        if self.prediction is None:  # what others have stored hashes as it did
            del data["prediction"]
        if self.covariate == "history":
            del data["covariate"]
        return data | {"filters": [asdict(one) for one in self.filters], "steps": list(self.steps)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MetricSpec:
        """Read what `as_json` wrote.

        Raises:
            MetricError: a field breaks a rule or is unknown.

        A window from before there was a maximum is cut to it: what runs must be looked at. Until 0.1
        the direction was a boolean, `increase_is_good`, and there was no `schema`.
        """
        data = {
            name: min(value, MAX_SECONDS) if name in _LENGTHS and value is not None else value
            for name, value in data.items()
            if name != "schema"
        }
        if "increase_is_good" in data:
            data["direction"] = direction_of(increase_is_good=data.pop("increase_is_good"))
        known = {column.name for column in fields(cls)} - {"names"}
        if unknown := set(data) - known:
            name = min(unknown)
            raise MetricError(
                f"metric field '{name}' is unknown, must be one of {sorted(known)}.", field=name
            )
        model = data.get("prediction")
        parsed = {
            "filters": tuple(Filter.parse(one) for one in data.get("filters", ())),
            "steps": tuple(data.get("steps", ())),
            "prediction": None if model is None else OutcomeModel.from_json(model),
        }
        return cls(**{**data, **parsed})

    def with_prediction(self, model: OutcomeModel) -> MetricSpec:
        """Return the metric with its fixed prediction."""
        return replace(self, prediction=model)

    def with_cap(self, cap: float | None) -> MetricSpec:
        """Return the metric with a cap."""
        return replace(self, cap=cap)
