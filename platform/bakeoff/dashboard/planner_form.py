"""The planner's form: which surface, which metric, and the smallest change worth shipping."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django import forms
from django.urls import reverse
from django.utils.translation import gettext_lazy

from bakeoff.dashboard.experiment_form import RULES
from experiments.models import Metric
from experiments.scorecards.change_plan import ChangePlan, plan_change
from experiments.scorecards.plan_words import describe_missing_traffic
from experiments.scorecards.traffic_plan import Design, NoTrafficError
from experiments.stats.totals import StatisticsError
from inference.models import Surface

if TYPE_CHECKING:
    from bakeoff.accounts.models import Project


class PlannerForm(forms.Form):
    """What is asked before an experiment is defined."""

    surface = forms.ModelChoiceField(Surface.objects.none(), label=gettext_lazy("Surface"))
    primary = forms.ModelChoiceField(
        Metric.objects.none(),
        label=gettext_lazy("Primary metric"),
        help_text=gettext_lazy("The metric that decides."),
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

    def __init__(self, project: Project, *args: object, **options: object) -> None:
        """Offer the project's surfaces and metrics, the first of each chosen."""
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self._project = project
        for name, rows in (("surface", project.surfaces), ("primary", project.metrics)):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)  # noqa: S101  as declared above
            field.queryset = rows.order_by("key")
            field.empty_label = None

    @classmethod
    def with_first_of_each(cls, project: Project) -> PlannerForm:
        """Return the form as it begins: filled in with the first surface and metric, if there are any."""
        surface, metric = (rows.order_by("key").first() for rows in (project.surfaces, project.metrics))
        if surface is None or metric is None:
            return cls(project)
        initial = {name: field.initial for name, field in cls.base_fields.items()}
        return cls(
            project, initial | {"surface": surface.pk, "primary": metric.pk, "rule": RULES[0][0]}
        )

    def plan(self) -> ChangePlan | None:
        """Return the plan of a valid form; None where a field or the traffic forbids one, said at it."""
        filled = self.cleaned_data
        surface, metric = filled["surface"], filled["primary"]
        design = Design(
            treatment_share=filled["treatment_share"] / 100,
            rule=filled["rule"],
            allocation=filled["allocation"] / 100,
        )
        try:
            return plan_change(surface, metric, design, lift=filled["change"] / 100)
        except NoTrafficError as error:
            self.add_error("surface", describe_missing_traffic(surface, metric, error.traffic))
        except StatisticsError as error:
            self.add_error("change", str(error))
        return None

    def experiment_address(self, plan: ChangePlan) -> str:
        """Return where the form of a new experiment has this plan filled in."""
        filled = self.cleaned_data
        query = {
            "surface": filled["surface"].pk,
            "primary": filled["primary"].pk,
            "planned_units": plan.plan.units,
            "allocation": f"{filled['allocation']:g}",
            "treatment_share": f"{filled['treatment_share']:g}",
            "rule": filled["rule"],
        }
        if plan.weeks is not None and filled["rule"] == "fixed":
            query["minimum_days"] = 7 * plan.weeks
        return f"{reverse('experiments-new', args=[self._project.slug])}?{urlencode(query)}"
