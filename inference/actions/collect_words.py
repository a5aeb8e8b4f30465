"""Store the words of a catalogue's items, by which a search finds what is spelt otherwise.

Guarantees: an item's words are stored in the transaction that writes it. What was written without them,
by a version before this one, has them once a worker has collected the words of all items: at the first
tick, and daily where the catalogue changed. Words that no item has any more go then.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from inference.actions.known_properties import remember_properties_of
from inference.models import CatalogueState, Item, ItemWord
from inference.models.words import MAX_WORD
from inference.sending import COLLECT_WORDS, send_once
from inference.serving.word_forms import MAX_LETTERS, MIN_LETTERS, fold, near_forms

if TYPE_CHECKING:
    from collections.abc import Sequence

CHUNK = 2000  # items or words a statement
EVERY = timedelta(days=1)
# Plain letters of a length that errors are looked for in; and what folding may change, which no
# Chinese, Japanese or Korean word is.
_NEW = f"""
    SELECT DISTINCT lexeme FROM inference_item AS item, unnest(item.document)
    WHERE item.id = ANY(%s) AND length(lexeme) <= {MAX_WORD}
        AND (lexeme ~ '^[A-Za-z]{{{MIN_LETTERS},{MAX_LETTERS}}}$'
            OR lexeme ~ '[^ -~]' AND lexeme !~ '[\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff]')
        AND NOT EXISTS (
            SELECT FROM inference_itemword AS known
            WHERE known.project_id = %s AND known.word = lexeme)"""  # noqa: S608  our constants
# Read from the index over all words of items, project by project.
_UNUSED = """
    SELECT id FROM inference_itemword AS known WHERE project_id = %s AND id = ANY(%s) AND NOT EXISTS (
        SELECT FROM inference_item AS item WHERE item.project_id = known.project_id
            AND item.document @@ array_to_tsvector(ARRAY[known.word::text])::text::tsquery)"""


def add_words(*, project_id: int, item_pks: Sequence[int]) -> int:
    """Store the words of some items; return how many were new."""
    with connection.cursor() as cursor:
        cursor.execute(_NEW, [list(item_pks), project_id])
        words = [word for (word,) in cursor.fetchall()]
    rows = [
        ItemWord(project_id=project_id, word=word, folded=folded, near=near_forms(folded))
        for word in words
        if len(folded := fold(word)) <= 4 * MAX_WORD
    ]
    ItemWord.objects.bulk_create(rows, batch_size=CHUNK, ignore_conflicts=True)
    return len(rows)


def send_due_words() -> int:
    """Ask a worker for the words of catalogues that are due; return how many messages were sent."""
    return sum(send_once(COLLECT_WORDS, project_id) for project_id in projects_with_due_words())


def projects_with_due_words() -> list[int]:
    """Return the projects the words of whose items are to be collected, by their ids."""
    changed = Q(words_number__lt=F("number"), words_collected_at__lt=Now() - EVERY)
    due = CatalogueState.objects.filter(changed | Q(words_number__isnull=True))
    return list(due.order_by("pk").values_list("pk", flat=True))


def collect_words(*, project_id: int) -> int:
    """Store the words of all items, and forget those that none has; return how many were new.

    Their properties are known from then on, too, if a version wrote them that did not remember them.
    """
    states = CatalogueState.objects.filter(pk=project_id)
    number = states.values_list("number", flat=True).first()
    if number is None:
        return 0
    new, last = 0, 0
    items = Item.objects.filter(project_id=project_id).order_by("pk")
    while keys := list(items.filter(pk__gt=last).values_list("pk", flat=True)[:CHUNK]):
        with transaction.atomic():
            # Two that add the same words could lock each other out: writers of items wait here.
            states.select_for_update().get()
            new += add_words(project_id=project_id, item_pks=keys)
            remember_properties_of(project_id=project_id, item_pks=keys)
        last = keys[-1]
    _forget_unused(project_id)
    states.update(words_number=number, words_collected_at=Now())
    return new


def _forget_unused(project_id: int) -> None:
    last = 0
    words = ItemWord.objects.filter(project_id=project_id).order_by("pk")
    while keys := list(words.filter(pk__gt=last).values_list("pk", flat=True)[:CHUNK]):
        last = keys[-1]
        if not (unused := _unused(project_id, keys)):
            continue
        with transaction.atomic():
            # Writers of items wait here: none brings a word back that is about to go.
            CatalogueState.objects.select_for_update().get(pk=project_id)
            ItemWord.objects.filter(pk__in=_unused(project_id, unused)).delete()


def _unused(project_id: int, keys: list[int]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_UNUSED, [project_id, keys])
        return [key for (key,) in cursor.fetchall()]
