"""Send again what rows say is due and no message says any more.

A broker may lose what it holds, and a worker what it took; neither is asked. What is due stands in
rows: training runs that wait or were abandoned, items without a vector, surfaces whose units were not
marked for what serves them; and in the cache, which finds out what it lost: projects whose new items
are to be placed. (Looks, ramps, refreshes, shadows and spilled rows need no message of
their own: beat asks for them again and again.) Claims make a message that comes twice harmless.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import DurationField, F, Q, Value
from django.db.models.functions import Greatest, Least, Now

from experiments.actions.mark_units import mark_all_units, surfaces_to_mark
from inference.actions.collect_words import send_due_words
from inference.actions.due_places import send_due_places
from inference.encoders.image_vectors import any_image_is_due
from inference.isolation import for_each
from inference.models import Item, TrainingRun
from inference.queues import read_queues
from inference.sending import EMBED_IMAGES, EMBED_ITEMS, TRAIN_IN_TURN, send

if TYPE_CHECKING:
    from inference.models import Surface

# A message that was sent a moment ago is on its way.
GRACE = timedelta(seconds=10)
# How long items that were sent again are left alone, at least and at most: as long again as they have
# waited. An encoder that cannot be had fails them all, again and again.
EMBED_PAUSE, MAX_EMBED_PAUSE = timedelta(seconds=30), timedelta(hours=1)
EMBED_CHUNK = 500
# A turn sends 10,000 items at most: the queue stays short enough for new items to come soon.
MAX_EMBED_CHUNKS = 20


def reconcile() -> int:
    """Send again what is due; return how many messages were sent.

    Raises:
        BrokerError: the broker does not answer; there is nothing to send to.
    """
    for_each(surfaces_to_mark(), _mark, work="mark")
    waiting = {queue.name: queue.waiting for queue in read_queues()}
    sent = 0
    # Where messages wait, a worker will come to them; only an empty queue can have lost some.
    if not waiting["train"]:
        sent += _send_runs()
    if not waiting["embed"]:
        sent += _send_items() + send_due_places() + send_due_words()
        sent += any_image_is_due() and send(EMBED_IMAGES)
    return sent


def _mark(surface: Surface) -> None:
    mark_all_units(surface=surface)


def _send_runs() -> int:
    queued = Q(state=TrainingRun.State.QUEUED, queued_at__lt=Now() - GRACE)
    due = TrainingRun.objects.filter(queued) | TrainingRun.objects.abandoned()
    # Each message is a turn; which run takes it is decided when a worker is free.
    return sum(send(TRAIN_IN_TURN, pk) for pk in due.order_by("pk").values_list("pk", flat=True))


def _send_items() -> int:
    due = Item.objects.filter(vector_due_at__lt=Now() - GRACE).order_by("vector_due_at", "pk")
    ids = list(due.values_list("pk", flat=True)[: EMBED_CHUNK * MAX_EMBED_CHUNKS])
    chunks = [ids[start : start + EMBED_CHUNK] for start in range(0, len(ids), EMBED_CHUNK)]
    waited = Greatest(Now() - F("updated_at"), Value(EMBED_PAUSE), output_field=DurationField())
    pause = Least(waited, Value(MAX_EMBED_PAUSE), output_field=DurationField())
    for chunk in chunks:
        Item.objects.filter(pk__in=chunk).update(vector_due_at=Now() + pause)
    return sum(send(EMBED_ITEMS, chunk) for chunk in chunks)
