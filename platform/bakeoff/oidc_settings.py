"""Who signs people in: a provider of OpenID Connect, and what its groups may do here. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ISSUER, CLIENT, SECRET = "BAKEOFF_OIDC_ISSUER", "BAKEOFF_OIDC_CLIENT_ID", "BAKEOFF_OIDC_CLIENT_SECRET"
SCOPES, CLAIM, ROLES = "BAKEOFF_OIDC_SCOPES", "BAKEOFF_OIDC_GROUPS_CLAIM", "BAKEOFF_OIDC_ROLES"
# Each may what those before it may, as `Membership.Role` has them.
ROLE_NAMES = ("viewer", "analyst", "operator", "admin")
EVERY_PROJECT = "*"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class OidcSettingsError(ValueError):
    """A setting that breaks its rule, or the packages are missing; the message says which."""


@dataclass(frozen=True, slots=True)
class GroupRole:
    """What a group may do.

    Attributes:
        group: its name or id, as the provider sends it.
        project: slug of a project, or `*`.
        role: one of `ROLE_NAMES`.
    """

    group: str
    project: str
    role: str

    @classmethod
    def parse(cls, text: str) -> GroupRole:
        """Read `GROUP=PROJECT:ROLE`.

        Raises:
            OidcSettingsError: it has another form.
        """
        group, _, place = text.rpartition("=")
        project, _, role = place.rpartition(":")
        if not (group and project and role in ROLE_NAMES):
            raise OidcSettingsError(
                f"{ROLES} has '{text}', must be GROUP=PROJECT:ROLE with a role of {list(ROLE_NAMES)}."
            )
        return cls(group, project, role)


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """A provider of OpenID Connect.

    Attributes:
        issuer: its URL; `/.well-known/openid-configuration` below it describes the rest.
        client_id: of this platform there.
        client_secret: of this platform there.
        scopes: what is requested, separated by blanks.
        groups_claim: the claim that lists a person's groups.
        roles: what groups may do.
    """

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: str = "openid email profile"
    groups_claim: str = "groups"
    roles: tuple[GroupRole, ...] = ()

    @classmethod
    def of(cls, env: Mapping[str, str]) -> OidcSettings | None:
        """Read the variables; None without an issuer.

        Raises:
            OidcSettingsError: a variable breaks its rule.
        """
        issuer = env.get(ISSUER, "").rstrip("/")
        if not issuer:
            return None
        parts = urlsplit(issuer)
        safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
        if not (safe and parts.hostname):
            raise OidcSettingsError(
                f"{ISSUER} == '{issuer}', must begin with https:// (or be on this machine)."
            )
        for name in (CLIENT, SECRET):
            if not env.get(name):
                raise OidcSettingsError(f"{ISSUER} is set, so {name} must be set, too.")
        scopes = env.get(SCOPES) or "openid email profile"
        if "openid" not in scopes.split():
            raise OidcSettingsError(f"{SCOPES} == '{scopes}', must hold openid.")
        return cls(
            issuer=issuer,
            client_id=env[CLIENT],
            client_secret=env[SECRET],
            scopes=scopes,
            groups_claim=env.get(CLAIM) or "groups",
            roles=tuple(
                GroupRole.parse(one.strip()) for one in env.get(ROLES, "").split(",") if one.strip()
            ),
        )

    def check_installed(self) -> None:
        """Refuse to go on without the packages.

        Raises:
            OidcSettingsError: they are missing.
        """
        if find_spec("authlib") is None or find_spec("requests") is None:
            raise OidcSettingsError(
                f"{ISSUER} needs the packages of the extra: pip install 'bakeoff[oidc]'."
            )

    def roles_of(self, groups: Iterable[str]) -> list[GroupRole]:
        """Return what a person's groups may do, as the setting lists it."""
        mine = set(groups)
        return [one for one in self.roles if one.group in mine]
