"""Give a surface a version that generates: a prompt for one of the operator's models."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from experiments.actions.check_version import check_by_gate
from experiments.actions.lock_order import lock_surface
from experiments.actions.promote_version import confirm_champion, make_champion
from inference.actions.register_prompt import register_prompt
from inference.models import ModelVersion, Surface
from inference.providers import read_providers
from inference.serving.prompts import PROMPT, Prompt, PromptError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class CannotAddPromptError(RefusedError):
    """A prompt that breaks a rule, or a surface that takes none; the message says which.

    Attributes:
        code: for the API.
    """

    def __init__(self, message: str, *, field: str, code: str = "invalid_prompt") -> None:
        """Name the rule, the field that breaks it, and the code for programs."""
        super().__init__(message, field=field)
        self.code = code


def add_prompt(
    *, surface: Surface, data: Mapping[str, Any], by: str, algorithm: str = PROMPT
) -> ModelVersion:
    """Register a prompt as a candidate; where the surface has no champion, it is the champion.

    Args:
        surface: of kind generate.
        data: the prompt as JSON.
        by: who adds it.
        algorithm: the version's name before its number.

    Raises:
        CannotAddPromptError: the prompt breaks a rule or names a provider that the project may not use,
            or the surface is of another kind.
    """
    if surface.kind != Surface.Kind.GENERATE:
        raise CannotAddPromptError(
            f"kind == '{surface.kind}', must be '{Surface.Kind.GENERATE}' for a prompt.", field="kind"
        )
    if not _SLUG.fullmatch(algorithm):
        raise CannotAddPromptError(
            f"name == '{algorithm:.80}', must be lower-case letters, digits, '-' and '_'.", field="name"
        )
    prompt = _read(surface, data)
    with transaction.atomic():
        lock_surface(surface.pk)
        version = register_prompt(surface_id=surface.pk, prompt=prompt, algorithm=algorithm, by=by)
        if surface.versions.champions().exists():
            record_audit(
                surface.project_id,
                actor=by,
                action="add prompt",
                subject=f"{version.label} for {surface}",
                detail={"provider": prompt.provider, "model": prompt.model},
            )
            check_by_gate(version, by=by)
            return version
        # No web process is asked first: of a prompt there is nothing that could not be loaded. The
        # decision has the audit entry.
        decision = make_champion(
            version=version, by=by, reason="the surface's first version", answered={}
        )
        transaction.on_commit(lambda: confirm_champion(decision))
        version.refresh_from_db()
    return version


def _read(surface: Surface, data: Mapping[str, Any]) -> Prompt:
    try:
        prompt = Prompt.parse(data)
    except PromptError as error:
        raise CannotAddPromptError(str(error), field=error.field) from error
    providers = read_providers()
    usable = sorted(name for name, one in providers.items() if one.serves(surface.project.slug))
    for one in prompt.chain:
        if one.provider not in usable:
            raise CannotAddPromptError(
                f"provider == '{one.provider}', must be one of {usable}: the operator declares them "
                "(BAKEOFF_PROVIDERS).",
                field="provider",
                code="unknown_provider",
            )
    return prompt
