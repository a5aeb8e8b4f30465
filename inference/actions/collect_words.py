"""Store the words of a catalogue's items, by which a search finds what is spelt otherwise.

Guarantees: an item's words are stored in the transaction that writes it. What was written without them,
by a version before this one, has them once a worker has collected the words of all items: at the first
tick, and daily where the catalogue changed. Words that no item has any more go then. One worker at a
time collects those of a project, and a while only: the texts of new items wait behind it. How far it
came stands in the cache; where that is lost, the next begins anew.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from inference.actions.known_properties import remember_properties_of
from inference.cache import cache_client
from inference.lease import lease
from inference.models import CatalogueState, Item, ItemWord
from inference.models.words import MAX_WORD
from inference.sending import COLLECT_WORDS, send_once
from inference.serving.word_forms import MAX_LETTERS, MIN_LETTERS, fold, near_forms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from inference.lease import Lease

CHUNK = 2000  # items or words a statement
EVERY = timedelta(days=1)
SECONDS = 20.0  # of a message
LEASE_SECONDS = 120.0  # renewed with each chunk
CURSOR_SECONDS = 86400
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
    return list(_due().order_by("pk").values_list("pk", flat=True))


def _due() -> QuerySet[CatalogueState]:
    changed = Q(words_number__lt=F("number"), words_collected_at__lt=Now() - EVERY)
    return CatalogueState.objects.filter(changed | Q(words_number__isnull=True))


def collect_words(*, project_id: int, seconds: float = SECONDS) -> int:
    """Store the words of all items if they are due, and forget those that none has, for a while.

    Their properties are known from then on, too, if a version wrote them that did not remember them.
    What is left is sent as another message. Returns how many words were new; none while another worker
    collects them.
    """
    with lease(cache_client(), f"words:{project_id}", seconds=LEASE_SECONDS) as mine:
        # A message may have waited until another had done its work.
        if mine is None or not _due().filter(pk=project_id).exists():
            return 0
        work = _Collection(project_id, mine, time.monotonic() + seconds)
        is_done = work.run()
    if not is_done:
        send_once(COLLECT_WORDS, project_id)  # at the end of the queue, so that texts come in between
    return work.new


@dataclass(slots=True)
class _Collection:
    """A worker's part of collecting a project's words, on from where the one before it came.

    Attributes:
        project_id: whose.
        mine: the lease that it works under.
        ends: when, by the monotonic clock.
        new: words that it stored.
        number: of the change that the items are collected up to.
        item: the last item whose words are stored.
        word: the last word that was looked for.
    """

    project_id: int
    mine: Lease
    ends: float
    new: int = 0
    number: int = 0
    item: int = 0
    word: int = 0

    def run(self) -> bool:
        """Go on until all is done or the time is over; return whether all is done."""
        self.number = CatalogueState.objects.get(pk=self.project_id).number
        before = self.mine.client.get(self._key)
        if before is not None and json.loads(before)[0] <= self.number:  # not of a database restored
            self.number, self.item, self.word = json.loads(before)
        items = Item.objects.filter(project_id=self.project_id).order_by("pk")
        while keys := list(items.filter(pk__gt=self.item).values_list("pk", flat=True)[:CHUNK]):
            self._add(keys)
            self.item = keys[-1]
            if not self._may_go_on():
                return False
        words = ItemWord.objects.filter(project_id=self.project_id).order_by("pk")
        while keys := list(words.filter(pk__gt=self.word).values_list("pk", flat=True)[:CHUNK]):
            self._forget_unused(keys)
            self.word = keys[-1]
            if not self._may_go_on():
                return False
        states = CatalogueState.objects.filter(pk=self.project_id)
        states.update(words_number=self.number, words_collected_at=Now())
        self.mine.client.delete(self._key)
        return True

    @property
    def _key(self) -> str:
        return f"words-collected:{self.project_id}"

    def _may_go_on(self) -> bool:
        """Note how far it came; return whether there is time, and no other took over."""
        if not self.mine.renew():
            return False
        place = json.dumps([self.number, self.item, self.word])
        self.mine.client.set(self._key, place, ex=CURSOR_SECONDS)
        return time.monotonic() < self.ends

    def _add(self, keys: list[int]) -> None:
        with transaction.atomic():
            # Two that add the same words could lock each other out: writers of items wait here.
            CatalogueState.objects.select_for_update().get(pk=self.project_id)
            self.new += add_words(project_id=self.project_id, item_pks=keys)
            remember_properties_of(project_id=self.project_id, item_pks=keys)

    def _forget_unused(self, keys: list[int]) -> None:
        if not (unused := _unused(self.project_id, keys)):
            return
        with transaction.atomic():
            # Writers of items wait here: none brings a word back that is about to go.
            CatalogueState.objects.select_for_update().get(pk=self.project_id)
            ItemWord.objects.filter(pk__in=_unused(self.project_id, unused)).delete()


def _unused(project_id: int, keys: list[int]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(_UNUSED, [project_id, keys])
        return [key for (key,) in cursor.fetchall()]
