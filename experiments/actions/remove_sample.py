"""Remove the sample shop, with everything that belongs to it."""

from __future__ import annotations

import logging
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from django.apps import apps
from django.db import connection, models, transaction
from django.db.models.functions import Now

from bakeoff.accounts.models import Project
from bakeoff.accounts.refused import RefusedError
from experiments.models import Experiment, Holdout, Layer, Proposal
from inference.cache import cache_client
from inference.models import Surface, TrainingRun
from inference.serving.changes import announce_catalogue, announce_change, wait_until_read

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)
APPS = ("accounts", "alerts", "experiments", "inference")
# Hundreds of thousands of rows after some days: longer than a request may take.
DELETE_SECONDS = 600
LOCKED: tuple[tuple[type[models.Model], str], ...] = (
    (Holdout, "project"),
    (TrainingRun, "surface__project"),
    (Experiment, "project"),
    (Surface, "project"),
    (Layer, "project"),
    (Proposal, "project"),
    (Project, "pk"),
)


class NotASampleError(RefusedError):
    """A project that people made: only the sample shop may be removed as a whole."""


def remove_sample(*, project: Project, by: str) -> int:
    """Delete the project with all its rows, its audit trail among them; return how many rows.

    Raises:
        NotASampleError: it is no sample shop.
    """
    if not project.is_sample:
        raise NotASampleError(f"project == '{project}', must be the sample shop.")
    # First nobody may write any more: rows of slates and events name their project without a key to it.
    project.api_keys.usable().update(revoked_at=Now())
    announce_change(cache_client())
    wait_until_read(cache_client())
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = '{DELETE_SECONDS}s'")
        # In the order of lock_order.py: looks, trainings and moves of the champion end first. Who
        # removes the shop at the same time waits here, and finds nothing left.
        for model, path in LOCKED:
            rows_of_shop = model._base_manager.filter(**{path: project.pk})  # noqa: SLF001  as below
            list(rows_of_shop.order_by("pk").select_for_update(of=("self",), no_key=True))
        # Foreign keys are checked at the commit, so no order of tables is needed, but that rows which
        # are found by a way go before those on the way.
        rows = sum(_delete(model, path, project.pk) for model, path in _tables())
        transaction.on_commit(partial(announce_change, cache_client()))
        transaction.on_commit(partial(announce_catalogue, cache_client()))
    logger.info("%s removed the sample shop '%s': %d rows", by, project, rows)
    return rows


def _delete(model: type[models.Model], path: str, project_id: int) -> int:
    """Delete a table's rows of a project, in the database alone: nothing is read into memory."""
    rows = model._base_manager.filter(**{path: project_id})  # noqa: SLF001  as Django's own deletion does
    count: int = rows._raw_delete(connection.alias)  # noqa: SLF001  `delete` would obey PROTECT
    return count


def _tables() -> Iterator[tuple[type[models.Model], str]]:
    """Yield each table whose rows belong to a project, with the way there, the longest way first."""
    paths: dict[type[models.Model], str] = {Project: "pk"}
    queue: deque[type[models.Model]] = deque([Project])
    tables = [model for app in APPS for model in apps.get_app_config(app).get_models()]
    while queue:
        parent = queue.popleft()
        for model in tables:
            name = next((one.name for one in _foreign_keys(model) if one.related_model is parent), "")
            if name and model not in paths:
                paths[model] = name if parent is Project else f"{name}__{paths[parent]}"
                queue.append(model)
    del paths[Project]  # goes last, whatever the length of its way
    yield from sorted(paths.items(), key=lambda entry: entry[1].count("__"), reverse=True)
    yield Project, "pk"


def _foreign_keys(model: type[models.Model]) -> list[models.ForeignKey[models.Model]]:
    fields = model._meta.concrete_fields  # noqa: SLF001  Django documents it
    return [field for field in fields if isinstance(field, models.ForeignKey)]
