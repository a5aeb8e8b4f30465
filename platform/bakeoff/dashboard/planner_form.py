"""The planner's form: which surface, which metric, and the smallest change worth shipping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import forms
from django.urls import reverse
from django.utils.translation import gettext_lazy

from bakeoff.dashboard.form_choices import MODES, RULES, cluster_field
from bakeoff.plan_answers import few_blocks_in_words
from experiments.models import Metric
from experiments.scorecards.block_plan import FewBlocksError
from experiments.scorecards.change_plan import ChangePlan, find_metric
from experiments.scorecards.mode_plan import AnyPlan, PlanRequest, plan_in_mode
from experiments.scorecards.plan_words import describe_ceiling, describe_missing_traffic
from experiments.scorecards.switchback_plan import SwitchbackPlan
from experiments.scorecards.traffic_plan import CeilingError, NoTrafficError
from experiments.stats.policy import MAX_BLOCK_SECONDS
from experiments.stats.totals import StatisticsError
from inference.models import Surface

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakeoff.accounts.models import Project


# Which modes have a field; those that every mode has are not named.
MODES_OF = {
    "allocation": ("split", "interleave", "cluster"),
    "treatment_share": ("split", "cluster", "switchback"),
    "rule": ("split",),
    "cluster_by": ("cluster",),
    "block_minutes": ("switchback",),
    "carry_over_minutes": ("switchback",),
}
# Where the form has what a plan refuses, by the plan's own names.
PLACES = {
    "metric": "primary",
    "mode": "mode",
    "cluster_by": "cluster_by",
    "clusters": "cluster_by",
    "clusters that take part": "cluster_by",
    "block_seconds": "block_minutes",
    "carry_over_seconds": "carry_over_minutes",
}


class PlannerForm(forms.Form):
    """What is asked before an experiment is defined."""

    surface = forms.ModelChoiceField(Surface.objects.none(), label=gettext_lazy("Surface"))
    primary = forms.ModelChoiceField(
        Metric.objects.none(),
        label=gettext_lazy("Primary metric"),
        help_text=gettext_lazy("The metric that decides."),
    )
    mode = forms.ChoiceField(
        choices=[one for one in MODES if one[0] != "bandit"],
        required=False,
        label=gettext_lazy("Method"),
        help_text=gettext_lazy(
            "Interleaving needs far fewer users and tells which version users prefer; clusters and blocks "
            "of time are for versions that act on more than one user at once."
        ),
    )
    change = forms.FloatField(
        min_value=0.01,
        max_value=1000,
        initial=5,
        label=gettext_lazy("Smallest change worth shipping (%)"),
        help_text=gettext_lazy(
            "Relative: 5 means from 2.00 to 2.10. Half of it needs four times the users."
        ),
    )
    allocation = forms.FloatField(
        min_value=0.1, max_value=100, initial=100, label=gettext_lazy("Traffic (%)")
    )
    treatment_share = forms.FloatField(
        min_value=1, max_value=99, initial=50, label=gettext_lazy("Treatment split (%)")
    )
    rule = forms.ChoiceField(choices=RULES, label=gettext_lazy("Decision rule"))
    cluster_by = cluster_field(gettext_lazy("Cluster: attribute of the context"))
    block_minutes = forms.FloatField(
        max_value=MAX_BLOCK_SECONDS / 60,
        required=False,
        label=gettext_lazy("Switchback: minutes of a block"),
        help_text=gettext_lazy("Much longer than what a version leaves behind."),
    )
    carry_over_minutes = forms.FloatField(
        max_value=MAX_BLOCK_SECONDS / 60,
        required=False,
        label=gettext_lazy("Switchback: minutes of carry-over"),
        help_text=gettext_lazy(
            "From the start of each block, left out because the block before still acts. At most half of it."
        ),
    )

    def __init__(self, project: Project, *args: object, **options: object) -> None:
        """Offer the project's surfaces and metrics, the first of each chosen."""
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self._project = project
        for name, rows in (("surface", project.surfaces), ("primary", project.metrics)):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)  # noqa: S101  as declared above
            field.queryset = rows.unarchived().order_by("key")
            field.empty_label = None

    @classmethod
    def with_first_of_each(cls, project: Project) -> PlannerForm:
        """Return the form as it begins: with the first surface and its primary metric, if there are any."""
        surface = project.surfaces.unarchived().order_by("key").first()
        if surface is None or not project.metrics.unarchived().exists():
            return cls(project)
        metric = find_metric(surface, "")
        initial = {name: field.initial for name, field in cls.base_fields.items()}
        return cls(
            project, initial | {"surface": surface.pk, "primary": metric.pk, "rule": RULES[0][0]}
        )

    def clean(self) -> dict[str, Any]:
        """Read only what the mode has: what was typed into the fields of another is not in the way."""
        filled = super().clean() or {}
        if "mode" in self.errors:
            return filled
        filled["mode"] = filled.get("mode") or "split"
        for name, modes in MODES_OF.items():
            if filled["mode"] not in modes:
                self.errors.pop(name, None)
                filled[name] = self.base_fields[name].initial
        return filled

    def parts(self) -> Iterator[tuple[forms.BoundField, str]]:
        """Yield each field, and the modes that have it, in words apart; all modes have it where none is named."""
        for field in self:
            yield field, " ".join(MODES_OF.get(field.name, ()))

    def plan(self) -> AnyPlan | None:
        """Return the plan of a valid form; None where a field or the traffic forbids one, said at it."""
        filled = self.cleaned_data
        surface, metric = filled["surface"], filled["primary"]
        request = PlanRequest(
            mode=filled["mode"],
            lift=filled["change"] / 100,
            treatment_share=filled["treatment_share"] / 100,
            allocation=filled["allocation"] / 100,
            rule=filled["rule"],
            cluster_by=filled["cluster_by"] or "",
            block_seconds=60 * (filled["block_minutes"] or 0),
            carry_over_seconds=60 * (filled["carry_over_minutes"] or 0),
        )
        try:
            return plan_in_mode(surface, metric, request)
        except NoTrafficError as error:
            self.add_error("surface", describe_missing_traffic(surface, metric, error.traffic))
        except FewBlocksError as error:
            self.add_error("block_minutes", few_blocks_in_words(error))
        except CeilingError as error:
            self.add_error("change", describe_ceiling(error))
        except StatisticsError as error:
            named = str(error).partition(" == ")[0]
            self.add_error(PLACES.get(named, "change"), str(error))
        return None

    def experiment_address(self, plan: AnyPlan) -> str:
        """Return where the form of a new experiment has this plan filled in."""
        filled = self.cleaned_data
        mode = filled["mode"]
        query = {
            "surface": filled["surface"].pk,
            "primary": filled["primary"].pk,
            "mode": mode,
            "planned_units": _units_of(plan),
        }
        for name in ("allocation", "treatment_share", "block_minutes", "carry_over_minutes"):
            if mode in MODES_OF[name]:
                query[name] = f"{filled[name]:g}"
        if mode == "cluster":
            query["cluster_by"] = filled["cluster_by"]
        if mode != "interleave":
            query["rule"] = filled["rule"] or "fixed"
        if plan.weeks is not None and query.get("rule") == "fixed":
            query["minimum_days"] = 7 * plan.weeks
        return f"{reverse('experiments-new', args=[self._project.slug])}?{urlencode(query)}"


def _units_of(plan: AnyPlan) -> int | None:
    """Return what the plan's experiment counts: users, or blocks of time."""
    if isinstance(plan, SwitchbackPlan):
        return plan.planned_blocks
    return plan.plan.units if isinstance(plan, ChangePlan) else plan.users
