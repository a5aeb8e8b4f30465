"""Tell of themes: of one that is new, and of one that more users write about than before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.alerts.models import Alert
from bakeoff.alerts.outbox import record_alert, resolve_alerts
from bakeoff.alerts.pages import themes_path
from experiments.themes.growth import RECENT

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from experiments.models import Theme
    from inference.models import Surface

MIN_USERS = 8  # of the last days, who write about a new theme: fewer are no news yet
RECENT_SHARE = 0.5  # of a new theme's users: one with more old ones was there before, in other groups


def alert_on_themes(*, surface: Surface, themes: Sequence[Theme], new: Collection[int]) -> None:
    """Write the alerts of a reading, in its transaction.

    Args:
        surface: whose texts were read.
        themes: as they are stored now.
        new: keys of those that users did not write about before; empty at a surface's first reading.
    """
    for theme in themes:
        recent = int(theme.growth["recent_users"])
        if theme.pk in new and recent >= max(MIN_USERS, RECENT_SHARE * theme.units):
            # Never resolved: a theme is new once.
            _record(surface, theme, Alert.Event.THEME_NEW, _NEW)
        elif theme.growth["grows"]:
            _record(surface, theme, Alert.Event.THEME_GROWING, _GROWING)
        else:
            resolve_alerts(_key(Alert.Event.THEME_GROWING, theme), project_ids=[surface.project_id])


def resolve_gone(*, surface: Surface, themes: Sequence[Theme]) -> None:
    """Resolve what was told of themes that a reading has no more: they grow no longer."""
    for theme in themes:
        resolve_alerts(_key(Alert.Event.THEME_GROWING, theme), project_ids=[surface.project_id])


_NEW = (
    "Users of '{surface}' write about something new: {theme}. "
    "It was {count} users in the last {days} days."
)
_GROWING = (
    "More users of '{surface}' write about: {theme}. "
    "It was {count} users in the last {days} days: {recent} of those who wrote, {before} before."
)


def _record(surface: Surface, theme: Theme, event: Alert.Event, sentence: str) -> None:
    growth = theme.growth
    # By its words: a name made of quotes goes when a quote does, and an alert stays, and is sent.
    record_alert(
        surface.project_id,
        event=event,
        subject=surface.key,
        summary=sentence.format(
            surface=surface.key, theme=theme.title_of_words, days=RECENT.days,
            count=growth["recent_users"], recent=f"{growth['recent_share']:.0%}",
            before=f"{growth['before_share'] or 0:.0%}",
        ),
        detail={"surface": surface.key, "theme": theme.pk, "words": theme.words, **growth},
        path=themes_path(surface.project.slug, surface.key),
        dedupe_key=_key(event, theme),
    )  # fmt: skip


def _key(event: Alert.Event, theme: Theme) -> str:
    return f"{event}:{theme.pk}"
