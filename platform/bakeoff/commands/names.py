"""Names that a shell completes: surfaces, metrics and experiments of the project."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from bakeoff.commands.project import find_project

if TYPE_CHECKING:
    from collections.abc import Callable

    from bakeoff.accounts.models import Project

MAX_NAMES = 200


def _complete(read: Callable[[Project], Any]) -> Callable[..., list[str]]:
    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        # Whoever presses Tab waits: without a database there are no names, and no error.
        os.environ.setdefault("PGCONNECT_TIMEOUT", "2")
        try:
            rows = read(find_project(ctx.params.get("slug")))
            names = rows.filter(key__startswith=incomplete).order_by("key")
            return list(names.values_list("key", flat=True)[:MAX_NAMES])
        except Exception:  # noqa: BLE001  a traceback in the line that is being typed helps nobody
            return []

    return complete


complete_surfaces = _complete(lambda project: project.surfaces)
complete_experiments = _complete(lambda project: project.experiments)
complete_metrics = _complete(lambda project: project.metrics)
metric_argument = click.argument("metric", shell_complete=complete_metrics)
surface_argument = click.argument("surface", shell_complete=complete_surfaces)
