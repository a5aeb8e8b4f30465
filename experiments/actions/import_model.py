"""Import a model that was made elsewhere: stored, probed, and put through the surface's gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.actions.retrain_surface import retrain_surface
from inference.actions.store_upload import store_upload
from inference.serving.models import DEADLINE_MS, IMPORTED

if TYPE_CHECKING:
    from inference.actions.store_upload import ModelUpload
    from inference.models import Surface, TrainingRun


def import_model(
    *, surface: Surface, upload: ModelUpload, by: str, deadline_ms: int = DEADLINE_MS
) -> TrainingRun:
    """Store an upload and queue its run: the gate judges it, and its version goes the way of all.

    Args:
        surface: that labels texts or ranks items.
        upload: the file, and what it takes to serve it.
        by: who imports it.
        deadline_ms: how long an answer may take, where a worker gives it.

    Raises:
        RefusedError: the file is damaged, unsafe or of the wrong shape, or the surface takes none.
        CannotTrainError: there is nothing to judge it by, or an import is active already.
    """
    digest = store_upload(surface, upload)
    params = {"upload": digest, "source": dict(upload.source), "deadline_ms": deadline_ms}
    return retrain_surface(surface=surface, algorithm=IMPORTED, trigger=by, params=params)
