"""Apply a file: each difference is made by the action that pages and the API call, or nothing is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db import transaction

from bakeoff.config_file.apply_experiments import apply_experiments
from bakeoff.config_file.apply_project import (
    apply_groups,
    apply_holdout,
    apply_layers,
    apply_metrics,
    apply_project,
    apply_subscriptions,
)
from bakeoff.config_file.apply_surfaces import apply_programmes, apply_surfaces
from bakeoff.config_file.apply_surveys import apply_surveys
from bakeoff.config_file.diff import Change, compare
from bakeoff.config_file.export import export_config
from bakeoff.config_file.steps import Application
from experiments.models import Experiment, Holdout, Layer
from inference.cache import cache_client
from inference.models import Surface
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.accounts.models import Project
    from bakeoff.config_file.read_file import ConfigFile, Fault

# What others name comes before them. The project's row is the last in the order of locks.
STEPS = (
    apply_groups, apply_layers, apply_metrics, apply_surfaces, apply_programmes, apply_experiments,
    apply_surveys, apply_holdout, apply_project, apply_subscriptions,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a file changes.

    Attributes:
        changes: what differs afterwards.
        proposals: sentences about changes that wait for a second person.
        refusals: what breaks a rule, with its place in the file; nothing is changed then.
        warnings: what is applied, and a person should look at, with its place in the file.
    """

    changes: Sequence[Change]
    proposals: Sequence[str] = field(default_factory=list)
    refusals: Sequence[Fault] = field(default_factory=list)
    warnings: Sequence[Fault] = field(default_factory=list)


class ChangedMeanwhileError(Exception):
    """The platform is not what it was when the changes were shown."""


def apply_config(
    *,
    project: Project,
    file: ConfigFile,
    by: str,
    environment: Mapping[str, str],
    dry_run: bool = False,
    shown: Outcome | None = None,
) -> Outcome:
    """Bring a project to what a file states; what the file does not name stays as it is.

    Args:
        project: whose configuration.
        file: that was read.
        by: who applies it, for the audit trail.
        environment: where placeholders such as ${OPS_URL} are looked up.
        dry_run: do everything and take it back, so that each rule is tried.
        shown: what a person agreed to; another outcome is not applied.

    Raises:
        ChangedMeanwhileError: the outcome is not the one that was shown.
    """
    with transaction.atomic():
        _lock(project, file)
        before = export_config(project)
        application = Application(project, file, by, environment)
        for step in STEPS:
            step(application)
        outcome = Outcome(
            compare(before, export_config(project)),
            application.proposals,
            application.refusals,
            application.warnings,
        )
        if shown is not None and outcome.changes != shown.changes:
            raise ChangedMeanwhileError("the project was changed meanwhile: apply the file again")
        if dry_run or outcome.refusals:
            transaction.set_rollback(True)
        else:
            transaction.on_commit(lambda: announce_change(cache_client()))
    return outcome


def _lock(project: Project, file: ConfigFile) -> None:
    """Lock what steps may change, in the order of `lock_order`: two who apply follow each other."""
    list(Holdout.objects.select_for_update().filter(project=project))
    experiments = Experiment.objects.filter(project=project)
    named = experiments.filter(key__in=list(file.document.experiments)) | experiments.running()
    list(named.select_for_update(no_key=True).order_by("pk"))
    for model in (Surface, Layer):
        list(model.objects.select_for_update(no_key=True).filter(project=project).order_by("pk"))
