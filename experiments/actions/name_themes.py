"""Let the champion of a generate surface name a surface's themes, from quotes and typical words.

Guarantees: what is sent is redacted and may still be quoted, as pages quote it; a name is kept with the
keys of what it was made from, and goes with it; the budgets of the surface that generates hold; nothing
waits on a lock meanwhile. Whatever fails leaves a theme without a name, which is then known by its
words, and ends the round: after the next reading it is tried again.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from django.conf import settings

from experiments.actions.clear_theme_names import clear_theme_names
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
MAX_NAMED = 20  # themes of a surface, the most frequent: what lies behind is read by few
ROUND_SECONDS = 20.0  # after which no further theme is begun: others wait for the same worker
MAX_QUOTED = 300  # characters of a quote: what a theme is about stands at its beginning


def namer_of(surface: Surface) -> ModelVersion | None:
    """Return the champion that names a surface's themes; None where none does."""
    champions = ModelVersion.objects.champions().select_related("surface__project")
    return champions.filter(
        surface__project=surface.project_id,
        surface__key=surface.theme_namer,
        surface__kind=Surface.Kind.GENERATE,
    ).first()


def name_themes(*, surface: Surface, seconds: float = ROUND_SECONDS) -> int:
    """Name the themes that the champion has not named yet; return how many are left for another round.

    Args:
        surface: whose `theme_namer` names the surface that generates.
        seconds: after which no further theme is begun.
    """
    clear_theme_names()
    version = namer_of(surface)
    themes = Theme.objects.filter(surface=surface)
    # Another version's name is no name of this theme.
    kept = themes.none() if version is None else themes.filter(named_by=version)
    themes.exclude(name="").exclude(pk__in=kept.values("pk")).update(
        name="", named_by=None, named_from=[]
    )
    if version is None:
        return 0
    try:
        prompt = read_prompt(settings.BAKEOFF.artifacts, version)
        if QUOTES not in prompt.variables:
            raise NoPromptError(f"{version.label}: variables must have '{QUOTES}', to name a theme.")
        frequent = [theme for theme in themes.current()[:MAX_NAMED] if not theme.name]
        return _name(version, prompt, frequent, time.monotonic() + seconds)
    except NoPromptError as error:
        logger.warning("themes of surface %s are not named: %s", surface.key, error)
        return 0


def _name(version: ModelVersion, prompt: Prompt, themes: Sequence[Theme], until: float) -> int:
    purse = DayPurse.of(version.surface)
    quotes = quotes_of([theme.pk for theme in themes])
    named = 0
    for place, theme in enumerate(themes):
        own = quotes.get(theme.pk, ())
        if not own:
            continue  # all were taken back since the reading
        if time.monotonic() >= until and place:
            # Without a name among those asked for, another round would find no more.
            return len(themes) - place if named else 0
        lines = "\n".join(f"- {quote.text[:MAX_QUOTED]}" for quote in own)
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
            return 0
        if name := read_name(completion.text):
            # A theme that another reading ended meanwhile keeps a name that nobody sees.
            Theme.objects.filter(pk=theme.pk).update(
                name=name, named_by=version, named_from=[quote.feedback for quote in own]
            )
            named += 1
    return 0


def read_name(text: str) -> str:
    """Return a model's answer as a name: one short line, redacted; empty where it is none."""
    lines = [line.strip(" \t\"'*#.`“”。") for line in text.splitlines()]
    name = next((line for line in lines if line), "")
    name = redact(name[: 10 * MAX_NAME])[0]  # a mark may be longer than what it stands for
    return name if name.isprintable() and len(name) <= MAX_NAME else ""
