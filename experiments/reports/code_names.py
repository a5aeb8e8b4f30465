"""What pages call stored codes: states, roles, kinds, statuses, and the rows of a gate.

A code that has no name here is shown as it is stored: it is a key, or a name that a person chose.
"""

from __future__ import annotations

from django.utils.translation import gettext, gettext_noop

from experiments.reports.alert_words import ALERT_NAMES

NAMES = {
    **ALERT_NAMES,
    # States of experiments, runs and feedback
    "draft": gettext_noop("Draft"),
    "running": gettext_noop("Running"),
    "ended": gettext_noop("Ended"),
    "archived": gettext_noop("Archived"),
    "queued": gettext_noop("Queued"),
    "passed": gettext_noop("Passed"),
    "refused": gettext_noop("Rejected by the gate"),
    "skipped": gettext_noop("Skipped"),
    "failed": gettext_noop("Failed"),
    "cancelled": gettext_noop("Cancelled"),
    "pending": gettext_noop("To review"),
    "ok": gettext_noop("Approved"),
    "hidden": gettext_noop("Hidden"),
    "spam": gettext_noop("Spam"),
    # Purposes of experiments, and variants of those that measure
    "test": gettext_noop("Test"),
    "holdback": gettext_noop("Holdback"),
    "holdout": gettext_noop("Holdout"),
    "former": gettext_noop("Former champion"),
    "promoted": gettext_noop("Promoted"),
    "everyone": gettext_noop("Everyone"),
    # Aliases of versions
    "candidate": gettext_noop("Candidate"),
    "shadow": gettext_noop("Shadow"),
    "challenger": gettext_noop("Challenger"),
    "champion": gettext_noop("Champion"),
    "retired": gettext_noop("Retired"),
    "rejected": gettext_noop("Rejected"),
    # Roles of metrics, and variants
    "primary": gettext_noop("Primary"),
    "secondary": gettext_noop("Secondary"),
    "guardrail": gettext_noop("Guardrail"),
    "control": gettext_noop("Control"),
    "treatment": gettext_noop("Treatment"),
    # Kinds of surfaces, metrics, values and feedback
    "recommend": gettext_noop("Recommendations"),
    "classify": gettext_noop("Classification"),
    "flag": gettext_noop("Flag"),
    "proportion": gettext_noop("Proportion"),
    "mean": gettext_noop("Mean"),
    "ratio": gettext_noop("Ratio"),
    "quantile": gettext_noop("Quantile"),
    "retention": gettext_noop("Retention"),
    "funnel": gettext_noop("Funnel"),
    "count": gettext_noop("Number of events"),
    "sum": gettext_noop("Sum of values"),
    "max": gettext_noop("Largest value"),
    "items": gettext_noop("Number of distinct items"),
    "thumb": gettext_noop("Thumb"),
    "rating": gettext_noop("Rating"),
    "reasons": gettext_noop("Reasons"),
    "text": gettext_noop("Text"),
    "hide": gettext_noop("Hide"),
    "correction": gettext_noop("Correction"),
    "pairwise": gettext_noop("Comparison of two"),
    "sha256": gettext_noop("SHA-256: for Bakeoff and its own clients"),
    "growthbook_v2": gettext_noop("GrowthBook v2: for GrowthBook's SDKs too"),
    "event": gettext_noop("Event"),
    "denominator": gettext_noop("Denominator event"),
    "increase": gettext_noop("Increase"),
    "decrease": gettext_noop("Decrease"),
    # Roles of people, and who started a run
    "role viewer": gettext_noop("Viewer: reads everything"),
    "role analyst": gettext_noop("Analyst: creates experiments and metrics, reviews feedback"),
    "role operator": gettext_noop("Operator: starts, stops and ships; trains, promotes and rolls back"),
    "role admin": gettext_noop("Admin: manages keys, members and the project"),
    "schedule": gettext_noop("Schedule"),
    "drift": gettext_noop("Drift"),
    "command": gettext_noop("Command line"),
    "api": gettext_noop("API"),
    "platform": gettext_noop("Bakeoff"),
    "bot": gettext_noop("Its user agent is a crawler's"),
    "rate": gettext_noop("It sends more events than a person can"),
    "internal": gettext_noop("It is on the project's list"),
    # Rows of a gate, and the data of a run
    "ndcg": gettext_noop("NDCG"),
    "hit_rate": gettext_noop("Hit rate"),
    "recall": gettext_noop("Recall"),
    "mrr": gettext_noop("MRR"),
    "coverage": gettext_noop("Coverage"),
    "accuracy": gettext_noop("Accuracy"),
    "precision": gettext_noop("Precision"),
    "f1": gettext_noop("F1"),
    "log_score": gettext_noop("Log score"),
    "calibration_error": gettext_noop("Calibration error"),
    "latency_p95_ms": gettext_noop("Latency, 95th percentile (ms)"),
    "bytes": gettext_noop("Size (bytes)"),
    "units": gettext_noop("Users"),
    "judged": gettext_noop("Evaluated"),
    "learnt": gettext_noop("Trained on"),
    "by_visitors": gettext_noop("From visitors"),
    "likes": gettext_noop("Positive signals"),
    "recorded_live": gettext_noop("Recorded live"),
    "gap_seconds": gettext_noop("Gap (s)"),
    "examples": gettext_noop("Examples"),
    "labels": gettext_noop("Labels"),
    "held_out": gettext_noop("Held out"),
    "how": gettext_noop("Method"),
    "size": gettext_noop("Size"),
    "speed_up": gettext_noop("Speed-up"),
    "bytes_before": gettext_noop("Size before (bytes)"),
    "bytes_after": gettext_noop("Size after (bytes)"),
    "median_ms_before": gettext_noop("Median latency before (ms)"),
    "median_ms_after": gettext_noop("Median latency after (ms)"),
}


def name_of(code: object) -> str:
    """Return what pages call a code, in the reader's language; the code itself where it has no name."""
    text = str(code)
    name = NAMES.get(text)
    return text if name is None else gettext(name)
