"""The forms of a metric: a new one, and one that is changed."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.forms import ModelForm
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bakeoff.dashboard.form_choices import name_choices
from bakeoff.dashboard.text_box import TextBoxField
from experiments.metrics.labels import MAX_DESCRIPTION, MAX_TAG, MAX_TAGS
from experiments.models import Metric


class TagsField(forms.CharField):
    """Tags in one line, separated by commas; a list of texts."""

    def prepare_value(self, value: Any) -> Any:
        """Show stored tags in a line."""
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """Split; repeated ones count once.

        Raises:
            ValidationError: too many, or one is too long.
        """
        text = (super().to_python(value) or "").replace("，", ",")
        tags = list(dict.fromkeys(tag.strip() for tag in text.split(",") if tag.strip()))
        if len(tags) > MAX_TAGS:
            raise ValidationError(_("At most %(maximum)s tags.") % {"maximum": MAX_TAGS})
        if any(len(tag) > MAX_TAG for tag in tags):
            raise ValidationError(_("A tag has at most %(maximum)s characters.") % {"maximum": MAX_TAG})
        return tags

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare tags, not their spelling in the line."""
        try:
            return bool(self.to_python(self.prepare_value(initial)) != self.to_python(data))
        except ValidationError:  # nobody could have stored it
            return True


class MetricChangeForm(ModelForm):  # type: ignore[type-arg]
    """What may be changed of a metric: neither its key nor its kind."""

    description = TextBoxField(
        required=False,
        max_length=MAX_DESCRIPTION,
        label=gettext_lazy("Description"),
        help_text=gettext_lazy("What it says about users, and when to use it."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    tags = TagsField(
        required=False,
        label=gettext_lazy("Tags"),
        help_text=gettext_lazy("Separated by commas: engagement, revenue."),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        """Name the choices."""
        super().__init__(*args, **options)
        self.fields["covariate"].required = False  # left out, it is the model's default
        name_choices(self)
        if self.instance.pk is not None:
            # What was on the page is sent back: a field that only somebody else changed stays theirs.
            for field in self.fields.values():
                field.show_hidden_initial = True

    def add_error(self, field: str | None, error: Any) -> None:
        """Show over the form what is wrong with a field that it does not have: the steps of a funnel."""
        if field is None and isinstance(error, ValidationError) and hasattr(error, "error_dict"):
            errors = error.error_dict
            for hidden in [name for name in errors if name not in {*self.fields, NON_FIELD_ERRORS}]:
                super().add_error(None, errors.pop(hidden))
        super().add_error(field, error)

    def changes(self) -> dict[str, Any]:
        """Return the fields that were changed; an absent covariate is the default."""
        changed = {name: self.cleaned_data[name] for name in self.changed_data}
        if "covariate" in changed:
            changed["covariate"] = changed["covariate"] or Metric.Covariate.HISTORY
        return changed

    class Meta:
        """The fields that most metrics need; the API sets the others."""

        model = Metric
        fields: tuple[str, ...] = (
            "name", "description", "owner", "tags", "event", "value", "denominator", "direction",
            "window_seconds", "cap", "lookback_seconds", "covariate", "attributed_only", "trusted_only",
        )  # fmt: skip
        labels: ClassVar = {
            "key": gettext_lazy("Key"),
            "name": gettext_lazy("Name"),
            "owner": gettext_lazy("Owner"),
            "kind": gettext_lazy("Kind"),
            "event": gettext_lazy("Event"),
            "value": gettext_lazy("Value per user"),
            "denominator": gettext_lazy("Denominator event"),
            "direction": gettext_lazy("Goal"),
            "window_seconds": gettext_lazy("Conversion window (s)"),
            "cap": gettext_lazy("Cap"),
            "lookback_seconds": gettext_lazy("Lookback before exposure (s)"),
            "covariate": gettext_lazy("Variance reduction"),
            "attributed_only": gettext_lazy("Attributed events only"),
            "trusted_only": gettext_lazy("Trusted events only"),
        }
        help_texts: ClassVar = {
            "owner": gettext_lazy("A person or team who answers questions about it."),
            "direction": "",
            "denominator": gettext_lazy(
                "Ratio only: the event in the denominator; slate counts recommendations served."
            ),
            "window_seconds": gettext_lazy(
                "Events count for this long after a user first sees a variant. Empty: as the policy says."
            ),
            "cap": gettext_lazy("Larger values per user count as this value."),
            "lookback_seconds": gettext_lazy(
                "What users did in this time before exposure narrows the interval. Empty: not used."
            ),
            "covariate": gettext_lazy(
                "By the same number before exposure, or by a prediction learnt before the start."
            ),
            "attributed_only": gettext_lazy(
                "Count only events that name a recommendation of the experiment."
            ),
            "trusted_only": gettext_lazy(
                "Count only events and feedback sent with a secret key: a page's key can be abused."
            ),
        }


class MetricForm(MetricChangeForm):
    """A new metric over events."""

    class Meta(MetricChangeForm.Meta):
        """Its fields."""

        fields = ("name", "key", "kind", *MetricChangeForm.Meta.fields[1:])
