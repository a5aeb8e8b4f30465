"""The order in which actions lock rows: two that lock in different orders could wait for each other.

1. a project's holdout
2. a training run
3. experiments, in the order of their ids
4. their surface
5. a layer
6. a proposal
7. the project: the lock of its chain of decisions

Rows of people come in an order of their own: slates, then `Feedback`, then `ThemedText`, the last two
in the order of the feedback's keys. A reading of themes and an erasure lock both.

An action leaves out what it does not need, and goes back for nothing. Versions have no place here: who
moves an alias holds its surface, or the experiment that serves it. Locks of rows that others point to
are `no_key`: rows that only point to them, as exposures and audit entries do, do not wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.actions.layer_slots import layer_key
from experiments.models import Experiment, Layer, ThemedText
from inference.models import Surface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet


def lock_surface(surface_id: int) -> Sequence[Experiment]:
    """Lock a surface for a move of its champion, in the caller's transaction.

    A move ends tests and holdbacks, so they are locked before it, as their looks lock them; and it may
    open a holdback, whose layer is locked here, before decisions are written.

    Returns:
        Tests and holdbacks that run there. One that starts while this waits is not among them: ask
        again afterwards; none can start from then on.
    """
    running = Experiment.objects.running().exclude(purpose=Experiment.Purpose.HOLDOUT)
    locked = running.filter(surface=surface_id).select_for_update(no_key=True).order_by("pk")
    experiments = list(locked)
    surface = Surface.objects.select_for_update(no_key=True).get(pk=surface_id)
    layer = Layer.objects.filter(project=surface.project_id, key=layer_key(surface))
    list(layer.select_for_update(no_key=True))
    return experiments


def lock_themed_texts(rows: QuerySet[ThemedText]) -> None:
    """Lock vectors of texts, in the caller's transaction, before a statement writes or deletes many.

    A statement locks rows in the order of its plan: of two at once each could wait for the other.
    """
    list(rows.order_by("feedback_id").select_for_update().values_list("pk"))
