"""The settings of an autopilot in words: as they are, were changed, or would be by a proposal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from bakeoff.accounts.models import AuditEntry
from experiments.programme.settings import SETTINGS
from experiments.reports.code_names import name_of, name_of_setting
from experiments.reports.remaining import describe_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from experiments.models import Proposal
    from inference.models import Surface

MAX_CHANGES = 20  # of the newest; the audit log has all


@dataclass(frozen=True, slots=True)
class SettingChange:
    """One setting that was changed, in words: its name, and its value before and after."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class SettingsEntry:
    """Settings that were changed together.

    Attributes:
        at: when.
        by: who.
        approvals: who had approved it, where it was proposed.
        changes: in the order of the settings.
    """

    at: datetime
    by: str
    approvals: Sequence[str]
    changes: Sequence[SettingChange]


def settings_lines(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each setting, in words."""
    for name in SETTINGS:
        yield name_of_setting(name), describe_setting(name, settings[name])


def describe_setting(name: str, value: Any) -> str:
    """Return a value of a setting in words; of a setting that there is no more, as it is stored."""
    words = _WORDS.get(name)
    return str(value) if words is None else words(value)


def read_settings_history(surface: Surface) -> list[SettingsEntry]:
    """Return who changed which settings, newest first."""
    entries = AuditEntry.objects.filter(
        project=surface.project_id, action="change programme", subject=surface.key
    )
    return [
        SettingsEntry(
            at=entry.at,
            by=entry.actor,
            approvals=entry.detail.get("approvals", ()),
            changes=_changes(entry.detail.get("changed", {})),
        )
        for entry in entries[:MAX_CHANGES]
    ]


def proposed_changes(proposal: Proposal) -> list[SettingChange]:
    """Return what a proposal would change of the settings; nothing where it is about a version."""
    return _changes(proposal.evidence.get("changed", {}))


def _changes(changed: Mapping[str, Sequence[Any]]) -> list[SettingChange]:
    return [
        SettingChange(
            name_of_setting(name), *(describe_setting(name, value) for value in changed[name])
        )
        for name in sorted(changed, key=_place)
    ]


def _place(name: str) -> int:
    return SETTINGS.index(name) if name in SETTINGS else len(SETTINGS)


def _guardrails(rows: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{one['metric']} {_percent(one['margin'])}" for one in rows) or "–"


def _ramp(steps: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(map(_step, steps))


def _step(step: Mapping[str, Any]) -> str:
    parts = [describe_seconds(step["minimum_seconds"])] if step["minimum_seconds"] else []
    if step.get("units"):
        parts.append(_("%(count)s users") % {"count": f"{step['units']:,}"})
    share = _percent(step["share"])
    return f"{share} ({', '.join(parts)})" if parts else share


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _weights(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{name_of(key)} {_percent(weight)}" for key, weight in weights.items())


def _breaker(alpha: float) -> str:
    return _("at most %(share)s") % {"share": _percent(alpha)} if alpha else "–"


def _code(code: str) -> str:
    return name_of(f"autopilot {code or 'default'}")


_WORDS: Mapping[str, Callable[[Any], str]] = {
    "primary_metric": lambda key: str(key or "–"),
    "guardrails": _guardrails,
    "ramp": _ramp,
    "ship_when": _code,
    "holdback_share": _percent,
    "holdback_days": lambda days: f"{days:g}",
    "cooldown_days": lambda days: f"{days:g}",
    "approval": _code,
    "breaker_alpha": _breaker,
    "interleave_first": lambda count: f"{count:g}",
    "refresh": _code,
    "paused": lambda paused: _("yes") if paused else "–",
    "state": name_of,
    "allocation": _percent,
    "weights": _weights,
    "enabled": lambda enabled: _("yes") if enabled else "–",
    "ramp_hold": lambda hold: hold or "–",
}
