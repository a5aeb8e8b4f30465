"""Settings by file, as container engines mount secrets: `NAME_FILE` is the file of `NAME`.

SecretFileError     the file cannot be read, or says nothing, or both are set; never shows a secret
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.known_settings import BY_FILE, PROVIDER_KEY, SUFFIX

if TYPE_CHECKING:
    from collections.abc import MutableMapping


class SecretFileError(ValueError):
    """A file of a setting breaks its rule."""


def take_secret_files(env: MutableMapping[str, str]) -> None:
    """Put what files say in the place of their variables.

    Once, for this process and those that it starts: drivers such as libpq read the environment
    themselves.

    Raises:
        SecretFileError: a file cannot be read or is empty, or the variable is set, too.
    """
    for variable in [name for name in env if name.endswith(SUFFIX) and _is_ours(name)]:
        name, path = variable.removesuffix(SUFFIX), env[variable]
        if not path:
            continue
        if env.get(name):
            raise SecretFileError(f"{name} and {variable} are both set, must be one of them.")
        env[name] = _read(variable, path)
        del env[variable]


def _is_ours(variable: str) -> bool:
    name = variable.removesuffix(SUFFIX)
    return name in BY_FILE or name.startswith(PROVIDER_KEY)


def _read(variable: str, path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SecretFileError(f"{variable} == '{path}', cannot be read: {reason}.") from error
    if not text:
        raise SecretFileError(f"{variable} == '{path}', must hold a value: it is empty.")
    return text
