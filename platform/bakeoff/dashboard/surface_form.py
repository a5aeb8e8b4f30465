"""The forms of a surface: a new one, and one that is changed. Each kind has fields of its own.

A page shows the fields of the chosen kind; those of another kind are not read. Settings that are stored as
objects have a field for each part, a table where they have rows, and JSON only for prices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.core.validators import MinValueValidator
from django.forms import ModelForm
from django.utils.translation import gettext_lazy

from bakeoff.dashboard.form_choices import name_choices
from bakeoff.dashboard.kind_settings import add_settings, settings_of
from bakeoff.dashboard.plain_fields import LinesField
from bakeoff.dashboard.refusals import add_refusal
from bakeoff.dashboard.table_field import CostsField, WeightsField
from experiments.reports.code_names import name_of
from inference.actions.check_labelling import labels_of
from inference.algorithms import trainable
from inference.models import Surface
from inference.serving.orders import LISTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bakeoff.accounts.refused import RefusedError

RECOMMEND, CLASSIFY, RANK = Surface.Kind.RECOMMEND, Surface.Kind.CLASSIFY, Surface.Kind.RANK
TRAINED = tuple(kind for kind in Surface.Kind if trainable(kind))
WITH_MODELS = tuple(kind for kind in Surface.Kind if kind != Surface.Kind.FLAG)
# Which kinds have a field; those that every kind has are not named.
KINDS_OF: Mapping[str, tuple[str, ...]] = {
    "list": (RECOMMEND,),
    "static_list": (RECOMMEND,),
    "liked_events": (RECOMMEND,),
    "event_weights": (RECOMMEND,),
    "context_features": (RECOMMEND,),
    "exploration": (RECOMMEND,),
    "labels": (CLASSIFY,),
    "costs": (CLASSIFY,),
    "abstain_cost": (CLASSIFY,),
    "slices": (CLASSIFY,),
    "max_gap": (CLASSIFY,),
    "retrain_algorithm": TRAINED,
    "retrain_every_seconds": TRAINED,
    "retrain_on_drift": TRAINED,
    "start_experiments": WITH_MODELS,
    "shadow_first": tuple(kind for kind in WITH_MODELS if kind != RANK),
    "text_classifier": WITH_MODELS,
    "theme_namer": WITH_MODELS,
}
SURFACE_FIELDS: tuple[str, ...] = (
    "static_list", "liked_events", "event_weights", "context_features", "exploration", "labels", "costs",
    "abstain_cost", "slices", "max_gap", "retrain_algorithm", "retrain_every_seconds", "retrain_on_drift",
    "start_experiments", "shadow_first", "text_classifier", "theme_namer",
)  # fmt: skip


class SurfaceChangeForm(ModelForm):  # type: ignore[type-arg]
    """What may be changed of a surface: neither its key nor its kind."""

    static_list = LinesField(
        label=gettext_lazy("Static list"),
        help_text=gettext_lazy("Item IDs to serve when no model can answer, one a line."),
    )
    liked_events = LinesField(
        rows=3,
        label=gettext_lazy("Positive signals"),
        help_text=gettext_lazy(
            "Events that show that a user liked an item, one a line: click, or rating>=4."
        ),
    )
    event_weights = WeightsField(
        label=gettext_lazy("Event weights"),
        help_text=gettext_lazy(
            "What a positive signal counts in training, by its event. Others count 1. An order of 20 that "
            "counts 0.1 per unit of its value counts 2."
        ),
    )
    context_features = LinesField(
        rows=3,
        label=gettext_lazy("Context features"),
        help_text=gettext_lazy(
            "What models may read of a request, one a line: country, device, language, platform, hour, "
            "weekday, or context.NAME."
        ),
    )
    labels = LinesField(
        label=gettext_lazy("Labels"),
        help_text=gettext_lazy(
            "One a line. Examples with other labels are skipped. Empty: the labels of the loaded examples."
        ),
    )
    slices = LinesField(
        rows=3,
        label=gettext_lazy("Groups to compare"),
        help_text=gettext_lazy("Names of features, one a line, at most 10."),
    )
    retrain_algorithm = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Algorithm on schedule"),
        help_text=gettext_lazy("What the schedule trains. Empty: nothing."),
    )

    class Meta:
        """Its fields."""

        model = Surface
        fields = SURFACE_FIELDS
        labels: ClassVar = {
            "key": gettext_lazy("Key"),
            "kind": gettext_lazy("Kind"),
            "abstain_cost": gettext_lazy("Cost of asking a person"),
            "max_gap": gettext_lazy("Largest gap allowed"),
            "exploration": gettext_lazy("Exploration"),
            "retrain_every_seconds": gettext_lazy("Retrain every (s)"),
            "retrain_on_drift": gettext_lazy("Retrain on drift"),
            "start_experiments": gettext_lazy("Auto-start experiments"),
            "shadow_first": gettext_lazy("Shadow requests before the experiment"),
            "text_classifier": gettext_lazy("Classifier of what users write"),
            "theme_namer": gettext_lazy("Model that names themes"),
        }
        help_texts: ClassVar = {
            "abstain_cost": gettext_lazy(
                "Where the best label is expected to cost more, no label is decided on. Empty: a label is "
                "always decided on."
            ),
            "max_gap": gettext_lazy(
                "A version is rejected where accuracy, or the rate of false positives or negatives, differs "
                "more between two groups. Empty: no limit."
            ),
            "exploration": gettext_lazy("0 always shows the best ranking; 0.05 shuffles a little."),
            "retrain_on_drift": gettext_lazy("Drift starts a training run before it is due."),
            "start_experiments": gettext_lazy(
                "A version that passes its gate starts its experiment by itself."
            ),
            "shadow_first": gettext_lazy(
                "How many requests a challenger answers as shadow traffic before its experiment."
            ),
            "text_classifier": gettext_lazy(
                "Key of a classification surface. Its champion labels comments and answers, for example as "
                "positive or negative, and themes show the share of each label. Empty: none."
            ),
            "theme_namer": gettext_lazy(
                "Key of a generation surface. Its champion names themes by their words and redacted quotes, "
                "which its provider then gets. Empty: themes are named by their words."
            ),
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        """Show the fields of the surface's kind; refuse at the field what the table would refuse."""
        super().__init__(*args, **options)
        name_choices(self)
        self.fields["exploration"].validators.append(MinValueValidator(0))
        self._add_fields()
        own = [name for name in self.fields if "." in name]
        self.order_fields(["key", "kind", "list", *own, *SURFACE_FIELDS])

    def _add_fields(self) -> None:
        surface = self.instance
        names = trainable(surface.kind)
        # What a package brought that is not there now stays on schedule until somebody changes it.
        stored = {surface.retrain_algorithm} - {"", *names}
        self.fields["retrain_algorithm"].choices = [  # type: ignore[attr-defined]
            ("", "–"), *((one, one) for one in (*names, *stored))
        ]  # fmt: skip
        self._add_costs(sorted(labels_of(surface)))
        add_settings(self, (surface.kind,), surface)
        for name in self.foreign():
            # What is set all the same, by the API, stays as it is.
            del self.fields[name]

    def _add_costs(self, labels: list[str]) -> None:
        self.fields["costs"] = CostsField(
            labels,
            self.instance.costs,
            label=gettext_lazy("Costs of mistakes"),
            help_text=gettext_lazy(
                "What a wrong label costs, at least 0. An empty cell, and a mistake that is not listed, "
                "costs 1. Labels that you add have their costs once they are saved."
            ),
        )

    def kind(self) -> str:
        """Return the kind that was chosen."""
        return str(self.instance.kind)

    def foreign(self) -> list[str]:
        """Return the fields of other kinds."""
        kinds_of = self.kinds_of()
        return [name for name in self.fields if self.kind() not in kinds_of.get(name, (self.kind(),))]

    def kinds_of(self) -> Mapping[str, tuple[str, ...]]:
        """Return which kinds have a field, where not all have it."""
        own = {name: (name.partition(".")[0],) for name in self.fields if "." in name}
        return {**KINDS_OF, **own}

    def parts(self) -> Iterator[tuple[forms.BoundField, str]]:
        """Yield each field, and the kinds that have it, separated by blanks; empty: all."""
        kinds_of = self.kinds_of()
        for field in self:
            yield field, " ".join(kinds_of.get(field.name, ()))

    def values(self) -> dict[str, Any]:
        """Return what was changed, of the fields of the kind."""
        foreign = set(self.foreign())
        typed = {
            name: self.cleaned_data[name]
            for name in self.changed_data
            if "." not in name and name not in foreign and name not in {"key", "list"}
        }
        if "retrain_algorithm" in typed:
            typed["retrain_params"] = {}  # those of another algorithm mean nothing to it
        return typed | settings_of(self, self.kind())

    def refuse(self, error: RefusedError) -> None:
        """Show what the action refused at its field: of `costs.spam.ham` that is the table of costs."""
        named = error.field or ""
        path = named.split(".")
        ends = [".".join(path[:end]) for end in range(len(path), 0, -1)]
        place = next((one for one in ends if one in self.fields), None)
        add_refusal(self, error, places={named: place} if place is not None else {})


