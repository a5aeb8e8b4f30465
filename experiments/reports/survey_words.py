"""What creating a survey refuses, and how pages say it."""

from __future__ import annotations

from django.utils.translation import gettext_noop

SURVEY_SENTENCES: tuple[tuple[str, str], ...] = (
    (
        "translations == '{language}', must be a language such as de, pt-BR or zh-Hans.",
        gettext_noop("“%(language)s” is not a language: write for example de, pt-BR or zh-Hans"),
    ),
    (
        "translations == {count}, must be at most {limit} languages.",
        gettext_noop("There are %(count)s translations: at most %(limit)s are allowed"),
    ),
    (
        "translations.{language}.question == {value}, must be a text of 1 to {limit} characters.",
        gettext_noop("“%(language)s” needs a question of 1 to %(limit)s characters"),
    ),
    (
        "translations.{language}.choices == {value}, must be {count} different texts of 1 to {limit} "
        "characters, one per choice.",
        gettext_noop(
            "“%(language)s” needs exactly %(count)s different choices of 1 to %(limit)s characters"
        ),
    ),
    (
        "variants == '{name}', must be EXPERIMENT/VARIANT of the surface.",
        gettext_noop("“%(name)s” is not a variant of this surface: write EXPERIMENT/VARIANT"),
    ),
    (
        "variants == {names}, must be at most {limit}, each once.",
        gettext_noop("Name at most %(limit)s variants, each once"),
    ),
    (
        "survey == '{key}' of kind 'text', must have a scale: its answers have no scores.",
        gettext_noop("Survey “%(key)s” is answered in users' own words: it has no scores to compare"),
    ),
    (
        "survey == '{key}' of kind '{kind}', must have a scale.",
        gettext_noop("Survey “%(key)s” has no scale, so no low scores"),
    ),
    (
        "condition has 'unit.', must read attributes of the request alone.",
        gettext_noop("A survey is targeted by attributes of the request, not by stored ones (unit.…)"),
    ),
)
