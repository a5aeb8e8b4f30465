"""The form that shares a report: for how many days its link is good."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

MAX_DAYS = 90
DAYS = 14


class ShareForm(forms.Form):
    """For how long."""

    days = forms.CharField(
        label=gettext_lazy("Days"),
        initial=DAYS,
        widget=forms.TextInput(attrs={"size": 4, "inputmode": "numeric"}),
    )

    def clean_days(self) -> float:
        """Return the days.

        Raises:
            ValidationError: no number, or too many.
        """
        text = self.cleaned_data["days"]
        try:
            days = float(text)
        except ValueError:
            days = 0.0
        if not 0 < days <= MAX_DAYS:
            sentence = _("Days must be above 0 and at most %(maximum)s, not '%(days)s'.")
            raise forms.ValidationError(sentence % {"days": text[:40], "maximum": MAX_DAYS})
        return days
