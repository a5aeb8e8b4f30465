"""A metric compiled to PostgreSQL: scalar expressions over one observation `o`.

Parameters are named, so that a definition's own texts never become SQL.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from experiments.bounds import MAX_VALUE, MIN_MAGNITUDE
from experiments.kinds import PROPORTIONS
from experiments.metrics.spec import (
    COST_OF_DECISIONS,
    JUDGE_SCORE,
    RATING,
    REWARD,
    REWARD_EVENT,
    SERVED,
    Filter,
    MetricSpec,
    is_feedback,
    is_slate_fact,
)
from experiments.sql import counts_now, folded_label, is_before
from experiments.stats.quantiles import LOG_GAMMA, MIN_NONZERO, OFFSET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from experiments.stats.outcome_model import OutcomeModel, Tree

# Whose answers a metric counts: those of an experiment, or all of a surface, before there is one. The
# parameter that names it has the same name.
Answers = Literal["experiment", "surface"]

_COMPARE = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


@dataclass(frozen=True, slots=True)
class CompiledMetric:
    """SQL expressions of one unit's numbers, and the parameters that they name.

    Attributes:
        uncapped_value: the value without the cap.
        denominator: below the line.
        covariate: the value before exposure, capped.
        denominator_covariate: the denominator before exposure.
        value: the capped value, over the column `uncapped_value`.
        parameters: by name; `project`, `upper` and the one of `answers` are the caller's.
    """

    uncapped_value: str
    denominator: str
    covariate: str
    denominator_covariate: str
    value: str
    parameters: Mapping[str, Any]


def compile_metric(
    spec: MetricSpec, *, closes: str = "", answers: Answers = "experiment"
) -> CompiledMetric:
    """Return the expressions of a metric.

    Args:
        spec: the metric.
        closes: SQL of when the window closes at the latest, whatever its length is. Attributed events
            then name an answer that was served since the exposure.
        answers: whose are counted, and may be named by attributed events.
    """
    trusted = spec.trusted_only
    begins = "o.exposed_at + %(delay)s"
    ends = f"{begins} + %(window)s"
    if closes:
        ends = f"least({ends}, {closes})"
    after = _Stretch(begins, ends, live=True, trusted=trusted, is_cut=bool(closes), answers=answers)
    before = _Stretch(
        "o.exposed_at - %(lookback)s", "o.exposed_at", live=False, trusted=trusted, answers=answers
    )
    adjusted = spec.lookback_seconds is not None
    if spec.prediction is not None:
        covariate, below = _predicted(spec, spec.prediction), "1::float8"
    elif adjusted:
        covariate = _capped(_numerator(spec, before, attributed=False))
        below = _denominator(spec, before, live=False)
    else:
        covariate, below = "0::float8", "1::float8"
    return CompiledMetric(
        uncapped_value=_numerator(spec, after, attributed=spec.attributed_only),
        denominator=_denominator(spec, after, live=True),
        covariate=covariate,
        denominator_covariate=below,
        value=_capped("uncapped_value"),
        parameters=_parameters(spec),
    )


def _parameters(spec: MetricSpec) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "event": spec.event,
        "denominator": spec.denominator,
        "names": list(spec.names),
        "delay": timedelta(seconds=spec.delay_seconds),
        "window": timedelta(seconds=spec.window_seconds),
        "lookback": timedelta(seconds=spec.lookback_seconds or 0.0),
        "cap": math.inf if spec.cap is None else max(spec.cap, MIN_MAGNITUDE),
    }
    for n, one in enumerate(spec.filters):
        parameters[f"filter_{n}_field"] = one.field.removeprefix("properties.")
        numeric = one.op in _COMPARE or one.op == "exists"
        parameters[f"filter_{n}_value"] = one.value if numeric else json.dumps(one.value)
    for n, segment in enumerate(spec.prediction.segments if spec.prediction else ()):
        parameters[f"segment_{n}"] = segment
    for n, step in enumerate(spec.steps):
        parameters[f"step_{n}"] = step
    return parameters


def _capped(expression: str) -> str:
    return f"least({expression}, %(cap)s::float8)"


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A stretch of time around an exposure, in which a unit's events are looked for."""

    start: str
    end: str
    live: bool
    trusted: bool
    is_cut: bool = False
    answers: Answers = "experiment"

    def rows(self, name: str) -> str:
        """SQL of what the unit did or said in it, up to the condition on its name."""
        source = "experiments_event"
        if name == COST_OF_DECISIONS:
            source = _decision_costs(trusted=self.trusted)
        elif is_feedback(name):
            source = _feedback(trusted=self.trusted)
        elif is_slate_fact(name):
            source = _slate_facts(self.answers)[name]
        conditions = "AND e.source = 'live'" if self.live else ""
        # Loads from before there was the column are an operator's.
        conditions += " AND (e.trusted OR e.source = 'loaded')" if self.trusted else ""
        return f"""FROM {source} AS e
            WHERE e.project_id = %(project)s AND e.unit_id = o.unit_id
                AND {is_before("e", "upper")} {conditions}
                AND e.occurred_at >= {self.start} AND e.occurred_at < {self.end}"""


