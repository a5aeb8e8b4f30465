"""What users of a surface write about: its themes, with quotes, as pages and programs show them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connection

from experiments.models import ThemedText, ThemeReading, current_themes
from experiments.reports.series_chart import SeriesPoint, draw_series
from experiments.sql import counts_now, free_text
from experiments.stats.preference import wilson
from experiments.themes.grouping import MIN_TEXTS
from experiments.themes.surface_texts import count_texts
from experiments.themes.text_classifier import text_classifier_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.models import Theme
    from inference.models import ModelVersion, Surface

QUOTES = 3
MAX_QUOTED = 600  # characters: a quote is read at a glance
DRAWN = 5  # themes in the picture: the most frequent
MIN_WEEK_USERS = 10  # who wrote in a week: of fewer a share says nothing, and would tell who
# A few more than are shown: what was taken back or hidden since the reading is left out.
_QUOTES = f"""
    SELECT member.theme_id, feedback.unit_id, feedback.id, {free_text("feedback")} FROM (
        SELECT one.theme_id, one.feedback_id, row_number() OVER (
            PARTITION BY one.theme_id ORDER BY one.closeness DESC, one.feedback_id) AS place
        FROM experiments_themedtext AS one WHERE one.theme_id = ANY(%s)
    ) AS member JOIN experiments_feedback AS feedback ON feedback.id = member.feedback_id
    WHERE member.place <= {8 * QUOTES} AND length({free_text("feedback")}) <= {MAX_QUOTED}
        AND {counts_now("feedback")}
    ORDER BY member.theme_id, member.place"""


# One text of a user, so that the shares of a theme add up to 1: the newest. Labels of one version only:
# another's may have other names, and stay until the next reading.
_LABELS = """
    SELECT theme_id, label, count(*), sum(count(*)) OVER (PARTITION BY theme_id)::int FROM (
        SELECT DISTINCT ON (theme_id, unit_id) theme_id, label FROM experiments_themedtext
        WHERE theme_id = ANY(%s) AND labelled_by_id = %s
        ORDER BY theme_id, unit_id, feedback_id DESC) AS own
    GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2"""


@dataclass(frozen=True, slots=True)
class LabelShare:
    """A label of the text classifier, such as a sentiment, among the users who wrote about a theme.

    Attributes:
        label: as the classifier names it.
        users: whose newest text of the theme it labels so.
        share: of the users whose texts of the theme are labelled.
        interval: of the share, 95 % (Wilson); it knows nothing of the classifier's own mistakes.
    """

    label: str
    users: int
    share: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class ThemeRow:
    """A theme.

    Attributes:
        theme: as it is stored.
        share: of the users who wrote, who wrote about it.
        quotes: the most typical texts of several users, redacted; fewer where these were deleted.
        labels: the most frequent first; none where the surface has no text classifier.
    """

    theme: Theme
    share: float
    quotes: Sequence[str]
    labels: Sequence[LabelShare] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        theme = self.theme
        return {
            "id": theme.pk,
            "title": theme.title,
            "named_by": theme.named_by_label,
            "words": theme.words,
            "texts": theme.texts,
            "units": theme.units,
            "share": self.share,
            "weeks": theme.weeks,
            "growth": theme.growth,
            "first_text_at": theme.first_text_at,
            "quotes": list(self.quotes),
            "labels": [asdict(one) for one in self.labels],
        }


@dataclass(frozen=True, slots=True)
class ThemeReport:
    """The themes of a surface.

    Attributes:
        surface: key.
        texts: how many there are to read; of the last reading where there was one.
        min_texts: how many a reading needs.
        themed: share of the texts that are in a theme.
        units_by_week: who wrote, by the Monday of the week.
        read_at: when; None before the first reading.
        rows: the most frequent first.
        classifier: surface and version that labelled the texts; empty where none does now.
    """

    surface: str
    texts: int
    min_texts: int
    themed: float
    units_by_week: dict[str, int]
    read_at: datetime | None
    rows: Sequence[ThemeRow]
    classifier: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "surface": self.surface,
            "texts": self.texts,
            "min_texts": self.min_texts,
            "themed": self.themed,
            "weeks": self.units_by_week,
            "read_at": self.read_at,
            "themes": [row.as_json() for row in self.rows],
        }

    def shares_by_week(self) -> list[tuple[str, list[float | None]]]:
        """Return each week with the share of each drawn theme; None where too few users wrote."""
        return [
            (monday, [_share(row.theme, monday, units) for row in self.rows[:DRAWN]])
            for monday, units in self.units_by_week.items()
        ]


def report_themes(surface: Surface) -> ThemeReport:
    """Return what users of a surface write about."""
    reading = ThemeReading.objects.filter(surface=surface).first()
    themes = current_themes(surface)
    quotes = quotes_of([theme.pk for theme in themes])
    version = text_classifier_of(surface)
    labels = _labels([theme.pk for theme in themes], version) if version is not None else {}
    writers = _writers(surface)
    return ThemeReport(
        surface=surface.key,
        texts=reading.texts if reading is not None and themes else count_texts(surface),
        min_texts=MIN_TEXTS,
        themed=reading.themed / reading.texts if reading is not None and reading.texts else 0.0,
        units_by_week=reading.weeks if reading is not None else {},
        read_at=reading.read_at if reading is not None else None,
        rows=[
            ThemeRow(
                theme,
                theme.units / max(writers, theme.units),
                [quote.text for quote in quotes.get(theme.pk, ())],
                labels.get(theme.pk, ()),
            )
            for theme in themes
        ],
        classifier=f"{version.surface.key} {version.label}" if version is not None else "",
    )


def draw_themes(report: ThemeReport, *, label: str) -> str:
    """Return a picture of the most frequent themes' weekly shares; empty below two weeks."""
    weeks = report.shares_by_week()
    series: dict[str, list[SeriesPoint]] = {}
    for n, row in enumerate(report.rows[:DRAWN]):
        points = [
            SeriesPoint(_start_of(monday), 100 * share, f"{row.theme.title}, {monday}: {share:.0%}")
            for monday, shares in weeks
            if (share := shares[n]) is not None
        ]
        if len(points) > 1:  # numbered: two themes may begin with one word
            series[f"{n + 1} {row.theme.words[0]:.14}"] = points
    if not series:
        return ""
    return draw_series(series, label=label, start=_start_of(weeks[0][0]), end=_start_of(weeks[-1][0]))


