"""What a metric counts, in sentences of pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from experiments.metrics.spec import SERVED
from experiments.models import Metric
from experiments.reports.remaining import describe_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_VALUES = {
    "count": gettext_noop("number of `%(event)s` events"),
    "sum": gettext_noop("sum of the values of `%(event)s` events"),
    "max": gettext_noop("largest value of a `%(event)s` event"),
    "items": gettext_noop("number of distinct items in `%(event)s` events"),
}
_SIGNS = {"eq": "=", "ne": "≠", "gt": ">", "gte": "≥", "lt": "<", "lte": "≤", "in": "∈", "exists": "∃"}


def describe_metric(metric: Metric) -> list[str]:
    """Return what a metric counts, one sentence per rule; names of events stand between backticks."""
    return [sentence for sentence in (_counts(metric), *_window(metric), *_rest(metric)) if sentence]


def _counts(metric: Metric) -> str:
    event = {"event": metric.event}
    match metric.kind:
        case Metric.Kind.PROPORTION:
            return _("Share of users with at least one `%(event)s` event.") % event
        case Metric.Kind.RETENTION:
            return _("Share of users with at least one `%(event)s` event later on.") % event
        case Metric.Kind.FUNNEL:
            steps = " → ".join(f"`{step}`" for step in metric.steps)
            return _("Share of users who do these in this order: %(steps)s.") % {"steps": steps}
        case _other:
            return _summarises(metric, _(_VALUES[metric.value]) % event)


def _summarises(metric: Metric, value: str) -> str:
    """Say what becomes of one value per user."""
    match metric.kind:
        case Metric.Kind.QUANTILE:
            share = {"quantile": f"{metric.quantile:.4g}", "value": value}
            return _("The %(quantile)s quantile over users: %(value)s.") % share
        case Metric.Kind.RATIO:
            if metric.denominator == SERVED:
                return _("Over all users: %(value)s, divided by recommendations served.") % {
                    "value": value
                }
            return _("Over all users: %(value)s, divided by the number of `%(below)s` events.") % {
                "value": value,
                "below": metric.denominator,
            }
        case _other:
            return _("Mean per user: %(value)s.") % {"value": value}


def _window(metric: Metric) -> list[str]:
    """Say which events of a user count by their time."""
    if metric.window_seconds is None:
        window = _("Events count for as long as the policy of the experiment says.")
    else:
        window = _("Events count for %(duration)s after a user first sees a variant.") % {
            "duration": describe_seconds(metric.window_seconds)
        }
    if not metric.delay_seconds:
        return [window]
    delay = {"duration": describe_seconds(metric.delay_seconds)}
    return [window, _("That time begins %(duration)s after the first sight.") % delay]


def _rest(metric: Metric) -> list[str]:
    sentences = []
    if metric.filters:
        conditions = ", ".join(f"`{_condition(one)}`" for one in metric.filters)
        sentences.append(_("Only events with %(conditions)s.") % {"conditions": conditions})
    if metric.attributed_only:
        sentences.append(_("Only events that name a recommendation of the experiment."))
    if metric.trusted_only:
        sentences.append(_("Only events sent with a secret key."))
    if metric.cap is not None:
        sentences.append(_("Larger values per user count as %(cap)s.") % {"cap": f"{metric.cap:.6g}"})
    if metric.cap_quantile is not None:
        sentences.append(
            _("Values per user beyond the %(quantile)s quantile of the 28 days before count as it.")
            % {"quantile": f"{metric.cap_quantile:.4g}"}
        )
    if metric.lookback_seconds is not None:
        sentences.append(_covariate(metric))
    sentences.append(
        _("Goal: increase.") if metric.direction == Metric.Direction.INCREASE else _("Goal: decrease.")
    )
    return sentences


def _condition(one: Mapping[str, Any]) -> str:
    sign = _SIGNS.get(str(one.get("op", "eq")), "")
    value = "" if sign == "∃" else f" {orjson.dumps(one.get('value')).decode()}"
    return f"{one.get('field', '')} {sign}{value}"


def _covariate(metric: Metric) -> str:
    duration = {"duration": describe_seconds(metric.lookback_seconds or 0.0)}
    if metric.covariate == Metric.Covariate.PREDICTION:
        return (
            _("A prediction from the %(duration)s before exposure narrows the interval (CUPAC).")
            % duration
        )
    return (
        _("The same number over %(duration)s before exposure narrows the interval (CUPED).") % duration
    )