def _feedback(*, trusted: bool) -> str:
    """SQL of what a unit said, as events of the name `feedback.KIND`.

    For a metric that trusts secret keys alone, a page's key neither adds a word nor takes one back.
    """
    later = f" AND {is_before('later', 'upper')}" + (" AND later.trusted" if trusted else "")
    return f"""(SELECT f.project_id, f.unit_id, f.xid, 'live' AS source, f.received_at AS occurred_at,
        f.trusted, 'feedback.' || f.kind AS name, f.value,
        nullif(f.item_id, '') AS item_id, f.recommendation_id,
        jsonb_build_object('text', f.text, 'tags', to_jsonb(f.tags), 'position', f.position)
            AS properties
    FROM experiments_feedback AS f WHERE {counts_now("f", later=later)})"""


# What an answer's decision cost, by the label that a correction names: the costs stand with the answer,
# as they were when it was served.
_COST = f"""coalesce(one.context -> 'decision' -> 'costs' -> {folded_label("f.text")},
            one.context -> 'decision' -> 'otherwise')"""


def _decision_costs(*, trusted: bool) -> str:
    """SQL of corrected answers as events of the name `feedback.cost`; the value is the cost."""
    later = f" AND {is_before('later', 'upper')}" + (" AND later.trusted" if trusted else "")
    return f"""(SELECT f.project_id, f.unit_id, f.xid, 'live' AS source, f.received_at AS occurred_at,
        f.trusted, '{COST_OF_DECISIONS}' AS name,
        CASE jsonb_typeof(s.cost) WHEN 'number' THEN s.cost::float8 END AS value,
        NULL::text AS item_id, f.recommendation_id, '{{}}'::jsonb AS properties
    FROM experiments_feedback AS f CROSS JOIN LATERAL (
        SELECT {_COST} AS cost FROM experiments_slate AS one
        JOIN inference_surface AS surface ON surface.id = one.surface_id
        WHERE one.recommendation_id = f.recommendation_id AND one.project_id = f.project_id
            AND surface.kind = 'classify' AND one.context -> 'decision' ? 'otherwise' LIMIT 1) AS s
    WHERE f.kind = 'correction' AND f.item_id = '' AND {counts_now("f", later=later)})"""


# Kinds of fallback: the model failed, or broke off in the middle; and a list that is the version's own,
# for a newcomer or an item that it has not learnt.
ERRORS = "('timeout', 'model_error', 'breaker_open', 'model_unavailable', 'broken')"
OWN_LISTS = (
    "('nearline', 'default_list', 'similar_by_group', 'similar_by_text', 'similar_by_labels', "
    "'unknown_item', 'all_countries', 'words_alone')"
)


def _slate_fact(
    of: Answers, name: str, value: str = "NULL", *, where: str = "true", item: str = ""
) -> str:
    """SQL of a fact of served answers as events; answers that a person forced do not count."""
    slots = f"CROSS JOIN LATERAL jsonb_array_elements(s.slots) AS {item}" if item else ""
    return f"""(SELECT s.project_id, s.unit_id, s.xid, 'live' AS source, s.served_at AS occurred_at,
        true AS trusted, '{name}' AS name, {value}::float8 AS value,
        {f"{item} ->> 0" if item else "NULL::text"} AS item_id, s.recommendation_id,
        '{{}}'::jsonb AS properties
    FROM experiments_slate AS s {slots}
    WHERE s.{of}_id = %({of})s AND NOT s.forced AND {where})"""


def _score(of: Answers, name: str) -> str:
    """SQL of scores of answers as events at the time of the answer.

    No client can write one: whatever comes in from outside has another source.
    """
    # An experiment's scores name it, and have an index on it.
    scored = "(v.properties ->> 'experiment')::bigint = %(experiment)s"
    if of == "surface":
        scored = f"EXISTS ({_answer_of(of, 'v')} OFFSET 0)"
    return f"""(SELECT v.project_id, v.unit_id, v.xid, 'live' AS source, v.occurred_at, true AS trusted,
        v.name, v.value, NULL::text AS item_id, v.recommendation_id, '{{}}'::jsonb AS properties
    FROM experiments_event AS v WHERE v.source = 'rated' AND v.name = '{name}'
        AND {scored})"""


def _answer_of(of: Answers, row: str) -> str:
    return f"""SELECT 1 FROM experiments_slate AS s
            WHERE s.recommendation_id = {row}.recommendation_id AND s.{of}_id = %({of})s"""


