"""Names of the metrics that every project has, so that pages say them in the reader's language."""

from __future__ import annotations

from django.utils.translation import gettext_noop

# As in experiments/programme/serving_metrics.py, which knows no Django.
SERVING_NAMES = {
    "serving-errors": gettext_noop("Failed answers"),
    "serving-fallbacks": gettext_noop("Fallbacks"),
    "serving-latency": gettext_noop("Latency (ms)"),
    "serving-cold-starts": gettext_noop("Cold starts"),
    "serving-cost": gettext_noop("Cost of an answer"),
    "serving-items": gettext_noop("Distinct items"),
    "serving-first-token": gettext_noop("Time to first token (ms)"),
    "serving-tokens": gettext_noop("Tokens of an answer"),
    "serving-refusals": gettext_noop("Refusals"),
    "serving-schema-failures": gettext_noop("Answers that break the schema"),
}
