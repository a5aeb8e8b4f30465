"""The forms of the Team page: what was typed is kept where an action refuses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.html import format_html
from django.utils.translation import gettext_lazy

from bakeoff.accounts.edit_keys import MAX_NAME
from bakeoff.accounts.invite import MAX_EMAIL
from bakeoff.accounts.keys import PUBLIC, SCOPES, SECRET
from bakeoff.accounts.models import Membership
from experiments.reports.code_names import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.accounts.models import ApiKey

MAX_USERNAME = 150  # as Django's column is wide
# Fields of the forms, by the names that actions have for them.
KEY_PLACES = {"allowed_origins": "origins", "expires_at": "expires"}


def _roles() -> list[tuple[str, str]]:
    return [(value, name_of(f"role {value}")) for value in Membership.Role.values]


class KeyForm(forms.Form):
    """What a key may do, the pages that may use it, and its last day."""

    scopes = forms.MultipleChoiceField(
        required=False,
        label=gettext_lazy("Scopes"),
        choices=[(scope, format_html("<code>{}</code>", scope)) for scope in SCOPES],
        widget=forms.CheckboxSelectMultiple,
    )
    origins = forms.CharField(
        required=False,
        label=gettext_lazy("Origins"),
        max_length=2000,
        widget=forms.TextInput(attrs={"placeholder": "https://shop.example"}),
    )
    expires = forms.DateField(
        required=False,
        label=gettext_lazy("Last day (UTC)"),
        # A browser takes and sends days in this form, whatever the language.
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
    )

    def origins_listed(self) -> list[str]:
        """Return the origins one by one."""
        return str(self.cleaned_data["origins"]).split()


class NewKeyForm(KeyForm):
    """A key to be."""

    name = forms.CharField(label=gettext_lazy("Purpose"), max_length=MAX_NAME)
    kind = forms.ChoiceField(
        label=gettext_lazy("Kind"),
        choices=[(PUBLIC, gettext_lazy("public")), (SECRET, gettext_lazy("secret"))],
    )
    field_order = ("name", "kind", "origins", "scopes", "expires")


class MemberNameForm(forms.Form):
    """Whom an administrator means."""

    username = forms.CharField(max_length=MAX_USERNAME)

    def __init__(self, *args: Any, label: Any, **options: Any) -> None:
        """Name the field by what is done to the person."""
        super().__init__(*args, **options)
        self.fields["username"].label = label


class MemberForm(forms.Form):
    """A person's role; "" takes it away."""

    username = forms.CharField(label=gettext_lazy("Member"), max_length=MAX_USERNAME)
    # Rows of members have a button that sends "", and asks first.
    role = forms.ChoiceField(required=False, label=gettext_lazy("Role"), choices=_roles)


class InvitationForm(forms.Form):
    """Whom a link lets in, as what."""

    email = forms.EmailField(
        required=False, label=gettext_lazy("E-mail (optional)"), max_length=MAX_EMAIL
    )
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=_roles)


def reset_form(data: Mapping[str, Any] | None = None) -> MemberNameForm:
    """Return the form that makes a link to a new password."""
    return MemberNameForm(data, label=gettext_lazy("New password for"), auto_id="reset-%s")


def factor_form(data: Mapping[str, Any] | None = None) -> MemberNameForm:
    """Return the form that removes a second factor."""
    return MemberNameForm(data, label=gettext_lazy("Lost second factor of"), auto_id="factor-%s")


def sessions_form(data: Mapping[str, Any] | None = None) -> MemberNameForm:
    """Return the form that ends a member's sessions."""
    return MemberNameForm(data, label=gettext_lazy("Sessions of"), auto_id="session-%s")


def key_form(key: ApiKey, data: Mapping[str, Any] | None = None) -> KeyForm:
    """Return the form of a key, with what it may do now."""
    shown = {
        "scopes": key.scopes,
        "origins": " ".join(key.allowed_origins),
        "expires": key.expires_at and key.expires_at.date(),
    }
    return KeyForm(data, initial=shown, auto_id=f"key-{key.pk}-%s")


def new_forms() -> dict[str, forms.Form]:
    """Return the forms of the page as nobody has typed anything, by their names in its template."""
    return {
        "new_key": NewKeyForm(auto_id="key-%s"),
        "member": MemberForm(auto_id="member-%s"),
        "reset": reset_form(),
        "factor": factor_form(),
        "sessions": sessions_form(),
        "invitation": InvitationForm(auto_id="invited-%s"),
    }
