"""The settings of a programme, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.models import Programme

SETTINGS = (
    "primary_metric", "guardrails", "ramp", "ship_when", "holdback_share", "holdback_days",
    "cooldown_days", "approval", "breaker_alpha", "interleave_first", "refresh", "paused",
)  # fmt: skip


def settings_of(programme: Programme) -> dict[str, Any]:
    """Return every setting as JSON; the primary metric by its key, or None."""
    values = {name: getattr(programme, name) for name in SETTINGS}
    metric = programme.primary_metric
    return values | {"primary_metric": metric.key if metric is not None else None}
