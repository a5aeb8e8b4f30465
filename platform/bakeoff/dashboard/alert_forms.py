"""The forms of the page of alerts: what was typed is kept where an action refuses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy

from bakeoff.alerts.models import Subscription
from bakeoff.delivery.edit_subscriptions import EVENTS, MAX_NAME, MAX_TARGET, shown_target
from experiments.reports.code_names import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping


def _named(codes: tuple[str, ...] | list[str]) -> list[tuple[str, str]]:
    return [(code, name_of(f"alert {code}")) for code in codes]


def _kinds() -> list[tuple[str, str]]:
    """Return the kinds that can be created here."""
    without = set() if settings.BAKEOFF.smtp is not None else {Subscription.Kind.EMAIL}
    return _named([kind for kind in Subscription.Kind.values if kind not in without])


class ChangedSubscriptionForm(forms.Form):
    """What may be changed; an empty target stays, since a part of it may not be shown."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=MAX_NAME)
    target = forms.CharField(required=False, label=gettext_lazy("New target"), max_length=MAX_TARGET)
    events = forms.MultipleChoiceField(
        required=False,
        label=gettext_lazy("Events"),
        choices=lambda: _named(EVENTS),
        widget=forms.CheckboxSelectMultiple,
    )


class NewSubscriptionForm(ChangedSubscriptionForm):
    """A subscription to be."""

    # The action says why a kind cannot be chosen here.
    kind = forms.CharField(label=gettext_lazy("Kind"), widget=forms.Select)
    target = forms.CharField(
        label=gettext_lazy("Target"),
        max_length=MAX_TARGET,
        widget=forms.TextInput(attrs={"placeholder": "https://hooks.example/bakeoff"}),
    )
    field_order = ("name", "kind", "target", "events")

    def __init__(self, *args: Any, **options: Any) -> None:
        """Offer the kinds that can be created here."""
        super().__init__(*args, **options)
        offered: Any = self.fields["kind"].widget
        offered.choices = _kinds()


def new_subscription_form(data: Mapping[str, Any] | None = None) -> NewSubscriptionForm:
    """Return the form of a new subscription."""
    return NewSubscriptionForm(data, auto_id="subscription-%s")


def subscription_form(
    subscription: Subscription, data: Mapping[str, Any] | None = None
) -> ChangedSubscriptionForm:
    """Return the form of a subscription, with what it is now."""
    shown = {"name": subscription.name, "events": subscription.events}
    form = ChangedSubscriptionForm(data, initial=shown, auto_id=f"subscription-{subscription.pk}-%s")
    form.fields["target"].widget.attrs["placeholder"] = shown_target(subscription)
    return form
