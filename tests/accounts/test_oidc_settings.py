"""What the environment says of an identity provider: each rule in a sentence."""

from __future__ import annotations

import pytest

from bakeoff import oidc_settings
from bakeoff.accounts.models import Membership
from bakeoff.oidc_settings import GroupRole, OidcSettings, OidcSettingsError

GOOD = {
    "BAKEOFF_OIDC_ISSUER": "https://id.example/realms/shop/",
    "BAKEOFF_OIDC_CLIENT_ID": "bakeoff",
    "BAKEOFF_OIDC_CLIENT_SECRET": "hidden",
}


def test_groups_become_roles():
    roles = " data=shop:analyst, cn=ops=*:admin,"
    settings = OidcSettings.of(GOOD | {"BAKEOFF_OIDC_ROLES": roles})
    assert settings.issuer == "https://id.example/realms/shop"
    assert settings.roles == (
        GroupRole("data", "shop", "analyst"),
        GroupRole("cn=ops", "*", "admin"),
    )
    assert settings.roles_of(["cn=ops", "none"]) == [settings.roles[1]]
    assert "hidden" not in repr(settings)
    assert OidcSettings.of({}) is None


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"BAKEOFF_OIDC_ISSUER": "http://id.example"}, "must begin with https://"),
        ({"BAKEOFF_OIDC_ISSUER": "https://"}, "must begin with https://"),
        ({"BAKEOFF_OIDC_CLIENT_ID": ""}, "BAKEOFF_OIDC_CLIENT_ID must be set, too."),
        ({"BAKEOFF_OIDC_CLIENT_SECRET": ""}, "BAKEOFF_OIDC_CLIENT_SECRET must be set, too."),
        ({"BAKEOFF_OIDC_SCOPES": "email"}, "must hold openid"),
        ({"BAKEOFF_OIDC_ROLES": "data=shop:king"}, "has 'data=shop:king', must be GROUP=PROJECT:ROLE"),
        ({"BAKEOFF_OIDC_ROLES": "cn=ops,dc=shop=*:admin"}, "has 'cn=ops', must be GROUP=PROJECT:ROLE"),
        ({"BAKEOFF_OIDC_ROLES": "data"}, "must be GROUP=PROJECT:ROLE"),
    ],
)
def test_what_breaks_a_rule_is_named(variables, sentence):
    with pytest.raises(OidcSettingsError) as refusal:
        OidcSettings.of(GOOD | variables)
    assert sentence in str(refusal.value)
    assert "hidden" not in str(refusal.value)


def test_without_the_packages_it_says_which(monkeypatch):
    monkeypatch.setattr(oidc_settings, "find_spec", lambda _name: None)
    with pytest.raises(OidcSettingsError, match=r"pip install 'bakeoff\[oidc\]'"):
        OidcSettings.of(GOOD).check_installed()


def test_the_roles_are_those_of_members():
    assert list(oidc_settings.ROLE_NAMES) == Membership.Role.values
