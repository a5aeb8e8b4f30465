"""A project's configuration as plain values, in an order that does not change."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml
from django.conf import settings

from bakeoff.accounts.actors import is_reserved
from bakeoff.alerts.models import Subscription
from bakeoff.config_file.document import EXPERIMENT_FIELDS, METRIC_FIELDS, SCHEMA_PATH, VERSION
from experiments.actions.add_order import list_of
from experiments.actions.change_surface import EDITABLE
from experiments.actions.plan_judging import judging_settings
from experiments.models import Experiment, Holdout, JudgePlan, judge_plan_of, programme_of
from experiments.programme.settings import settings_of
from inference.actions.read_prompt import NoPromptError, read_prompt
from inference.models import Surface

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bakeoff.accounts.models import Project
    from experiments.models import ExperimentMetric, Survey, Variant
    from inference.models import ModelVersion


def export_config(project: Project) -> dict[str, Any]:
    """Return every setting of a project by section; docs/config.md says what is left out, and why."""
    project.refresh_from_db()
    return {
        "version": VERSION,
        "project": {
            "timezone": project.timezone,
            "retention_days": project.retention_days,
            "max_events_per_minute": project.max_events_per_minute,
            "holdout": share_of_holdout(project),
        },
        "groups": {
            group.key: {
                "attribute": group.attribute,
                "values": group.values,
                "condition": group.condition,
            }
            for group in project.saved_groups.order_by("key")
        },
        "layers": list(project.layers.order_by("key").values_list("key", flat=True)),
        "metrics": {
            metric.key: {name: getattr(metric, name) for name in METRIC_FIELDS}
            for metric in project.metrics.unarchived().order_by("key")
        },
        "surfaces": {surface.key: surface_as_config(surface) for surface in _surfaces(project)},
        "experiments": {
            experiment.key: experiment_as_config(experiment) for experiment in _experiments(project)
        },
        "subscriptions": {
            subscription.name: subscription_as_config(subscription)
            for subscription in project.subscriptions.order_by("name")
        },
    }


def config_as_yaml(config: dict[str, Any]) -> str:
    """Return a configuration as the text of a file."""
    body = yaml.dump(
        _plain(config), Dumper=yaml.SafeDumper, sort_keys=False, allow_unicode=True, width=100
    )
    return f"# yaml-language-server: $schema={SCHEMA_PATH}\n{body}"


def share_of_holdout(project: Project) -> float:
    """Return the share of units that no experiment of the project takes."""
    share = Holdout.objects.filter(project=project).values_list("share", flat=True).first()
    return share or 0.0


def surface_as_config(surface: Surface) -> dict[str, Any]:
    """Return a surface with its versions that are not trained, its rules, surveys and programme."""
    values = {name: getattr(surface, name) for name in EDITABLE}
    values["versions"] = {
        version.label: about
        for version in surface.versions.order_by("id")
        if (about := version_as_config(version)) is not None
    }
    values["saved_rules"] = [
        {"name": one.name, "rules": one.rules} for one in surface.rule_versions.order_by("number")
    ]
    values["surveys"] = surveys_as_config(surface)
    values["autopilot"] = settings_of(programme_of(surface))
    judging = judging_settings(judge_plan_of(surface))
    if surface.kind == Surface.Kind.GENERATE or judging != judging_settings(JudgePlan()):
        values["judging"] = judging
    return values


def surveys_as_config(surface: Surface) -> dict[str, Any]:
    """Return a surface's surveys; one for variants of an ended experiment is history as that is."""
    ended = set(surface.experiments.filter(state=Experiment.State.ENDED).values_list("key", flat=True))
    return {
        one.key: survey_as_config(one)
        for one in surface.surveys.order_by("key")
        if ended.isdisjoint(variant.partition("/")[0] for variant in one.variants)
    }


def survey_as_config(survey: Survey) -> dict[str, Any]:
    """Return a survey: its question, and whether users are asked."""
    question = survey.parsed
    return {
        "kind": question.kind,
        "question": question.question,
        "choices": list(question.choices),
        "share": question.share,
        "period_days": question.period_days,
        "asks_comment": question.asks_comment,
        "condition": dict(question.condition),
        "variants": list(question.variants),
        "translations": question.translations_as_json(),
        "enabled": survey.enabled,
    }


def version_as_config(version: ModelVersion) -> dict[str, Any] | None:
    """Return a version that a file can state; None of one that was trained or registered."""
    if (name := list_of(version)) is not None:
        return {"list": name, "list_params": version.params}
    if version.surface.kind != Surface.Kind.GENERATE or version.snapshot_id or version.parent_id:
        return None
    try:
        prompt = read_prompt(settings.BAKEOFF.artifacts, version)
    except NoPromptError:
        return None
    return {"prompt": prompt.as_json()}


def experiment_as_config(experiment: Experiment) -> dict[str, Any]:
    """Return an experiment's definition."""
    return {
        "surface": experiment.surface.key,
        "owner": owner_as_config(experiment),
        **{name: getattr(experiment, name) for name in EXPERIMENT_FIELDS},
        "layer": experiment.layer.key if experiment.layer is not None else None,
        "slot": [experiment.slot_low, experiment.slot_high],
        "variants": variants_as_config(experiment.variants.select_related("model_version", "rules")),
        "metrics": metrics_as_config(experiment.metrics.select_related("metric")),
    }


def owner_as_config(experiment: Experiment) -> str | None:
    """Return the person who owns an experiment; None where no person does."""
    return None if is_reserved(experiment.owner) else experiment.owner or None


def variants_as_config(variants: Iterable[Variant]) -> list[dict[str, Any]]:
    """Return an experiment's variants, control first; versions and rules by their names."""
    return [
        {
            "key": variant.key,
            "model": variant.model_version.label if variant.model_version is not None else None,
            "value": variant.value,
            "weight": variant.weight,
            "is_control": variant.is_control,
            "rules": variant.rules.number if variant.rules is not None else None,
        }
        for variant in variants
    ]


def metrics_as_config(metrics: Iterable[ExperimentMetric]) -> list[dict[str, Any]]:
    """Return an experiment's metrics by their keys, with role and margins."""
    return [
        {
            "metric": metric.metric.key,
            "role": metric.role,
            "margin": metric.margin,
            "margin_floor": metric.margin_floor,
        }
        for metric in metrics
    ]


def subscription_as_config(subscription: Subscription) -> dict[str, Any]:
    """Return a subscription; an address that may hold a secret is a placeholder."""
    return {
        "kind": subscription.kind,
        "events": subscription.events,
        "enabled": subscription.enabled,
        "target": subscription.target
        if subscription.kind == Subscription.Kind.EMAIL
        else f"${{{placeholder_of(subscription.name)}}}",
    }


def placeholder_of(name: str) -> str:
    """Return the variable of the environment that holds a subscription's address."""
    words = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
    return f"{words or 'SUBSCRIPTION'}_TARGET"


def _surfaces(project: Project) -> list[Surface]:
    return list(project.surfaces.unarchived().order_by("key"))


def _experiments(project: Project) -> list[Experiment]:
    """Return what a file can state: drafts and running tests; what ended is history."""
    rows = Experiment.objects.tests().filter(project=project).exclude(state=Experiment.State.ENDED)
    return list(rows.select_related("surface", "layer").order_by("key"))


def _plain(value: Any) -> Any:
    """Return a value as YAML's own types: choices are texts, and nothing is shared by an alias."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, str) else value
