"""A surface's history of settings: who changed what and when, read from the audit trail.

Guarantees: each change of the surface itself, of its autopilot and of how its answers are judged is an
entry, whichever face made it, because the actions that change them write the trail in the same
transaction. What was changed by SQL alone is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from django.utils.translation import gettext, gettext_noop

from bakeoff.accounts.models import AuditEntry
from experiments.reports.code_names import name_of_setting
from experiments.reports.settings_words import describe_setting
from inference.models import Surface

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

CREATED = "make surface"
AUTOPILOT = "autopilot"
# Action of the audit trail → which settings it changes.
PARTS: Mapping[str, str] = {
    CREATED: "surface",
    "change surface": "surface",
    "change programme": AUTOPILOT,
    "plan judging": "judging",
}
PART_NAMES = {
    "surface": gettext_noop("Surface"),
    AUTOPILOT: gettext_noop("Autopilot"),
    "judging": gettext_noop("Judging"),
}
# A surface's fields as its form names them, and those that the form does not have.
FIELD_NAMES = {
    "kind": gettext_noop("Kind"),
    "static_list": gettext_noop("Static list"),
    "candidates": gettext_noop("Candidates per user"),
    "exploration": gettext_noop("Exploration"),
    "liked_events": gettext_noop("Positive signals"),
    "credited_events": gettext_noop("Credited events"),
    "attribution_seconds": gettext_noop("Attribution window (s)"),
    "labels": gettext_noop("Labels"),
    "retrain_algorithm": gettext_noop("Algorithm on schedule"),
    "retrain_every_seconds": gettext_noop("Retrain every (s)"),
    "retrain_params": gettext_noop("Parameters of retraining"),
    "retrain_on_drift": gettext_noop("Retrain on drift"),
    "start_experiments": gettext_noop("Auto-start experiments"),
    "policy": gettext_noop("Decision rule"),
    "shadow_share": gettext_noop("Share of shadow traffic"),
    "shadow_first": gettext_noop("Shadow requests before the experiment"),
    "rules": gettext_noop("Rules"),
    "costs": gettext_noop("Costs of mistakes"),
    "abstain_cost": gettext_noop("Cost of asking a person"),
    "slices": gettext_noop("Groups to compare"),
    "max_gap": gettext_noop("Largest gap allowed"),
    "generate": gettext_noop("Generation settings"),
    "event_weights": gettext_noop("Event weights"),
    "context_features": gettext_noop("Context features"),
    "rank": gettext_noop("Settings of the choice"),
    "text_classifier": gettext_noop("Classifier of what users write"),
    "theme_namer": gettext_noop("Model that names themes"),
    # Of how answers are judged, as the form on the surface's page names them
    "judge": gettext_noop("Judge"),
    "rubric": gettext_noop("What makes an answer good"),
    "points": gettext_noop("Points of the scale"),
    "judge_share": gettext_noop("Share scored by the judge (0 to 1)"),
    "label_share": gettext_noop("Share rated by people (0 to 1)"),
    "daily_cost": gettext_noop("Judge's budget per day"),
    "check_margin": gettext_noop("Loss that a check accepts (share of rows)"),
    "check_min_share": gettext_noop("Share of rows a check needs without a champion"),
    "check_cost_ratio": gettext_noop("Cost a check accepts (times the champion's)"),
    "check_latency_ratio": gettext_noop("Latency a check accepts (times the champion's)"),
}
MAX_SHOWN = 200  # characters of a value on a page; the API has all of it
CONTEXT = 40  # characters of a long text before its first difference


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One setting before and after, as JSON."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class SurfaceChange:
    """Settings that were changed together.

    Attributes:
        id: of the entry in the audit trail.
        at: when.
        by: who: a username, `key sk_abc…`, or the platform.
        part: which settings: "surface", "autopilot" or "judging".
        is_creation: whether the surface was created; its changes are those from the defaults.
        approvals: people who had approved it, where it was proposed.
        changes: in the order in which they were stored.
    """

    id: int
    at: datetime
    by: str
    part: str
    is_creation: bool
    approvals: Sequence[str]
    changes: Sequence[FieldChange]

    def lines(self) -> list[DiffLine]:
        """Return the changes in words, one line for each nested value that differs."""
        return [line for change in self.changes for line in _lines(self.part, change)]

    @property
    def part_name(self) -> str:
        """Which settings, in the reader's language."""
        return gettext(PART_NAMES[self.part])


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A value that differs, for a reader.

    Attributes:
        name: of the setting, in words.
        path: where in its JSON, such as "caps.brand"; empty where the whole value is compared.
        before: as text; empty where only additions and removals are shown.
        after: as text; empty like `before`.
        added: entries that a list gained, as text.
        removed: entries that a list lost, as text.
        in_words: whether before and after are words of the reader's language; else they are values.
    """

    name: str
    path: str
    before: str = ""
    after: str = ""
    added: str = ""
    removed: str = ""
    in_words: bool = False


def history_of(surface: Surface) -> QuerySet[AuditEntry]:
    """Return the entries of the audit trail that changed a surface's settings, newest first."""
    return AuditEntry.objects.filter(
        project=surface.project_id, action__in=PARTS, subject=surface.key
    ).order_by("-at", "-id")


