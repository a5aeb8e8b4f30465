"""Which rules name people, and so stay out of what a page's key can read.

A rule names people if it forces variants for units, looks into a saved group, or has a condition over
an attribute that identifies a person (`id`, `email` and their like) or over a value that looks like an
e-mail address. A rule that waits for such a rule goes with it: without the one, a client would evaluate
the other wrongly. These experiments are evaluated by the platform.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .allocation import ExperimentRule, Prerequisite, Targeting

if TYPE_CHECKING:
    from collections.abc import Mapping

_GROUPS = frozenset({"$savedGroup", "$inGroup", "$notInGroup"})
_IDENTIFYING = frozenset(
    {
        *("id", "uid", "uuid", "guid", "unitid", "user", "userid", "username", "login", "anonymousid"),
        *("deviceid", "visitorid", "sessionid", "profileid", "externalid", "account", "accountid"),
        *("customer", "customerid", "member", "memberid", "email", "emailaddress", "mail", "phone"),
        *("phonenumber", "mobile", "fullname", "firstname", "lastname", "nickname", "surname"),
        *("address", "ip", "ipaddress"),
    }
)


def personal_rules(rules: Mapping[str, ExperimentRule]) -> frozenset[str]:
    """Return the keys of the rules that name people, or wait for one that does."""
    personal = {key for key, rule in rules.items() if _names_people(rule)}
    # Until nothing changes: a rule may wait for one that waits for a personal one.
    while more := {
        key for key, rule in rules.items() if key not in personal and _waits_for(rule) & personal
    }:
        personal |= more
    return frozenset(personal)


def _names_people(rule: ExperimentRule) -> bool:
    conditions = (check.condition for check in rule.checks if isinstance(check, Targeting))
    return bool(rule.forced) or any(_is_personal(condition) for condition in conditions)


def _waits_for(rule: ExperimentRule) -> set[str]:
    return {check.experiment for check in rule.checks if isinstance(check, Prerequisite)}


def _is_personal(condition: Any) -> bool:
    """Whether a part of a condition names people: its keys, or its values."""
    if isinstance(condition, str):
        return "@" in condition
    if isinstance(condition, list):
        return any(_is_personal(one) for one in condition)
    if not isinstance(condition, dict):
        return False
    return any(
        key in _GROUPS or _identifies(key) or _is_personal(value) for key, value in condition.items()
    )


def _identifies(attribute: str) -> bool:
    """Whether an attribute, maybe of a nested object, is a person's: `user.e_mail` is `email`."""
    last = attribute.rpartition(".")[2].lower()
    return last.replace("_", "").replace("-", "") in _IDENTIFYING