def _reward(of: Answers) -> str:
    """SQL of rewards of decisions, each once: events of a source that /v1/reward alone writes."""
    return f"""(SELECT v.project_id, v.unit_id, v.xid, 'live' AS source, v.occurred_at, v.trusted,
        '{REWARD}' AS name, v.value, NULL::text AS item_id, v.recommendation_id,
        '{{}}'::jsonb AS properties
    FROM experiments_event AS v WHERE v.source = 'reward' AND v.name = '{REWARD_EVENT}'
        AND EXISTS ({_answer_of(of, "v")}
                AND NOT s.forced OFFSET 0))"""


@cache
def _slate_facts(of: Answers) -> Mapping[str, str]:
    """SQL of each fact of answers, by its name."""
    return {
        "slate.latency": _slate_fact(of, "slate.latency", "s.latency_ms"),
        "slate.error": _slate_fact(of, "slate.error", where=f"s.fallback IN {ERRORS}"),
        "slate.fallback": _slate_fact(of, "slate.fallback", where=f"s.fallback NOT IN {OWN_LISTS}"),
        "slate.cold_start": _slate_fact(of, "slate.cold_start", where="s.fallback = 'default_list'"),
        "slate.cost": _slate_fact(of, "slate.cost", "s.cost"),
        "slate.item": _slate_fact(of, "slate.item", item="slot"),
        # Of generated texts; an answer that was not streamed has no first token.
        "slate.first_token": _slate_fact(
            of,
            "slate.first_token",
            "(s.generation ->> 'first_token_ms')",
            where="s.generation ->> 'first_token_ms' IS NOT NULL",
        ),
        "slate.tokens": _slate_fact(
            of,
            "slate.tokens",
            "((s.generation ->> 'tokens_in')::float8 + (s.generation ->> 'tokens_out')::float8)",
            where="s.generation ->> 'tokens_in' IS NOT NULL",
        ),
        "slate.refusal": _slate_fact(
            of, "slate.refusal", where="(s.generation ->> 'refusal') = 'true'"
        ),
        "slate.schema_failure": _slate_fact(
            of, "slate.schema_failure", where="(s.generation ->> 'schema_ok') = 'false'"
        ),
        RATING: _score(of, RATING),
        JUDGE_SCORE: _score(of, JUDGE_SCORE),
        REWARD: _reward(of),
    }


# One value of 1e308 would end every look, and so would one of 1e-200, whose square is too small. The
# former are from before there was a bound; `roll_up` names them.
_SUMMABLE = f"""CASE WHEN abs(e.value) < {MIN_MAGNITUDE!r} THEN 0
    WHEN abs(e.value) <= {MAX_VALUE!r} THEN e.value END"""


def _numerator(spec: MetricSpec, stretch: _Stretch, *, attributed: bool) -> str:
    if spec.kind == "funnel":
        return f"({_funnel(spec, stretch, len(spec.steps) - 1)} IS NOT NULL)::int::float8"
    conditions = " ".join(f"AND {_condition(n, one)}" for n, one in enumerate(spec.filters))
    if attributed:
        since = f" AND s.served_at >= {stretch.start}" if stretch.is_cut else ""
        conditions += f" AND EXISTS ({_answer_of(stretch.answers, 'e')}{since} OFFSET 0)"
    where = f"{stretch.rows(spec.event)} AND e.name = %(event)s {conditions}"
    if spec.kind in PROPORTIONS:
        return f"EXISTS (SELECT 1 {where})::int::float8"
    value = {
        "count": "count(*)::float8",
        "sum": f"coalesce(sum({_SUMMABLE}), 0)",
        "max": f"coalesce(max({_SUMMABLE}), 0)",
        "items": "count(DISTINCT e.item_id)::float8",
    }[spec.value]
    return f"(SELECT {value} {where})"


def _funnel(spec: MetricSpec, stretch: _Stretch, step: int) -> str:
    """SQL of when a step was first taken after the steps before it; NULL if it was not."""
    later = f"AND e.occurred_at >= {_funnel(spec, stretch, step - 1)}" if step else ""
    steps = stretch.rows(spec.steps[step])
    taken = f"{steps} AND e.name = %(step_{step})s {later}"
    return f"(SELECT min(e.occurred_at) {taken})"


def _denominator(spec: MetricSpec, stretch: _Stretch, *, live: bool) -> str:
    if spec.kind != "ratio":
        return "1::float8"
    if spec.denominator != SERVED:
        counted = stretch.rows(spec.denominator)
        return f"(SELECT count(*)::float8 {counted} AND e.name = %(denominator)s)"
    # Before exposure no slate of the experiment exists: a ratio over slates has no covariate below.
    if not live:
        return "1::float8"
    return f"""(SELECT count(*)::float8 FROM experiments_slate AS e
        WHERE e.project_id = %(project)s AND e.unit_id = o.unit_id
            AND {is_before("e", "upper")} AND e.{stretch.answers}_id = %({stretch.answers})s
            AND e.served_at >= {stretch.start} AND e.served_at < {stretch.end})"""


