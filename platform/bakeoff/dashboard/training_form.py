"""A training run's parameters as a form, from what the algorithm declares of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bakeoff.dashboard.json_field import JsonField
from bakeoff.dashboard.plain_fields import NumbersField, PairsField
from experiments.reports.param_words import name_of_choice, name_of_param
from inference.actions.find_encoder import encoders_of
from inference.algorithms import (
    AUTO,
    CUSTOM,
    ENCODER,
    algorithms_of,
    params_of,
    reads_texts,
    why_not_trainable,
)
from inference.options import specs_of

if TYPE_CHECKING:
    from django.http import QueryDict

    from inference.actions.queue_training import CannotTrainError
    from inference.models import Surface
    from inference.options import ParamSpec

PREFIX = "param-"  # a parameter may have the name of another field of the form
OTHERS = "others"  # parameters of a package's algorithm, which declares none


class ListField(forms.CharField):
    """Names that are separated by commas."""

    def prepare_value(self, value: Any) -> Any:
        """Show a list as it is typed."""
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """Return the names."""
        names = (one.strip() for one in (super().to_python(value) or "").split(","))
        return [one for one in names if one]


class TrainingForm(forms.Form):
    """A field per parameter of one algorithm, at its default."""

    def __init__(self, surface: Surface, algorithm: str, *args: Any, **options: Any) -> None:
        """Build the fields.

        Args:
            surface: that is trained.
            algorithm: one that can be trained on it.
            args: of a form.
            options: likewise.
        """
        super().__init__(*args, **options)
        cls = params_of(surface.kind, algorithm)
        self._specs = [] if cls is None else [one for one in specs_of(cls) if one.name != ENCODER]
        scheduled = surface.retrain_params if surface.retrain_algorithm == algorithm else {}
        for spec in self._specs:
            field = _field_of(spec)
            field.initial = scheduled.get(spec.name, spec.default)
            self.fields[PREFIX + spec.name] = field
        if cls is None and _is_of_a_package(surface.kind, algorithm):
            self.fields[OTHERS] = PairsField(
                label=gettext_lazy("Parameters"),
                initial=scheduled,
                help_text=gettext_lazy(
                    "One a line, as “rate = 0.1”; the package that brings the algorithm says which."
                ),
            )
        encoders = encoders_of(surface.project_id)
        if encoders and reads_texts(surface.kind, algorithm):
            self.fields[ENCODER] = forms.ChoiceField(
                required=False,
                label=gettext_lazy("Encoder"),
                choices=[("", gettext_lazy("the configured one")), *((one, one) for one in encoders)],
                initial=scheduled.get(ENCODER, ""),
            )

    def params(self) -> dict[str, Any]:
        """Return the parameters that differ from their defaults."""
        typed = self.cleaned_data
        params = dict(typed.get(OTHERS) or {})
        params |= {
            spec.name: typed[PREFIX + spec.name]
            for spec in self._specs
            if typed[PREFIX + spec.name] != spec.default
        }
        return params | ({ENCODER: typed[ENCODER]} if typed.get(ENCODER) else {})

    def add_refusal(self, error: CannotTrainError) -> None:
        """Put what the action refuses at its parameter, or over the form."""
        place = PREFIX + error.param
        self.add_error(place if place in self.fields else None, str(error))


class ScheduledParams(TrainingForm):
    """Parameters of what a surface's schedule trains."""

    def __init__(self, surface: Surface, *args: Any, **options: Any) -> None:
        """Build the fields of the algorithm on schedule."""
        super().__init__(surface, surface.retrain_algorithm, *args, **options)
        self._surface = surface
        stored = surface.retrain_params.get(ENCODER)
        if stored and ENCODER in self.fields:
            # Rejected since it was chosen, it is still what is stored.
            field: Any = self.fields[ENCODER]
            field.choices = dict(field.choices) | {stored: stored}

    @classmethod
    def of(cls, surface: Surface, data: QueryDict | None) -> ScheduledParams | None:
        """Return the form; None where nothing with parameters is trained, or another algorithm was chosen.

        Args:
            surface: whose schedule.
            data: what was sent; without any parameter in it they stay as they are.
        """
        algorithm = surface.retrain_algorithm
        if not algorithm or why_not_trainable(surface.kind, algorithm, {}):
            return None
        form = cls(surface, data)
        sent = data is not None and any(name in data for name in form.fields)
        is_same = data is None or data.get("retrain_algorithm") == algorithm
        return form if form.fields and is_same and (data is None or sent) else None

    def changes(self) -> dict[str, Any]:
        """Return the surface's changed parameters; nothing where they are as they were."""
        stored, changed = self._surface.retrain_params, set(self.changed_data)
        params = {name: one for name, one in stored.items() if self._place_of(name) not in changed}
        params |= {name: one for name, one in self.params().items() if self._place_of(name) in changed}
        return {"retrain_params": params} if params != stored else {}

    def _place_of(self, name: str) -> str:
        """Return the field of a parameter; empty where the form has none."""
        own = ENCODER if name == ENCODER else PREFIX + name
        return next((one for one in (own, OTHERS) if one in self.fields), "")