def read_change(entry: AuditEntry) -> SurfaceChange:
    """Read one entry of `history_of`."""
    is_creation = entry.action == CREATED
    changes = _from_defaults(entry) if is_creation else _stored(entry)
    return SurfaceChange(
        id=entry.pk,
        at=entry.at,
        by=entry.actor,
        part=PARTS[entry.action],
        is_creation=is_creation,
        approvals=entry.detail.get("approvals", ()),
        changes=changes,
    )


def _stored(entry: AuditEntry) -> list[FieldChange]:
    changed: Mapping[str, Sequence[Any]] = entry.detail.get("changed", {})
    return [FieldChange(name, before, after) for name, (before, after) in changed.items()]


def _from_defaults(entry: AuditEntry) -> list[FieldChange]:
    """Return the fields that a new surface was given and that are not their default."""
    blank = Surface()
    fields: Mapping[str, Any] = entry.detail.get("fields", {})
    return [
        FieldChange(name, getattr(blank, name), value)
        for name, value in fields.items()
        if hasattr(blank, name) and value != getattr(blank, name)
    ]


def _lines(part: str, change: FieldChange) -> Iterator[DiffLine]:
    if part == AUTOPILOT:
        before, after = (
            describe_setting(change.field, value) for value in (change.before, change.after)
        )
        yield DiffLine(name_of_setting(change.field), "", before, after, in_words=True)
        return
    name = gettext(FIELD_NAMES[change.field]) if change.field in FIELD_NAMES else change.field
    yield from _differences(name, (), change.before, change.after)


def _differences(name: str, path: tuple[str, ...], before: Any, after: Any) -> Iterator[DiffLine]:
    """Yield what differs between two JSON values, down to values that are no objects."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            if key not in before or key not in after or before[key] != after[key]:
                yield from _differences(name, (*path, key), before.get(key), after.get(key))
        return
    place = ".".join(path)
    if _is_texts(before) and _is_texts(after) and (before or after):
        had, has = set(before), set(after)  # a static list has a thousand
        added = [one for one in after if one not in had]
        removed = [one for one in before if one not in has]
        if added or removed:  # else the order alone differs, which before and after show
            yield DiffLine(name, place, added=_short(added), removed=_short(removed))
            return
    shown, changed = _near_difference(before, after)
    yield DiffLine(name, place, _short(shown), _short(changed))


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _near_difference(before: Any, after: Any) -> tuple[Any, Any]:
    """Cut the common beginning of two long texts, which would hide where they differ."""
    if (
        not (isinstance(before, str) and isinstance(after, str))
        or max(len(before), len(after)) <= MAX_SHOWN
    ):
        return before, after
    pairs = enumerate(zip(before, after, strict=False))
    same = next((at for at, (a, b) in pairs if a != b), min(len(before), len(after)))
    start = same - CONTEXT
    return (before, after) if start <= 0 else (f"…{before[start:]}", f"…{after[start:]}")


def _short(value: Any) -> str:
    """Return a value for a reader: texts without quotes, nothing as a dash, all of bounded length."""
    if value in (None, "", [], {}):
        return "–"
    text = ", ".join(value) if _is_texts(value) else value if isinstance(value, str) else None
    shown = orjson.dumps(value).decode().removesuffix(".0") if text is None else text
    return shown if len(shown) <= MAX_SHOWN else f"{shown[: MAX_SHOWN - 1]}…"
