"""Sort what users of a surface wrote into themes, and tell of new and growing ones.

Guarantees: a text is embedded once; a theme keeps its row as long as its centre stays where it is; of
two workers that read one surface at once one stores; no vector of a user who was erased meanwhile is
stored. A reading that dies has changed nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from experiments.actions.alert_on_themes import alert_on_themes, resolve_gone
from experiments.actions.label_themed_texts import label_themed_texts
from experiments.actions.lock_order import lock_themed_texts
from experiments.models import Feedback, Theme, ThemedText, ThemeReading
from experiments.themes.grouping import MIN_TEXTS, group_texts
from experiments.themes.growth import Text, growth_of, users_by_week
from experiments.themes.identity import centred, match_centres, origin_of
from experiments.themes.naming import typical_words
from experiments.themes.surface_texts import SurfaceText, count_texts, has_texts, newest_texts
from experiments.themes.text_vectors import space_of, vectors_in
from inference.encoders.item_vectors import encoder_sha256, load_encoder
from inference.encoders.locate import NotFoundError
from inference.models import Surface

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from django.db.models import QuerySet
    from numpy.typing import NDArray

    from experiments.themes.grouping import Group
    from experiments.themes.text_vectors import Encoder

logger = logging.getLogger(__name__)

_READ = (
    "project", "surface", "words", "space", "centre", "texts", "units", "weeks", "growth",
    "first_text_at", "gone_at",
)  # fmt: skip
CHUNK = 256  # texts an insert: what a worker that dies has to embed again
# A theme that comes back after a quiet time is the same one.
REMEMBERED = timedelta(days=90)
# Due: a tenth more texts than at the last reading; and daily, so that what is new ages and vectors of
# texts that are gone go too.
MIN_NEW, NEW_SHARE, MAX_AGE = 20, 0.1, timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _NamedGroup:
    """A group of texts with all that a theme stores.

    Attributes:
        space: of its vectors.
        texts: the closest to the centre first.
        closeness: of each text, in the same order.
        centre: float32 (width,).
        origin: from which centres of its space are compared, float32 (width,).
        words: its name.
    """

    space: str
    texts: Sequence[SurfaceText]
    closeness: Sequence[float]
    centre: NDArray[np.float32]
    origin: NDArray[np.float32]
    words: list[str]


class _Space(NamedTuple):
    """Texts of one space: its name, the texts, their groups, and from where centres are compared."""

    name: str
    texts: list[SurfaceText]
    groups: list[Group]
    origin: NDArray[np.float32]


def surfaces_with_texts() -> QuerySet[Surface]:
    """Return the surfaces of projects in which somebody wrote, and those that were read before."""
    texts = Feedback.objects.written().filter(project=OuterRef("project"))
    return Surface.objects.filter(Exists(texts) | Q(theme_reading__isnull=False))


def is_reading_due(*, surface: Surface, now: datetime) -> bool:
    """Whether enough texts are new, or the last reading is a day old, whatever came since.

    Texts also go: by retention, by a review, or taken back. Their vectors go with the next reading.
    """
    reading = ThemeReading.objects.filter(surface=surface).first()
    if reading is None:
        return has_texts(surface, MIN_TEXTS)
    # A reading from a clock that ran ahead would hold the next one up until then.
    if not now - MAX_AGE <= reading.read_at <= now:
        return True
    new = count_texts(surface, after=reading.last_feedback)
    return new >= max(MIN_NEW, NEW_SHARE * reading.texts)


def read_themes(*, surface: Surface) -> int:
    """Read the newest texts of a surface, store its themes and alert; return how many themes it has."""
    earlier = ThemeReading.objects.filter(surface=surface).values_list("last_feedback", flat=True)
    before = earlier.first() or 0
    texts = newest_texts(surface)
    moved = _embed_new(surface, texts)
    label_themed_texts(surface=surface, texts=texts)
    named = _name(_in_groups(surface, texts, _known(surface)))
    with transaction.atomic():
        reading = _lock_reading(surface)
        if reading.last_feedback != before:
            return Theme.objects.filter(surface=surface).current().count()  # another worker was faster
        known = _known(surface)
        titles = {theme.pk: theme.title_of_words for theme in known}
        themes = _store(surface, texts, named, known)
        # A name for other words may no longer fit.
        Theme.objects.filter(
            pk__in=[one.pk for one in themes if titles.get(one.pk) != one.title_of_words]
        ).update(name="", named_by=None, named_from=[])
        _store_reading(reading, texts, named)
        alert_on_themes(surface=surface, themes=themes, new=_news(themes, known, moved))
    return len(themes)


def _news(themes: Sequence[Theme], known: Sequence[Theme], moved: Collection[str]) -> set[int]:
    """Return the keys of themes that users did not write about before.

    By another encoder, or without one, old texts have vectors of another space, in which no theme can
    go on: what is read there for the first time is no news.
    """
    spaces = {theme.space for theme in known}.difference(moved)
    return {theme.pk for theme in themes if theme.space in spaces} - {theme.pk for theme in known}


def _embed_new(surface: Surface, texts: Sequence[SurfaceText]) -> set[str]:
    """Store vectors of texts that have none in the space that is theirs now.

    Returns:
        Spaces into which texts came that had vectors of another one.
    """
    if not texts:
        return set()
    encoder, name = _encoder()
    known = dict(ThemedText.objects.filter(surface=surface).values_list("feedback_id", "space"))
    by_space: dict[str, list[SurfaceText]] = {}
    moved = set()
    for text in texts:
        space = space_of(text.text, encoder, name)
        if known.get(text.pk) != space:
            by_space.setdefault(space, []).append(text)
            if text.pk in known:
                moved.add(space)
    for space, missing in by_space.items():
        for start in range(0, len(missing), CHUNK):
            chunk = missing[start : start + CHUNK]
            vectors = vectors_in(space, [text.text for text in chunk], encoder)
            _store_vectors(surface, space, chunk, vectors)
    return moved


def _encoder() -> tuple[Encoder | None, str]:
    try:
        return load_encoder(), encoder_sha256()
    except (NotFoundError, OSError) as error:
        logger.warning("themes are read by characters: %s", error)
        return None, ""


def _store_vectors(
    surface: Surface, space: str, texts: Sequence[SurfaceText], vectors: NDArray[np.float32]
) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        # Held against deletion until the vectors are there: an erasure then deletes both. Feedback
        # first, in the order of `lock_order`.
        cursor.execute(
            "SELECT id FROM experiments_feedback WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE",
            [[text.pk for text in texts]],
        )
        existing_ids = {row[0] for row in cursor.fetchall()}
        rows = [
            ThemedText(
                feedback_id=text.pk, project_id=surface.project_id, surface=surface,
                unit_id=text.unit_id, space=space, vector=vector.astype("<f4").tobytes(),
            )
            for text, vector in zip(texts, vectors, strict=True)
            if text.pk in existing_ids
        ]  # fmt: skip
        # A text whose space has changed, as by another encoder, gets its vector anew.
        ThemedText.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["feedback"], update_fields=["space", "vector"]
        )


def _in_groups(surface: Surface, texts: Sequence[SurfaceText], known: Sequence[Theme]) -> list[_Space]:
    """Return the texts of each space with their groups."""
    stored = ThemedText.objects.filter(surface=surface)
    vectors = {row[0]: row[1:] for row in stored.values_list("feedback_id", "space", "vector")}
    by_space: dict[str, list[SurfaceText]] = {}
    for text in texts:
        if text.pk in vectors:
            by_space.setdefault(vectors[text.pk][0], []).append(text)
    grouped = []
    for space, rows in sorted(by_space.items()):
        matrix = np.stack([np.frombuffer(vectors[text.pk][1], dtype="<f4") for text in rows])
        earlier = [theme for theme in known if theme.space == space]
        origin = origin_of(_centres(earlier), matrix)
        groups = group_texts(matrix, [text.unit_id for text in rows], space=space, origin=origin)
        grouped.append(_Space(space, rows, groups, origin))
    return grouped


def _name(grouped: Sequence[_Space]) -> list[_NamedGroup]:
    """Name the groups of each space; one whose users share no word is none that could be named."""
    named = []
    for space, rows, groups, origin in grouped:
        inside = {int(row) for group in groups for row in group.rows}
        outside = [text for n, text in enumerate(rows) if n not in inside]
        members = [[rows[row] for row in group.rows] for group in groups]
        words = typical_words(
            [[(one.unit_id, one.text) for one in part] for part in [*members, outside]]
        )
        named += [
            _NamedGroup(space, part, group.closeness.tolist(), group.centre, origin, its_words)
            for group, part, its_words in zip(groups, members, words, strict=True)
            if its_words
        ]
    return named


def _lock_reading(surface: Surface) -> ThemeReading:
    ThemeReading.objects.get_or_create(surface=surface)
    # Two workers that read one surface at once store one after the other.
    return ThemeReading.objects.select_for_update(no_key=True).get(surface=surface)


def _store(
    surface: Surface,
    texts: Sequence[SurfaceText],
    named: Sequence[_NamedGroup],
    known: Sequence[Theme],
) -> list[Theme]:
    """Write the themes: those that go on, new ones, and those that are gone."""
    now = timezone.now()
    theme_texts = [[Text(one.unit_id, one.at) for one in group.texts] for group in named]
    growths = growth_of(theme_texts, [Text(one.unit_id, one.at) for one in texts], now)
    themes = []
    for group, own, growth, theme in zip(
        named, theme_texts, growths, _match(named, known), strict=True
    ):
        theme.project_id, theme.surface = surface.project_id, surface
        theme.words, theme.space = group.words, group.space
        theme.centre = group.centre.astype("<f4").tobytes()
        theme.texts, theme.units = len(own), len({one.unit_id for one in own})
        theme.weeks, theme.growth = users_by_week(own), growth.as_json()
        theme.first_text_at = min([one.at for one in own] + ([theme.first_text_at] if theme.pk else []))
        theme.gone_at = None
        # Not its name, which another process may have cleared or written meanwhile.
        theme.save(update_fields=_READ if theme.pk else None)
        themes.append(theme)
    current = Theme.objects.filter(surface=surface).current()
    gone = list(current.exclude(pk__in=[one.pk for one in themes]))
    current.filter(pk__in=[one.pk for one in gone]).update(gone_at=now)
    resolve_gone(surface=surface, themes=gone)
    _store_members(surface, texts, themes, named)
    return themes


def _known(surface: Surface) -> list[Theme]:
    themes = Theme.objects.filter(surface=surface)
    recent = themes.filter(gone_at__gte=timezone.now() - REMEMBERED)
    return [*themes.current(), *recent.order_by("-gone_at", "id")]


def _centres(themes: Sequence[Theme]) -> NDArray[np.float32]:
    return np.array([np.frombuffer(one.centre, dtype="<f4") for one in themes], dtype=np.float32)


def _match(named: Sequence[_NamedGroup], known: Sequence[Theme]) -> list[Theme]:
    """Return the theme of each group: the one that it continues, or a new one."""
    matched: list[Theme] = [Theme() for _ in named]
    for space in {group.space for group in named}:
        places = [n for n, group in enumerate(named) if group.space == space]
        before = [theme for theme in known if theme.space == space]
        if not before:
            continue
        origin = named[places[0]].origin
        old = centred(_centres(before), origin)
        new = centred(np.stack([named[place].centre for place in places]), origin)
        for place, row in zip(places, match_centres(new, old), strict=True):
            if row is not None:
                matched[place] = before[row]
    return matched


def _store_members(
    surface: Surface,
    texts: Sequence[SurfaceText],
    themes: Sequence[Theme],
    named: Sequence[_NamedGroup],
) -> None:
    """Say of each text which theme it is in; forget those that were not read."""
    own = ThemedText.objects.filter(surface=surface)
    lock_themed_texts(own)
    own.exclude(feedback_id__in=[text.pk for text in texts]).delete()
    own.update(theme=None, closeness=0.0)
    members = [
        (text.pk, theme.pk, closeness)
        for theme, group in zip(themes, named, strict=True)
        for text, closeness in zip(group.texts, group.closeness, strict=True)
    ]
    feedback, theme_ids, closeness = zip(*members, strict=True) if members else ((), (), ())
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE experiments_themedtext AS own
            SET theme_id = member.theme, closeness = member.closeness
            FROM unnest(%s::bigint[], %s::bigint[], %s::float8[]) AS member (feedback, theme, closeness)
            WHERE own.feedback_id = member.feedback""",
            [list(feedback), list(theme_ids), list(closeness)],
        )


def _store_reading(
    reading: ThemeReading, texts: Sequence[SurfaceText], named: Sequence[_NamedGroup]
) -> None:
    reading.texts, reading.themed = len(texts), sum(len(group.texts) for group in named)
    reading.last_feedback = max((text.pk for text in texts), default=0)
    reading.weeks = users_by_week([Text(text.unit_id, text.at) for text in texts])
    reading.read_at = timezone.now()
    reading.save()