class SurfaceForm(SurfaceChangeForm):
    """A new surface: fields of all kinds, of which those of the chosen one are shown and read."""

    list = forms.ChoiceField(
        required=False,
        label=gettext_lazy("List"),
        choices=[("", "–"), *((name, name) for name in LISTS)],
        help_text=gettext_lazy("Start with an order that needs no training. Empty: trained models."),
    )

    class Meta(SurfaceChangeForm.Meta):
        """Its fields."""

        fields = ("key", "kind", *SURFACE_FIELDS)

    def _add_fields(self) -> None:
        self.fields["retrain_algorithm"].choices = [  # type: ignore[attr-defined]
            ("", "–"),
            *((name_of(kind), [(one, one) for one in trainable(kind)]) for kind in TRAINED),
        ]
        self._add_costs([])
        add_settings(self, tuple(Surface.Kind), self.instance)

    def kind(self) -> str:
        """Return the kind that was chosen."""
        return str(getattr(self, "cleaned_data", {}).get("kind") or self.instance.kind)

    def clean(self) -> dict[str, Any]:
        """Read only what the kind has: what is wrong in the fields of another is not in the way."""
        filled: dict[str, Any] = super().clean() or self.cleaned_data
        if "kind" not in self.errors:
            for name in self.foreign():
                self.errors.pop(name, None)
                filled.pop(name, None)
        return filled

    def values(self) -> dict[str, Any]:
        """Return what was filled in, of the fields of the kind; its kind itself too."""
        return {**super().values(), "kind": self.kind()}