def _share(theme: Theme, monday: str, units: int) -> float | None:
    return theme.weeks.get(monday, 0) / units if units >= MIN_WEEK_USERS else None


def _start_of(monday: str) -> datetime:
    return datetime.combine(date.fromisoformat(monday), time(), UTC)


def _writers(surface: Surface) -> int:
    return ThemedText.objects.filter(surface=surface).values("unit_id").distinct().count()


def _labels(theme_ids: Sequence[int], version: ModelVersion) -> dict[int, list[LabelShare]]:
    """Return the shares of each theme's labels, of the texts that a version labelled."""
    labels: dict[int, list[LabelShare]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_LABELS, [list(theme_ids), version.pk])
        for theme, label, users, total in cursor.fetchall():
            share = users / total
            labels.setdefault(theme, []).append(LabelShare(label, users, share, wilson(share, total)))
    return labels


class Quote(NamedTuple):
    """What a user wrote, redacted, and the key of the feedback that holds it."""

    feedback: int
    text: str


def quotes_of(theme_ids: Sequence[int]) -> dict[int, list[Quote]]:
    """Return quotes of each theme, one of a user, read from the feedback as it is now."""
    quotes: dict[int, dict[str, Quote]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_QUOTES, [list(theme_ids)])
        for theme, unit, feedback, text in cursor.fetchall():
            quotes.setdefault(theme, {}).setdefault(unit, Quote(feedback, text))
    return {theme: list(texts.values())[:QUOTES] for theme, texts in quotes.items()}
