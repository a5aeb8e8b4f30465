"""What the demonstration's chat shows of a surface: fields to fill in, or why a page cannot ask it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.translation import gettext as _

from inference.actions.read_prompt import NoPromptError, read_prompt
from inference.serving.generate_settings import GenerateSettings

if TYPE_CHECKING:
    from inference.models import Surface


@dataclass(frozen=True, slots=True)
class ChatField:
    """A variable of the champion's templates, as a field."""

    name: str
    max_length: int
    required: bool
    description: str


class ClosedChatError(Exception):
    """A page cannot ask the surface; the message says what is missing."""


def chat_fields(surface: Surface) -> list[ChatField]:
    """Return what a visitor fills in: the variables of the champion's templates.

    Raises:
        ClosedChatError: the surface takes no public keys, or has nothing that variables go into.
    """
    if not GenerateSettings.parse(surface.generate).public:
        raise ClosedChatError(
            _(
                "This surface takes no public keys. Edit it: set public to true, and budgets for unit "
                "and address."
            )
        )
    champion = surface.versions.champions().first()
    if champion is None:
        raise ClosedChatError(_("This surface has no version yet: bakeoff versions add SURFACE FILE."))
    try:
        prompt = read_prompt(settings.BAKEOFF.artifacts, champion)
    except NoPromptError as error:
        raise ClosedChatError(str(error)) from error
    fields = [
        ChatField(name, variable.max_length, variable.required, variable.description)
        for name, variable in prompt.variables.items()
    ]
    if not fields:
        raise ClosedChatError(
            _(
                "{version} has no variables, and a page sends nothing else. Add a version whose messages "
                "take one up, such as {example}."
            ).format(version=champion.label, example="{{ question }}")
        )
    return fields
