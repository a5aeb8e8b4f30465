"""Save a version of a surface's rules, or serve one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from experiments.actions.rule_values import require_values_of_kind
from experiments.models import RuleVersion
from experiments.slate_rules.filters import property_of, unknown_property
from experiments.slate_rules.named_properties import named_properties
from experiments.slate_rules.rule_error import RuleError
from experiments.slate_rules.rules import SlateRules
from inference.actions.known_properties import known_properties
from inference.models import Item, Surface
from inference.serving.catalogue import STANDARD_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_RULES_NAME = 100
MAX_VERSIONS = 100  # of saved rules, whose properties are known
MAX_SAMPLE = 1000  # items whose properties a refusal is compared with


class CannotSaveRulesError(RefusedError):
    """Rules that nobody could follow."""


def save_rules(*, surface: Surface, rules: Mapping[str, Any], by: str, name: str = "") -> RuleVersion:
    """Save rules as the surface's next version, without serving them.

    Returns:
        The version; the newest one when it has the same rules and name.

    Raises:
        CannotSaveRulesError: a rule or the name breaks a rule, or the surface shows no items.
    """
    check_rules(surface, rules)
    require_known_properties(surface, rules)
    if len(name) > MAX_RULES_NAME:
        raise CannotSaveRulesError(
            f"name == {len(name)} characters, must be at most {MAX_RULES_NAME}.", field="name"
        )
    with transaction.atomic():
        # Two who save at once must not both take the next number.
        Surface.objects.select_for_update(no_key=True).get(pk=surface.pk)
        newest = surface.rule_versions.first()
        if newest is not None and (newest.rules, newest.name) == (dict(rules), name):
            return newest
        version = add_version(surface, rules, by=by, name=name)
        record_audit(
            surface.project_id,
            actor=by,
            action="save rules",
            subject=surface.key,
            detail={"number": version.number, "name": name},
        )
    return version


def add_version(surface: Surface, rules: Mapping[str, Any], *, by: str, name: str = "") -> RuleVersion:
    """Write the next version, inside the caller's transaction, which has locked the surface."""
    newest = surface.rule_versions.first()
    number = 1 if newest is None else newest.number + 1
    return RuleVersion.objects.create(
        surface=surface, number=number, name=name, rules=dict(rules), created_by=by
    )


def keep_version_of(surface: Surface, rules: Mapping[str, Any], *, by: str) -> None:
    """Have a version of rules that the surface serves or served, inside the caller's transaction."""
    if not surface.rule_versions.filter(rules=rules).exists():
        add_version(surface, rules, by=by)


def check_rules(surface: Surface, rules: Mapping[str, Any]) -> None:
    """Refuse rules that nobody could follow.

    Raises:
        CannotSaveRulesError: as it says.
    """
    if rules and surface.kind != Surface.Kind.RECOMMEND:
        raise CannotSaveRulesError(
            f"rules == {sorted(rules)}, must be none on a surface of kind '{surface.kind}'.",
            field="rules",
        )
    try:
        SlateRules.parse(rules, stored=_is_saved(surface, rules))
    except RuleError as error:
        raise CannotSaveRulesError(str(error), field="rules") from error


def _is_saved(surface: Surface, rules: Mapping[str, Any]) -> bool:
    """Whether the surface serves these rules already, or has a version of them: both may be old."""
    if not rules or surface.pk is None:
        return False
    if Surface.objects.filter(pk=surface.pk, rules=rules).exists():
        return True
    return RuleVersion.objects.filter(surface_id=surface.pk, rules=rules).exists()


def require_known_properties(surface: Surface, rules: Mapping[str, Any]) -> None:
    """Refuse new rules about a property that no item has, or has had, or that no value could pass.

    Rules may outlive their items: what the surface's saved rules name is known, too. And they may come
    before the first item.

    Raises:
        CannotSaveRulesError: with the nearest property that there is, or the kind of its values.
    """
    if not rules or _is_saved(surface, rules):
        return
    parsed = SlateRules.parse(rules)
    _require_items_with(surface, parsed)
    try:
        require_values_of_kind(surface.project_id, parsed)
    except RuleError as error:
        raise CannotSaveRulesError(str(error), field="rules") from error


def _require_items_with(surface: Surface, rules: SlateRules) -> None:
    named = [
        (path, rule)
        for path, rule in named_properties(rules)
        if property_of(path) not in STANDARD_FIELDS
    ]
    items = Item.objects.filter(project_id=surface.project_id)
    if not named or not items.exists():
        return
    known = known_properties(surface.project_id) | _saved_names(surface)
    for path, rule in named:
        if (
            property_of(path) not in known
            and not items.filter(properties__has_key=property_of(path)).exists()
        ):
            sample = items.order_by("pk").values_list("properties", flat=True)[:MAX_SAMPLE]
            error = unknown_property(path, rule, {name for one in sample for name in one})
            raise CannotSaveRulesError(str(error), field="rules")


def _saved_names(surface: Surface) -> set[str]:
    """Return the properties that the surface's rules name, as it has them and in its last versions."""
    if surface.pk is None:
        return set()
    saved = list(Surface.objects.filter(pk=surface.pk).values_list("rules", flat=True))
    versions = RuleVersion.objects.filter(surface_id=surface.pk).order_by("-number")
    saved += versions.values_list("rules", flat=True)[:MAX_VERSIONS]
    return {property_of(path) for rules in saved for path in _paths_in(rules)}


def _paths_in(rules: Mapping[str, Any]) -> list[str]:
    try:
        return [path for path, _ in named_properties(SlateRules.parse(rules, stored=True))]
    except RuleError:  # rows that an older version wrote, which it is told of elsewhere
        return []
