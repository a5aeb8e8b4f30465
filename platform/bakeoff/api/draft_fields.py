"""Fields of a request as those of a draft: names become rows of the project."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from bakeoff.accounts.models import Project
from bakeoff.api.access import project_of
from bakeoff.api.errors import Problem
from bakeoff.api.lookup import get_or_404
from experiments.actions.define_experiment import ExperimentMetricDraft, VariantDraft
from experiments.models import Experiment, Layer, Metric, RuleVersion
from inference.models import ModelVersion, Surface


def draft_fields(surface: Surface, sent: dict[str, Any]) -> dict[str, Any]:
    """Return fields of a request as those of a draft: names become rows.

    Raises:
        Problem: a version, metric or layer that the project does not have.
    """
    fields = dict(sent)
    if "variants" in fields:
        fields["variants"] = [
            VariantDraft(
                v["key"],
                _version(surface, v["model"]) if v["model"] else None,
                v["weight"],
                v["is_control"],
                v["value"],
                _rules(surface, v["rules"]) if v["rules"] is not None else None,
            )
            for v in fields["variants"]
        ]
    if "metrics" in fields:
        fields["metrics"] = [
            ExperimentMetricDraft(
                _metric(surface.project, m["metric"]), m["role"], m["margin"], m["margin_floor"]
            )
            for m in fields["metrics"]
        ]
    if "ramp" in fields:
        fields["ramp"] = [
            {name: value for name, value in step.items() if value is not None}
            for step in fields["ramp"]
        ]
    if "layer" in fields:
        fields["layer"] = _layer(surface.project, fields["layer"])
    return fields


def find_surface(project: Project, key: str) -> Surface:
    """Return a surface of the project, or answer 404."""
    return get_or_404(Surface.objects.filter(project=project), "surface", key=key)


def _version(surface: Surface, label: str) -> ModelVersion:
    name, _, number = label.partition("@")
    version = surface.versions.filter(algorithm=name, number=int(number)).first()
    if version is None:
        raise Problem(
            422,
            "unknown_model",
            f"model == '{label}', not found on surface '{surface}'.",
            "variants",
        )
    return version


def _rules(surface: Surface, number: int) -> RuleVersion:
    version = RuleVersion.objects.filter(surface=surface, number=number).first()
    if version is None:
        raise Problem(
            422, "unknown_rules", f"rules == {number}, not found on surface '{surface}'.", "variants"
        )
    return version


def _layer(project: Project, key: str | None) -> Layer | None:
    if key is None:
        return None
    layer = Layer.objects.filter(project=project, key=key).first()
    if layer is None:
        raise Problem(
            422, "unknown_layer", f"layer == '{key}', not found in project '{project}'.", "layer"
        )
    return layer


def _metric(project: Project, key: str) -> Metric:
    metric = Metric.objects.filter(project=project, key=key).first()
    if metric is None:
        raise Problem(
            422,
            "unknown_metric",
            f"metric == '{key}', not found in project '{project}'.",
            "metrics",
        )
    return metric


def find_experiment(request: HttpRequest, key: str) -> Experiment:
    """Return an experiment of the key's project, or answer 404."""
    rows = Experiment.objects.filter(project=project_of(request)).select_related("surface", "layer")
    return get_or_404(rows, "experiment", key=key)
