"""Let the champion of a generate surface name a surface's themes, from quotes and typical words.

Guarantees: what is sent is redacted and may still be quoted, as pages quote it; the budgets of the
surface that generates hold; nothing waits on a lock meanwhile. Whatever fails leaves a theme without a
name, which is then known by its words, and ends the round: the next reading tries again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.conf import settings

from experiments.ingest.redact import redact
from experiments.models import Theme
from experiments.models.themes import MAX_NAME
from experiments.reports.theme_report import quotes_of
from inference.actions.read_prompt import NoPromptError, read_prompt
from inference.day_spending import DayPurse
from inference.judging.completion import NoCompletionError, ask_version
from inference.judging.purse import BudgetSpentError
from inference.judging.questions import variables_for
from inference.models import ModelVersion, Surface
from inference.serving.prompts import VariablesError
from inference.serving.templates import TemplateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.serving.prompts import Prompt

logger = logging.getLogger(__name__)
QUOTES, WORDS = "quotes", "words"  # variables of the prompt; it needs the first
MAX_NAMED = 20  # themes a reading, the most frequent: what lies behind is read by few
MAX_QUOTED = 300  # characters of a quote: what a theme is about stands at its beginning


def namer_of(surface: Surface) -> ModelVersion | None:
    """Return the champion that names a surface's themes; None where none does."""
    champions = ModelVersion.objects.champions().select_related("surface__project")
    return champions.filter(
        surface__project=surface.project_id,
        surface__key=surface.theme_namer,
        surface__kind=Surface.Kind.GENERATE,
    ).first()


def name_themes(*, surface: Surface, renamed: frozenset[int] = frozenset()) -> int:
    """Name the themes that the champion has not named yet; return how many it did.

    Args:
        surface: whose `theme_namer` names the surface that generates.
        renamed: keys of themes whose first words changed, so that a name may no longer fit.
    """
    version = namer_of(surface)
    themes = Theme.objects.filter(surface=surface)
    # Another version's name, or one for other words, is no name of this theme.
    kept = themes.none() if version is None else themes.filter(named_by=version).exclude(pk__in=renamed)
    themes.exclude(name="").exclude(pk__in=kept.values("pk")).update(name="", named_by=None)
    if version is None:
        return 0
    try:
        prompt = read_prompt(settings.BAKEOFF.artifacts, version)
        if QUOTES not in prompt.variables:
            raise NoPromptError(f"{version.label}: variables must have '{QUOTES}', to name a theme.")
        return _name(version, prompt, list(themes.current().filter(name="")[:MAX_NAMED]))
    except NoPromptError as error:
        logger.warning("themes of surface %s are not named: %s", surface.key, error)
        return 0


def _name(version: ModelVersion, prompt: Prompt, themes: Sequence[Theme]) -> int:
    purse = DayPurse.of(version.surface)
    quotes = quotes_of([theme.pk for theme in themes])
    named = 0
    for theme in themes:
        lines = "\n".join(f"- {quote[:MAX_QUOTED]}" for quote in quotes.get(theme.pk, ()))
        if not lines:
            continue  # all were taken back since the reading
        values = {QUOTES: lines, WORDS: ", ".join(theme.words)}
        try:
            completion = ask_version(
                prompt,
                project=version.surface.project.slug,
                variables=variables_for(prompt, values),
                purse=purse,
            )
        except (NoCompletionError, BudgetSpentError, VariablesError, TemplateError) as error:
            # Of one provider for all of them: the others would wait for the same.
            logger.warning("themes are not named by %s: %s", version.label, error)
            return named
        if name := read_name(completion.text):
            # A theme that another reading ended meanwhile keeps a name that nobody sees.
            Theme.objects.filter(pk=theme.pk).update(name=name, named_by=version)
            named += 1
    return named


def read_name(text: str) -> str:
    """Return a model's answer as a name: one short line, redacted; empty where it is none."""
    lines = [line.strip(" \t\"'*#.`“”。") for line in text.splitlines()]
    name = next((line for line in lines if line), "")
    is_plain = name.isprintable() and len(name) <= MAX_NAME
    return redact(name)[0] if is_plain else ""
