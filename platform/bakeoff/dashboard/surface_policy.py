"""The decision policy of a surface in the form of a new experiment: shown first, and kept where it is left.

The form says which surface's policy it shows (`policy_of`). A value that was left as it was shown is not
stored as the draft's own: the policy of the chosen surface holds, with all that the form does not show.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from bakeoff.dashboard.draft_in_form import POLICY_FIELDS, in_mode, policy_in_form, policy_of
from experiments.kinds import ABOVE_USERS
from experiments.models import Experiment
from experiments.stats.policy import Policy
from inference.models import Surface

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import QueryDict

    from bakeoff.accounts.models import Project

SHOWN = (
    "rule", "planned_units", "minimum_days", "window_hours", "promote", "floor", "update_hours",
    "burn_in_units", "bandit_rule",
)  # fmt: skip
# Numbers are shown with six digits: 20 seconds are no round number of hours.
DIGITS, CLOSE = 6, 1e-4
MAX_KEY_DIGITS = 18  # of a surface's number


def shown_on(project: Project, surface: object) -> dict[str, Any]:
    """Return what a new experiment's form shows of a surface's policy; the usual one without a surface."""
    shown = _fields_of(project, str(surface or ""))
    return {name: _in_digits(shown[name]) for name in SHOWN}


def follow_surface(project: Project, sent: QueryDict) -> QueryDict:
    """Return what was sent, with the policy of another chosen surface where values were left as shown."""
    before, chosen = sent.get("policy_of"), sent.get("surface", "")
    if before is None or chosen in {before, ""}:
        return sent
    old, new = shown_on(project, before), shown_on(project, chosen)
    followed = sent.copy()
    for name in SHOWN:
        if not _is_left(sent, name, old[name]):
            continue
        if name == "promote" and not new[name]:
            followed.pop(name, None)
        else:
            followed[name] = "on" if name == "promote" else str(new[name])
    followed["policy_of"] = chosen
    return followed


def policy_to_store(filled: Mapping[str, Any], project: Project) -> dict[str, Any]:
    """Return the policy of a new draft: the surface's, with what was changed in the form.

    Args:
        filled: the form's cleaned data.
        project: whose surfaces.
    """
    mode, surface = filled["mode"], filled["surface"]
    own = policy_of(dict(filled), POLICY_FIELDS)
    shown = policy_of(_fields_of(project, filled["policy_of"]), POLICY_FIELDS)
    is_blocks = mode == Experiment.Mode.SWITCHBACK
    changed = {
        name: value
        for name, value in own.items()
        if not _is_same(value, shown[name]) or (is_blocks and name == "planned_units")
    }
    general = dict(surface.policy)
    if mode in ABOVE_USERS:
        general.pop("minimum_nonzero", None)  # a gate of users is none of clusters
    return in_mode(mode, {**general, **changed})


def _fields_of(project: Project, surface: str) -> dict[str, Any]:
    policy: Mapping[str, Any] = {}
    if surface.isdecimal() and len(surface) <= MAX_KEY_DIGITS:
        found = Surface.objects.filter(project=project, pk=int(surface)).first()
        policy = found.policy if found is not None else {}
    shown = policy_in_form(Policy.parse(policy))
    return {**shown, "bandit_rule": in_mode("bandit", {"rule": shown["rule"]})["rule"]}


def _in_digits(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, float):
        return value
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded


def _is_left(sent: QueryDict, name: str, shown: Any) -> bool:
    value = sent.get(name)
    if name == "promote":
        return (value is not None) == bool(shown)
    if isinstance(shown, str):
        return bool(value == shown)
    try:
        return _is_same(float(value or "nan"), shown)
    except ValueError:
        return False


def _is_same(value: Any, shown: Any) -> bool:
    if isinstance(value, bool | str) or isinstance(shown, bool | str):
        return bool(value == shown)
    return math.isclose(value, shown, rel_tol=CLOSE)
