"""The names of all settings, and what is wrong with the environment without asking a server."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OURS = "BAKEOFF_"
PROVIDER_KEY = "BAKEOFF_PROVIDER_KEY_"
SUFFIX = "_FILE"
# docs/settings.md has their types, defaults and meanings; a test compares both.
SETTINGS = (
    "BAKEOFF_HOME", "DATABASE_URL", "DATABASE_REPLICA_URL", "BAKEOFF_POOLED", "REDIS_URL", "BROKER_URL",
    "BAKEOFF_ENCODER",
    "BAKEOFF_IMAGE_ENCODER", "BAKEOFF_TICK_SECONDS", "BAKEOFF_TORCH_THREADS",
    "BAKEOFF_TRAINING_PROCESSES",
    "BAKEOFF_CHECKPOINT_SECONDS", "BAKEOFF_DEVICE", "BAKEOFF_PUBLIC_URL", "BAKEOFF_TRUSTED_PROXIES",
    "BAKEOFF_ALLOWED_HOSTS", "BAKEOFF_KEY_GROUP", "BAKEOFF_KEY_RATE", "BAKEOFF_ADDRESS_RATE",
    "BAKEOFF_UNIT_RATE", "BAKEOFF_PROJECT_RATE",
    "BAKEOFF_OUTGOING_ALLOW", "BAKEOFF_PROVIDERS", "BAKEOFF_LOCAL_LLM", "BAKEOFF_LOCAL_MODELS",
    "BAKEOFF_SMTP_HOST", "BAKEOFF_SMTP_SECURITY", "BAKEOFF_SMTP_PORT", "BAKEOFF_SMTP_USER",
    "BAKEOFF_SMTP_PASSWORD", "BAKEOFF_SMTP_FROM", "BAKEOFF_MIN_GROUP_USERS", "BAKEOFF_METRICS_TOKEN",
    "BAKEOFF_SECOND_FACTOR", "BAKEOFF_ARTIFACTS", "BAKEOFF_ARCHIVE", "BAKEOFF_ARCHIVE_AFTER_MONTHS",
    "BAKEOFF_LOG_FORMAT", "BAKEOFF_LOG_LEVEL", "BAKEOFF_LOG_MEGABYTES", "BAKEOFF_DEBUG", "BAKEOFF_KEY",
    "BAKEOFF_OTLP_ENDPOINT", "BAKEOFF_OTLP_CONTENT", "BAKEOFF_OIDC_ISSUER",
    "BAKEOFF_OIDC_CLIENT_ID", "BAKEOFF_OIDC_CLIENT_SECRET", "BAKEOFF_OIDC_SCOPES",
    "BAKEOFF_OIDC_GROUPS_CLAIM", "BAKEOFF_OIDC_ROLES", "BAKEOFF_PROJECT", "BAKEOFF_WAREHOUSE",
    "SECRET_KEY", "SECRET_KEY_FALLBACKS",
)  # fmt: skip
# Of libraries, which read them themselves.
FOREIGN_SECRETS = (
    "PGPASSWORD", "OTEL_EXPORTER_OTLP_HEADERS", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN", "GOOGLE_SERVICE_ACCOUNT_KEY",
)  # fmt: skip
# What can hold a password, a token or a URL with either: no backup and no log may show them.
SECRETS = (
    "DATABASE_URL", "DATABASE_REPLICA_URL", "REDIS_URL", "BROKER_URL", "SECRET_KEY",
    "SECRET_KEY_FALLBACKS", "BAKEOFF_METRICS_TOKEN", "BAKEOFF_SMTP_PASSWORD",
    "BAKEOFF_OIDC_CLIENT_SECRET", "BAKEOFF_KEY", "BAKEOFF_WAREHOUSE", "BAKEOFF_OTLP_ENDPOINT",
    "BAKEOFF_SMTP_USER",  # some senders of e-mail give a token in its place
    *FOREIGN_SECRETS,
)  # fmt: skip
# What `NAME_FILE` may name the file of, beside keys of providers.
BY_FILE = (*SETTINGS, *FOREIGN_SECRETS)


def unknown_settings(names: Iterable[str]) -> Iterator[str]:
    """Yield a sentence per variable that begins as ours do and is none.

    Args:
        names: of the environment.
    """
    known = {*SETTINGS, *(f"{name}{SUFFIX}" for name in BY_FILE)}
    for name in sorted(names):
        if not name.startswith(OURS) or name in known or name.startswith(PROVIDER_KEY):
            continue
        near = get_close_matches(name, known, n=1, cutoff=0.8)
        hint = f" Did you mean {near[0]}?" if near else ""
        yield f"{name} is no setting of Bakeoff.{hint}"
