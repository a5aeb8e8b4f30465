"""Secrets by file, as Kubernetes and container engines mount them: `NAME_FILE` is the file of `NAME`.

SecretFileError     the file cannot be read, or says nothing, or both are set; never shows a secret
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

SUFFIX = "_FILE"
SECRETS = (
    "DATABASE_URL",
    "DATABASE_REPLICA_URL",
    "PGPASSWORD",
    "REDIS_URL",
    "BROKER_URL",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "BAKEOFF_METRICS_TOKEN",
    "BAKEOFF_SMTP_PASSWORD",
    "BAKEOFF_OIDC_CLIENT_SECRET",
    # The object store's library reads them itself.
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)
PROVIDER_KEY = "BAKEOFF_PROVIDER_KEY_"


class SecretFileError(ValueError):
    """A file of a secret breaks its rule."""


def take_secret_files(env: MutableMapping[str, str]) -> None:
    """Put what files say in the place of their variables.

    Once, for this process and those that it starts: drivers such as libpq read the environment
    themselves.

    Raises:
        SecretFileError: a file cannot be read or is empty, or the variable is set, too.
    """
    for variable in [name for name in env if name.endswith(SUFFIX) and _is_secret(name)]:
        name, path = variable.removesuffix(SUFFIX), env[variable]
        if not path:
            continue
        if env.get(name):
            raise SecretFileError(f"{name} and {variable} are both set, must be one of them.")
        env[name] = _read(variable, path)
        del env[variable]


def _is_secret(variable: str) -> bool:
    name = variable.removesuffix(SUFFIX)
    return name in SECRETS or name.startswith(PROVIDER_KEY)


def _read(variable: str, path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SecretFileError(f"{variable} == '{path}', cannot be read: {reason}.") from error
    if not text:
        raise SecretFileError(f"{variable} == '{path}', must hold a secret: it is empty.")
    return text
