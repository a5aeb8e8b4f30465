"""A scorecard as `bakeoff analyze --format json` writes it; scripts depend on these keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.scorecards.scorecard import Question, Scorecard, TakenLook
    from experiments.stats.comparison import Comparison
    from experiments.stats.look_result import LookResult
    from experiments.stats.segments import SegmentEffect
_SRM_FIELDS = ("p_value", "expected", "observed", "healthy", "leaks")


def scorecard_to_json(card: Scorecard) -> dict[str, Any]:
    """Return the scorecard with the keys that `bakeoff analyze --format json` promises."""
    last, question, file = card.last, card.question, card.file
    result = last.result
    return {
        "control": question.control,
        "alpha": question.policy.alpha,
        "method": question.policy.rule,
        "units": dict(file.looks[len(card.looks) - 1].units),
        "planned_units": question.policy.planned_units,
        "srm": {name: getattr(result.sample_ratio, name) for name in _SRM_FIELDS},
        "metrics": _metrics_to_json(question, result),
        "segments": [_segment_to_json(row) for row in result.segments],
        "segment_differences": [one.as_json() for one in result.differences],
        "decision": {
            "action": result.action,
            "variant": result.variant,
            "reason": result.reason,
            "leaving": dict(result.leaving),
        },
        "looks": [_look_to_json(look, question) for look in card.looks],
        "stopped_at": last.label if result.action != "keep_running" and last.label else None,
        "doubled": file.crossover_units,
        "missing": file.missing,
        "left_out": {
            "rows_without_variant": file.unassigned,
            "units_in_two_variants": file.crossover_units,
            "excluded_variants": file.excluded,
            "units_without_value": file.missing,
        },
        "imputed": file.imputed,
        "units_in_clusters": file.clustered,
        "notes": list(card.notes),
    }


def _metrics_to_json(question: Question, result: LookResult) -> list[dict[str, Any]]:
    return [
        {
            "name": metric.name,
            "kind": metric.kind,
            "role": question.role_of(metric.name),
            "variants": [_comparison_to_json(row) for row in result.of_metric(metric.name)],
        }
        for metric in question.metrics
    ]


def _segment_to_json(row: SegmentEffect) -> dict[str, Any]:
    return {
        "segment": row.segment,
        "variant": row.variant,
        "estimate": row.estimate,
        "ci": row.interval,
        "shrunken": row.shrunken,
        "shrunken_ci": row.shrunken_interval,
        "adjusted_p_value": row.adjusted_p_value,
        "why_not": row.why_not or None,
    }


def _comparison_to_json(row: Comparison) -> dict[str, Any]:
    effect = row.effect
    if effect is None:
        return {
            "variant": row.variant, "n": None, "mean": None, "control_mean": None, "absolute": None,
            "relative": None, "adjusted_p_value": None, "variance_reduction": None,
            "probability_better": None, "expected_loss": None, "why_not": row.why_not,
        }  # fmt: skip
    data: dict[str, Any] = {
        "variant": row.variant,
        "n": effect.treatment_n,
        "control_n": effect.control_n,
        "mean": effect.treatment,
        "control_mean": effect.control,
        "absolute": {
            "estimate": effect.estimate,
            "se": effect.se,
            "ci": row.interval,
            "statistic": effect.statistic,
            "p_value": row.p_value,
            "level": row.level,
            "p_value_of_one_look": effect.p_value,
            "shrunk": row.shrunk,
        },
        "relative": {"estimate": effect.lift, "ci": row.lift_interval},
        "valid_p_value": row.p_value,
        "level": row.level,
        "adjusted_p_value": row.adjusted_p_value,
        "variance_reduction": effect.variance_reduction,
        "probability_better": row.probability_better,
        "expected_loss": row.expected_loss,
    }
    if row.why_not:
        data["why_not"] = data["absolute"]["why_not"] = row.why_not
    if row.lift_why_not:
        data["relative"]["why_not"] = row.lift_why_not
    if row.uncapped is not None:
        data["uncapped"] = row.uncapped
    if row.safe is not None:
        data["safe"] = row.safe
        data["harmed"] = row.harmed
    return data


def _look_to_json(look: TakenLook, question: Question) -> dict[str, Any]:
    primary = question.metrics[0].name
    return {
        "look": look.label,
        "units": look.units,
        "information": look.result.information,
        "action": look.result.action,
        "reason": look.result.reason,
        "comparisons": [
            {
                "variant": row.variant,
                "estimate": row.effect.estimate if row.effect else None,
                "statistic": row.effect.statistic if row.effect else None,
                "critical": row.critical if row.effect else None,
                "ci": row.interval,
            }
            for row in look.result.comparisons
            if row.metric == primary
        ],
    }
