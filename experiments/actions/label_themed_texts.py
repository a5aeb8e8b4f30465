"""Label what users of a surface wrote by the champion of a surface that classifies, as its sentiment.

Guarantees: a text is labelled once by a version; labels are columns of the rows of vectors, so they go
with their user. A model that fails stops no reading of themes: texts stay without a label until the
next one.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import connection, transaction

from experiments.actions.lock_order import lock_themed_texts
from experiments.models import ThemedText
from experiments.themes.text_classifier import is_endpoint, text_classifier_of
from inference.actions.label_texts import label_texts, open_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.themes.surface_texts import SurfaceText
    from inference.models import ModelVersion, Surface

logger = logging.getLogger(__name__)
CHUNK = 256  # texts a call of the model: what a worker that dies has to label again


def label_themed_texts(*, surface: Surface, texts: Sequence[SurfaceText]) -> int:
    """Label the texts that the champion has not labelled yet; return how many it did.

    Where the surface names no classifier, or none with a champion, or one whose champion became an
    endpoint, stored labels are removed.

    Args:
        surface: whose `text_classifier` names the surface that classifies.
        texts: with vectors.
    """
    version = text_classifier_of(surface)
    stored = ThemedText.objects.filter(surface=surface)
    if version is None:
        if is_endpoint(surface):
            logger.warning(
                "texts of surface %s are not labelled: the champion of %s is an endpoint",
                surface.key,
                surface.text_classifier,
            )
        labelled = stored.filter(labelled_by__isnull=False)
        if labelled.exists():
            with transaction.atomic():
                lock_themed_texts(labelled)
                labelled.update(label="", labelled_by=None)
        return 0
    done = set(stored.filter(labelled_by=version).values_list("feedback_id", flat=True))
    missing = [text for text in texts if text.pk not in done]
    count, opened = 0, None
    for start in range(0, len(missing), CHUNK):
        chunk = missing[start : start + CHUNK]
        try:
            if opened is None:  # once: opening hashes every file of the artifact
                opened = open_labels(version=version, artifacts=settings.BAKEOFF.artifacts)
            labels = label_texts(version=version, labels=opened, texts=[text.text for text in chunk])
        except Exception:  # a model may raise anything, and themes are read without labels too
            logger.exception("texts of surface %s are not labelled by %s", surface.key, version.label)
            return count
        _store_labels(surface, version, chunk, labels)
        count += len(chunk)
    return count


def _store_labels(
    surface: Surface, version: ModelVersion, texts: Sequence[SurfaceText], labels: Sequence[str]
) -> None:
    ids = [text.pk for text in texts]
    with transaction.atomic(), connection.cursor() as cursor:
        # Rows of users who were erased meanwhile are gone, and nothing is written of them.
        lock_themed_texts(ThemedText.objects.filter(surface=surface, feedback_id__in=ids))
        cursor.execute(
            """UPDATE experiments_themedtext AS own SET label = named.label, labelled_by_id = %s
            FROM unnest(%s::bigint[], %s::varchar[]) AS named (feedback, label)
            WHERE own.feedback_id = named.feedback""",
            [version.pk, ids, list(labels)],
        )
