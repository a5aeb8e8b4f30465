"""Apply what holds for a whole project: groups, layers, metrics, settings, subscriptions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bakeoff.accounts.change_project import change_project
from bakeoff.accounts.refused import RefusedError
from bakeoff.config_file.export import share_of_holdout, subscription_as_config
from bakeoff.config_file.steps import differences
from bakeoff.delivery.edit_subscriptions import (
    SubscriptionChange,
    SubscriptionDraft,
    change_subscription,
    create_subscription,
)
from experiments.actions.create_metric import create_metric
from experiments.actions.edit_metric import edit_metric
from experiments.actions.put_group import put_group
from experiments.actions.put_holdout import put_holdout
from experiments.actions.put_layer import put_layer
from experiments.models import Metric

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.config_file.steps import Application

_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def apply_groups(application: Application) -> None:
    """Create and change saved groups; a group may name one that stands before it."""
    project = application.project
    for key, section in application.document.groups.items():
        group = project.saved_groups.filter(key=key).first()
        present = {
            name: getattr(group, name, default)
            for name, default in (("attribute", ""), ("values", []), ("condition", {}))
        }
        if group is not None and not differences(section.stated(), present):
            continue
        with application.step("groups", key):
            put_group(project=project, key=key, by=application.by, **{**present, **section.stated()})


def apply_layers(application: Application) -> None:
    """Create layers; one that is there stays as it is."""
    for number, key in enumerate(application.document.layers):
        with application.step("layers", number):
            put_layer(project=application.project, key=key, by=application.by)


def apply_metrics(application: Application) -> None:
    """Create and change metrics; what a started experiment counts was fixed at its start."""
    project = application.project
    for key, section in application.document.metrics.items():
        with application.step("metrics", key):
            metric = Metric.objects.filter(project=project, key=key).first()
            if metric is not None:
                edit_metric(metric=metric, changes=section.stated(), by=application.by)
                continue
            if "kind" not in section.model_fields_set:
                raise RefusedError(f"kind is missing, must be one of {Metric.Kind.values}.")
            create_metric(
                metric=Metric(project=project, key=key, **section.stated()), by=application.by
            )


def apply_holdout(application: Application) -> None:
    """Change the holdout's share."""
    section = application.document.project
    if "holdout" not in section.model_fields_set:
        return
    if section.holdout != share_of_holdout(application.project):
        with application.step("project", "holdout"):
            put_holdout(project=application.project, share=section.holdout, by=application.by)


def apply_project(application: Application) -> None:
    """Change what holds for the whole project."""
    project = application.project
    stated = {
        name: value
        for name, value in application.document.project.stated().items()
        if name != "holdout" and getattr(project, name) != value
    }
    if stated:
        with application.step("project"):
            change_project(project=project, changes=stated, by=application.by)


def apply_subscriptions(application: Application) -> None:
    """Create and change subscriptions."""
    for name, section in application.document.subscriptions.items():
        with application.step("subscriptions", name):
            _apply_subscription(application, name, section.stated())


def _apply_subscription(application: Application, name: str, stated: Mapping[str, Any]) -> None:
    project, by = application.project, application.by
    subscription = project.subscriptions.filter(name=name).first()
    target = _target(application, stated.get("target"), is_new=subscription is None)
    if subscription is None:
        draft = SubscriptionDraft(
            name, stated.get("kind", "webhook"), target or "", stated.get("events", ())
        )
        subscription = create_subscription(project=project, draft=draft, by=by)
    changed = differences(stated, subscription_as_config(subscription) | {"target": None})
    if changed.get("kind", subscription.kind) != subscription.kind:
        raise RefusedError(
            f"kind == '{changed['kind']}', must stay '{subscription.kind}': another kind is another "
            "subscription.",
            field="kind",
        )
    new_target = target if target != subscription.target else None
    if changed.keys() & {"events", "enabled"} or new_target is not None:
        change = SubscriptionChange(
            target=new_target, events=changed.get("events"), enabled=changed.get("enabled")
        )
        change_subscription(subscription=subscription, change=change, by=by)


def _target(application: Application, stated: str | None, *, is_new: bool) -> str | None:
    """Return the address; None where there is one already and the file does not state another."""
    placeholder = _PLACEHOLDER.fullmatch(stated or "")
    if placeholder is None:
        return stated
    value = application.environment.get(placeholder[1])
    if value is None and is_new:
        raise RefusedError(
            f"target == '{stated}', but {placeholder[1]} is not set in the environment: addresses that "
            "may hold a secret are never exported.",
            field="target",
        )
    return value