def _is_of_a_package(kind: str, algorithm: str) -> bool:
    if algorithm == AUTO or algorithm in CUSTOM:
        return False
    return not type(algorithms_of(kind)[algorithm]).__module__.startswith("inference.")


def _field_of(spec: ParamSpec) -> forms.Field:
    bounds, label = spec.bounds, name_of_param(spec.name)
    if bounds.choices:
        return forms.ChoiceField(
            label=label, choices=[(one, name_of_choice(one)) for one in bounds.choices]
        )
    if spec.type is bool:
        return forms.BooleanField(label=label, required=False)
    if spec.type is list:
        return _list_field(spec, label)
    if spec.type is str:
        return forms.CharField(label=label, required=False, max_length=200)
    return _number_field(spec, label)


def _list_field(spec: ParamSpec, label: str) -> forms.Field:
    names = all(isinstance(one, str) for one in spec.default) and spec.name == "algorithms"
    if names:
        help_text = _("Separated by commas. Empty: the usual ones.")
        return ListField(label=label, required=False, help_text=help_text)
    if spec.name == "weights":
        return NumbersField(label=label, required=False, help_text=_("Numbers, separated by commas."))
    return JsonField(
        list,
        label=label,
        help_text=_(
            "A JSON list of names of algorithms, or of objects where one has parameters: "
            '["trending", {"algorithm": "item-knn", "params": {"k": 50}}]'
        ),
    )


def _number_field(spec: ParamSpec, label: str) -> forms.Field:
    bounds = spec.bounds
    words = _help_text(spec)
    if spec.type is int:
        low = None if bounds.low is None else int(bounds.low)
        high = None if bounds.high is None else int(bounds.high)
        return forms.IntegerField(label=label, help_text=words, min_value=low, max_value=high)
    field = forms.FloatField(label=label, help_text=words, min_value=bounds.low, max_value=bounds.high)
    field.widget.attrs["step"] = "any"
    if bounds.above is not None:
        limit = bounds.above

        def require_above(value: float) -> None:
            if not value > limit:
                raise forms.ValidationError(_("Must be above %(limit)s.") % {"limit": f"{limit:g}"})

        field.validators.append(require_above)
    return field


def _help_text(spec: ParamSpec) -> str:
    low = spec.bounds.low if spec.bounds.low is not None else spec.bounds.above
    words = {
        "default": f"{spec.default:,.10g}",
        "low": f"{low:,.10g}" if low is not None else "",
        "high": f"{spec.bounds.high:,.10g}" if spec.bounds.high is not None else "",
    }
    if low is None or spec.bounds.high is None:
        return _("Default: %(default)s.") % words
    if spec.bounds.above is not None:
        return _("Above %(low)s, at most %(high)s. Default: %(default)s.") % words
    return _("%(low)s to %(high)s. Default: %(default)s.") % words
