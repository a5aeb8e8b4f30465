"""What a form says of a field in Bakeoff's words instead of Django's: once, for every form."""

from __future__ import annotations

from django.core.validators import validate_slug
from django.forms import Field
from django.utils.translation import gettext_lazy


def speak_plainly() -> None:
    """Say the rule that a key breaks, and what an empty field must be.

    Django keeps both messages on its own objects, from which every form and table reads them.
    """
    validate_slug.message = gettext_lazy("Use only letters, digits, - and _ (no spaces).")
    Field.default_error_messages["required"] = gettext_lazy("Fill this in; it must not be empty.")
