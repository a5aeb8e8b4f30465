"""Fields of a draft as programs and files write them: names become rows of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.actions.define_experiment import CannotDefineError
from experiments.actions.experiment_draft import ExperimentMetricDraft, VariantDraft
from experiments.models import Layer, Metric, RuleVersion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.accounts.models import Project
    from inference.models import ModelVersion, Surface


class UnknownNameError(CannotDefineError):
    """A version, rules, a metric or a layer that the project does not have.

    Attributes:
        code: for the API.
    """

    def __init__(self, message: str, *, field: str, code: str) -> None:
        """Name the rule, the field that breaks it, and the code for programs."""
        super().__init__(message, field=field)
        self.code = code


def read_draft(surface: Surface, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields as those of an `ExperimentDraft`; a field that is not named stays away.

    Args:
        surface: of the experiment.
        fields: plain values by field: variants with `model` and `rules` by their names, metrics and
            layer by their keys.

    Raises:
        UnknownNameError: the project has no such row.
    """
    read = dict(fields)
    if "variants" in read:
        read["variants"] = [_variant(surface, variant) for variant in read["variants"]]
    if "metrics" in read:
        read["metrics"] = [
            ExperimentMetricDraft(
                _metric(surface.project, m["metric"]), m["role"], m["margin"], m["margin_floor"]
            )
            for m in read["metrics"]
        ]
    if "ramp" in read:
        read["ramp"] = [
            {name: value for name, value in step.items() if value is not None} for step in read["ramp"]
        ]
    if "layer" in read:
        read["layer"] = _layer(surface.project, read["layer"])
    return read


def _variant(surface: Surface, variant: Mapping[str, Any]) -> VariantDraft:
    return VariantDraft(
        variant["key"],
        _version(surface, variant["model"]) if variant["model"] else None,
        variant["weight"],
        variant["is_control"],
        variant["value"],
        _rules(surface, variant["rules"]) if variant["rules"] is not None else None,
    )


def _version(surface: Surface, label: str) -> ModelVersion:
    name, _, number = label.partition("@")
    version = surface.versions.filter(algorithm=name, number=int(number)).first()
    if version is None:
        message = f"model == '{label}', not found on surface '{surface}'."
        raise UnknownNameError(message, field="variants", code="unknown_model")
    return version


def _rules(surface: Surface, number: int) -> RuleVersion:
    version = RuleVersion.objects.filter(surface=surface, number=number).first()
    if version is None:
        message = f"rules == {number}, not found on surface '{surface}'."
        raise UnknownNameError(message, field="variants", code="unknown_rules")
    return version


def _layer(project: Project, key: str | None) -> Layer | None:
    if key is None:
        return None
    layer = Layer.objects.filter(project=project, key=key).first()
    if layer is None:
        message = f"layer == '{key}', not found in project '{project}'."
        raise UnknownNameError(message, field="layer", code="unknown_layer")
    return layer


def _metric(project: Project, key: str) -> Metric:
    metric = Metric.objects.filter(project=project, key=key).first()
    if metric is None:
        message = f"metric == '{key}', not found in project '{project}'."
        raise UnknownNameError(message, field="metrics", code="unknown_metric")
    return metric
