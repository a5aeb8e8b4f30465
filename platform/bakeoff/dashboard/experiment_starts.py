"""What the form of a new experiment begins with: an address, a template, or another experiment.

A copy starts from everything that the other experiment's plan says, also from what the form does not show
(ramp, forced users, prerequisites, margins of single guardrails). It has a key and a salt of its own, so its
users are drawn anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bakeoff.dashboard.draft_in_form import initial_of
from bakeoff.dashboard.surface_policy import shown_on
from bakeoff.dashboard.variant_rows import NEW_ROWS
from experiments.actions.define_experiment import MAX_EXPERIMENT_NAME
from experiments.actions.edit_draft import draft_of
from experiments.actions.free_keys import free_key
from experiments.reports.metric_library import suggest_metrics
from inference.models import ModelVersion, Surface

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.accounts.models import Project
    from experiments.actions.experiment_draft import ExperimentDraft
    from experiments.models import Experiment

ROWS = frozenset({"variants", "condition_rows"})  # lists, which no address can write
FLAG, GENERATE, RECOMMEND = Surface.Kind.FLAG, Surface.Kind.GENERATE, Surface.Kind.RECOMMEND


@dataclass(frozen=True, slots=True)
class Template:
    """A starting point.

    Attributes:
        key: in the address.
        title: on its link.
        purpose: when to use it, in a sentence.
        kinds: of the surfaces that it is for; the first such surface is filled in.
        fields: of the form, that differ from its usual ones.
        variants: keys of its variants, the control first.
        has_guardrails: whether the guardrails of earlier experiments are filled in.
    """

    key: str
    title: Any
    purpose: Any
    kinds: Sequence[str]
    fields: Mapping[str, Any]
    variants: Sequence[str] = ("control", "treatment")
    has_guardrails: bool = False


TEMPLATES = (
    Template(
        "two-models",
        gettext_lazy("Two models"),
        gettext_lazy(
            "To replace the champion: half of the users get the new model, and a proven winner ships by itself."
        ),
        (RECOMMEND,),
        {"mode": "split", "rule": "group_sequential", "promote": True},
        has_guardrails=True,
    ),
    Template(
        "interleaving",
        gettext_lazy("Interleaving screen"),
        gettext_lazy(
            "To find out early which of two rankings users prefer, with far fewer users; then test the winner."
        ),
        (RECOMMEND,),
        {"mode": "interleave", "rule": "always_valid", "promote": False},
    ),
    Template(
        "bandit",
        gettext_lazy("Bandit of texts"),
        gettext_lazy(
            "For headlines, buttons or prompts that you want to get right soon, rather than measure exactly."
        ),
        (FLAG, GENERATE),
        {"mode": "bandit", "rule": "always_valid", "floor": 10, "update_hours": 24},
        variants=("text-1", "text-2", "text-3"),
    ),
    Template(
        "gradual",
        gettext_lazy("Gradual release"),
        gettext_lazy(
            "When the change is decided and must do no harm: begin with 5% of the traffic, watch the "
            "guardrails, and raise it on the report."
        ),
        (RECOMMEND, FLAG),
        {
            "mode": "split",
            "rule": "always_valid",
            "promote": False,
            "allocation": 5,
            "breaker_alpha": 1,
        },
        has_guardrails=True,
    ),
)


def initial_from(project: Project, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an address fills in; its own fields go before those of its template.

    Args:
        project: whose surfaces, models and metrics are filled in.
        sent: fields of the address; a template that there is not fills in nothing.
    """
    template = next((one for one in TEMPLATES if one.key == sent.get("template")), None)
    plain = {name: value for name, value in sent.items() if name not in ROWS}
    filled = {**(_fields_of(template, project) if template is not None else {}), **plain}
    surface = filled.get("surface")
    shown = shown_on(project, surface)
    if "rule" in filled:
        del shown["bandit_rule"]  # the rule that is filled in is that of any method
    return {**shown, **filled, "policy_of": surface or ""}


def _fields_of(template: Template, project: Project) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [{"key": key} for key in template.variants]
    if len(rows) == len(NEW_ROWS):
        rows = [dict(row) for row in NEW_ROWS]
    fields: dict[str, Any] = {**template.fields, "variants": rows}
    surface = (
        Surface.objects.unarchived()
        .filter(project=project, kind__in=template.kinds)
        .order_by("key")
        .first()
    )
    if surface is None:
        return fields
    fields["surface"] = surface.pk
    used = suggest_metrics(surface, without=())
    fields["primary"] = next((one.metric.pk for one in used if one.role == "primary"), None)
    if template.has_guardrails:
        fields["guardrails"] = [one.metric.pk for one in used if one.role == "guardrail"]
    if surface.kind == RECOMMEND:
        for row, version in zip(rows, _versions_for(surface), strict=False):
            row["version"] = version
    return fields


def _versions_for(surface: Surface) -> list[int | None]:
    """Return the champion of a surface and its newest challenger; None of what there is not."""
    aliases = ModelVersion.Alias
    versions = surface.versions.order_by("-pk")
    champion = versions.filter(alias=aliases.CHAMPION).first()
    challenger = versions.exclude(
        alias__in=(aliases.CHAMPION, aliases.REJECTED, aliases.RETIRED)
    ).first()
    return [version.pk if version is not None else None for version in (champion, challenger)]


def initial_of_copy(source: Experiment) -> dict[str, Any]:
    """Return another experiment's plan as the form shows it, with a key that is free."""
    name = _("Copy of %(name)s") % {"name": source.name} if source.name else ""
    return initial_of(source) | {
        "key": free_key(source.project_id, source.key),
        "name": name[:MAX_EXPERIMENT_NAME],
        "read_as": "",
    }


def base_of_copy(source: Experiment, *, owner: str) -> ExperimentDraft:
    """Return another experiment's plan to be changed by the form, without its key, name and salt."""
    return replace(draft_of(source), key="", name="", salt="", owner=owner)