def _condition(n: int, one: Filter) -> str:
    """SQL of a condition. A missing property equals nothing, and differs from everything."""
    value = f"%(filter_{n}_value)s"
    field = {
        "value": "to_jsonb(e.value)",
        "item_id": "to_jsonb(e.item_id)",
    }.get(one.field, f"(e.properties -> %(filter_{n}_field)s)")
    if one.op == "exists":
        return f"({field} IS NOT NULL) = coalesce({value}::boolean, true)"
    if one.op == "eq":
        return f"coalesce({field} = {value}::jsonb, false)"
    if one.op == "ne":
        return f"coalesce({field} <> {value}::jsonb, true)"
    if one.op == "in":
        return f"coalesce({value}::jsonb @> {field}, false)"
    return f"""CASE WHEN jsonb_typeof({field}) = 'number'
        THEN ({field} #>> '{{}}')::float8 {_COMPARE[one.op]} {value}::float8 ELSE false END"""


def bucket_of(value: str, *, integer: str = "int") -> str:
    """SQL of the bucket of a sketch that a value falls into (stats/quantiles.py)."""
    return f"""CASE WHEN abs({value}) <= {MIN_NONZERO} THEN 0
    ELSE (sign({value}) * (ceil(ln(abs({value})) / {LOG_GAMMA!r}) + {OFFSET}))::{integer} END"""


# Of the lookback: what a unit did lately says more than what it did long ago.
STRETCHES = (1, 4, 16)


def history_features(spec: MetricSpec) -> list[str]:
    """SQL of a unit's numbers before its exposure, from which its outcome is predicted.

    They are of the metric's own events alone: a late event of another name would mark no unit, and
    its prediction would stay as it was.
    """
    length = "extract(epoch FROM %(lookback)s)"
    parts = []
    for part in STRETCHES:
        stretch = _before(spec, part)
        parts.append(_capped(_numerator(spec, stretch, attributed=False)))
        if spec.kind == "ratio":
            parts.append(_denominator(spec, stretch, live=False))
    events = _before(spec, 1).rows(spec.event or spec.steps[0])
    parts.append(f"(SELECT count(*)::float8 {events} AND e.name = ANY(%(names)s))")
    for edge in ("max", "min"):  # how long ago the last and the first were, as shares of the lookback
        ago = f"extract(epoch FROM o.exposed_at - {edge}(e.occurred_at)) / {length}"
        parts.append(f"(SELECT coalesce({ago}, 1)::float8 {events} AND e.name = ANY(%(names)s))")
    return parts


def _before(spec: MetricSpec, part: int) -> _Stretch:
    start = f"o.exposed_at - %(lookback)s / {part}"
    return _Stretch(start, "o.exposed_at", live=False, trusted=spec.trusted_only)


# What a unit's attributes were at the experiment's start; NULL of a unit that had none.
SEGMENTS_AT_START = """(SELECT known.segments FROM experiments_segmentsatstart AS known
    WHERE known.experiment_id = %(experiment)s AND known.unit_id = o.unit_id LIMIT 1)"""


def _predicted(spec: MetricSpec, model: OutcomeModel) -> str:
    """SQL of a model's prediction for the observation `o`; its features are computed once."""
    inside = [
        f"coalesce((%(segment_{n})s = ANY(s.segments))::int, 0)::float8"
        for n in range(len(model.segments))
    ]
    named = ", ".join(f"{sql} AS f{n}" for n, sql in enumerate([*history_features(spec), *inside]))
    terms = [f"({model.intercept!r})::float8"]
    terms += [f"({slope!r})::float8 * f.f{n}" for n, slope in enumerate(model.slopes) if slope]
    terms += [_tree(tree) for tree in model.trees]
    # OFFSET 0 keeps the planner from copying each feature into every branch that names it, and the
    # look-up of the segments into each of them.
    known = f" FROM (SELECT {SEGMENTS_AT_START} AS segments OFFSET 0) AS s" if inside else ""
    return f"(SELECT {' + '.join(terms)} FROM (SELECT {named}{known} OFFSET 0) AS f)"


def _tree(tree: Tree) -> str:
    if isinstance(tree, float):
        return f"({tree!r})::float8"
    feature, threshold, low, high = tree
    condition = f"f.f{feature} <= ({threshold!r})::float8"
    return f"CASE WHEN {condition} THEN {_tree(low)} ELSE {_tree(high)} END"
