"""Celery tasks that conduct the loop. Beat calls them often; each looks up what is due."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.db import connection
from django.utils import timezone

from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.archive_by_night import archive_by_night
from experiments.actions.check_version import run_check, waiting_checks
from experiments.actions.clear_theme_names import clear_theme_names
from experiments.actions.count_decisions import count_decisions
from experiments.actions.count_orders import count_orders, surfaces_with_orders
from experiments.actions.count_usage import count_usage
from experiments.actions.exclude_units import exclude_busy_units
from experiments.actions.export_rows import due_exports, export_rows
from experiments.actions.flag_feedback import flag_feedback
from experiments.actions.halt_unservable import halt_unservable
from experiments.actions.judge_answers import judge_answers, surfaces_to_judge
from experiments.actions.look_at_experiment import attend_experiment, is_due
from experiments.actions.maintain_partitions import maintain_partitions
from experiments.actions.measure_drift import measure_drift_if_due
from experiments.actions.measure_holdout import measure_holdout
from experiments.actions.name_themes import name_themes
from experiments.actions.optimise_prompt import queue_proposal_checks
from experiments.actions.read_themes import is_reading_due, read_themes, surfaces_with_texts
from experiments.actions.reconcile import reconcile
from experiments.actions.refresh_surface import refresh_surface, surfaces_with_dirty_units
from experiments.actions.retrain_if_due import is_retraining_due, retrain_if_due
from experiments.actions.reweight_bandit import reweight_bandit
from experiments.actions.sample_answers import experiments_to_sample, sample_answers
from experiments.actions.step_ramp import step_ramp
from experiments.actions.tend_holdbacks import close_if_over
from experiments.ingest.redact import redact
from experiments.ingest.spill import STREAM, drain
from experiments.models import DataExport, Experiment, VersionCheck
from experiments.programme.refits import surfaces_with_refits
from experiments.training_data.personal_data import lock_slates
from inference.actions.answer_shadows import answer_shadows
from inference.cache import cache_client
from inference.isolation import for_each
from inference.models import ModelVersion, Surface
from inference.sending import send, send_once
from inference.serving.changes import read_unserved

logger = logging.getLogger(__name__)
MAX_COUNT_SECONDS = 20.0  # of a surface's decisions at one time; a first count goes on at the next


@shared_task
def take_due_looks() -> None:
    """Queue a look at every running experiment whose policy asks for it.

    None while spilled facts wait for the database: a verdict must not be given without them.
    """
    if waiting := cache_client().xlen(STREAM):
        logger.warning("no look is taken: spilled commits waiting == %s", waiting)
        return
    for_each(Experiment.objects.running(), _send_if_due, work="due look")


def _send_if_due(experiment: Experiment) -> None:
    if is_due(experiment, timezone.now()):
        send_once(take_due_look.name, experiment.pk)


@shared_task
def take_due_look(experiment_id: int) -> None:
    """Look at one experiment, so that trouble with it is its own; asked twice, it looks once."""
    experiments = Experiment.objects.running().filter(pk=experiment_id)
    for_each(experiments, _attend, work="look", depends_on=("metrics", "variants"))


def _attend(experiment: Experiment) -> None:
    attend_experiment(experiment=experiment, now=timezone.now())


@shared_task
def halt_unservable_experiments() -> None:
    """End experiments with a variant that some web process cannot serve."""
    unserved = read_unserved(cache_client())
    if not unserved:
        return
    broken = Experiment.objects.running().filter(variants__model_version__in=unserved).distinct()

    def halt(experiment: Experiment) -> None:
        halt_unservable(experiment=experiment, unserved=unserved)

    for_each(broken, halt, work="halt")


@shared_task
def reconcile_rows() -> None:
    """Send again what rows say is due and whose message was lost."""
    if sent := reconcile():
        logger.warning("messages sent again: %d", sent)


@shared_task
def export_due_rows() -> None:
    """Write what is new to the exports of the schedule."""
    for_each(due_exports(), _export, work="export")


def _export(export: DataExport) -> None:
    export_rows(export=export)


@shared_task
def archive_old_months() -> None:
    """Move months that are old enough to the archive, at night, where that is set."""
    archive_by_night(timezone.now())


@shared_task
def step_ramps() -> None:
    """Take the steps of ramps that are due."""
    ramping = Experiment.objects.running().exclude(ramp=[])
    for_each(ramping, step_ramp, work="ramp")


@shared_task
def reweight_bandits() -> None:
    """Give new users of bandits the shares that are due."""
    running = Experiment.objects.running().filter(mode=Experiment.Mode.BANDIT)
    for_each(running, _reweight, work="bandit")


def _reweight(experiment: Experiment) -> None:
    reweight_bandit(experiment)


@shared_task
def count_policy_decisions() -> None:
    """Add to the totals of policies the decisions whose time for rewards is over."""
    for_each(Surface.objects.filter(kind=Surface.Kind.RANK), _count_decisions, work="policy")


def _count_decisions(surface: Surface) -> None:
    until = time.monotonic() + MAX_COUNT_SECONDS
    while count_decisions(surface) and time.monotonic() < until:
        pass


@shared_task
def close_holdbacks() -> None:
    """End holdbacks whose days are over, or whose versions no longer stand."""
    running = Experiment.objects.running().filter(purpose=Experiment.Purpose.HOLDBACK)
    for_each(running, _close_if_over, work="holdback")


def _close_if_over(holdback: Experiment) -> None:
    close_if_over(holdback)


@shared_task
def measure_holdouts() -> None:
    """Open and end the measurements of holdouts: a quarter begins, a metric or a share changes."""
    surfaces = Surface.objects.unarchived().filter(project__holdout__isnull=False)
    for_each(surfaces, _measure_holdout, work="holdout")


def _measure_holdout(surface: Surface) -> None:
    measure_holdout(surface=surface)


@shared_task
def refresh_dirty_units() -> None:
    """Recompute the candidates of units that did something, until none is left."""
    for_each(surfaces_with_dirty_units(), _refresh, work="refresh")


def _refresh(surface: Surface) -> None:
    refresh_surface(surface=surface)


@shared_task
def refresh_orders() -> None:
    """Count what is liked lately, for the versions of orders that serve."""
    for_each(surfaces_with_orders(), _count_orders, work="orders")


def _count_orders(surface: Surface) -> None:
    count_orders(surface=surface)


@shared_task
def retrain_due_surfaces() -> None:
    """Ask for the runs of the schedule, and to send on what passed its gate.

    One message per surface that has something due, as looks do: to ask web processes about a version
    takes seconds, to freeze a large log minutes, and no surface waits for another's.
    """
    waiting = (ModelVersion.Alias.CHALLENGER, ModelVersion.Alias.SHADOW)
    surfaces = Surface.objects.filter(versions__alias__in=waiting) | surfaces_with_refits()
    for_each(surfaces.unarchived().distinct(), _send_advance, work="due challenger")
    scheduled = Surface.objects.unarchived().exclude(retrain_algorithm="")
    for_each(scheduled, _send_retrain, work="due retrain")


def _send_advance(surface: Surface) -> None:
    send_once(advance_surface.name, surface.pk)


@shared_task
def advance_surface(surface_id: int) -> None:
    """Send on what passed its gate on one surface; asked twice, it starts one experiment."""
    for_each(Surface.objects.unarchived().filter(pk=surface_id), _advance, work="challenger")


def _send_retrain(surface: Surface) -> None:
    if is_retraining_due(surface, _pause_of(surface)):
        send_once(retrain_scheduled_surface.name, surface.pk)


@shared_task
def retrain_scheduled_surface(surface_id: int) -> None:
    """Queue the run that one surface's schedule asks for; asked twice, it queues one."""
    scheduled = Surface.objects.unarchived().filter(pk=surface_id).exclude(retrain_algorithm="")
    for_each(scheduled, _retrain, work="retrain")


def _advance(surface: Surface) -> None:
    advance_challenger(surface=surface)


def _retrain(surface: Surface) -> None:
    retrain_if_due(surface=surface, trigger="schedule", pause=_pause_of(surface))


def _pause_of(surface: Surface) -> timedelta:
    return timedelta(seconds=surface.retrain_every_seconds)


@shared_task
def exclude_busy_units_everywhere() -> None:
    """Leave out of analysis whoever sends more events than a person can."""
    exclude_busy_units()


@shared_task
def sample_answers_to_rate() -> None:
    """Draw answers of running experiments for people to rate."""
    for_each(experiments_to_sample(), _sample, work="answers to rate")


def _sample(experiment: Experiment) -> None:
    sample_answers(experiment=experiment)


@shared_task
def check_waiting_versions() -> None:
    """Check versions that generate on their data sets; of two workers one makes a check."""
    queue_proposal_checks()
    for_each(waiting_checks(), _check, work="check")


def _check(check: VersionCheck) -> None:
    run_check(check=check)


# Its name is of the room where it was: messages of the version before name it so.
@shared_task(name="inference.tasks.answer_waiting_shadows")
def answer_waiting_shadows() -> None:
    """Let versions in shadow answer what was passed on to them, until nothing waits."""
    surfaces = Surface.objects.filter(versions__alias=ModelVersion.Alias.SHADOW).distinct()
    for_each(surfaces, _answer_all, work="shadow")


def _answer_all(surface: Surface) -> None:
    while answer_shadows(
        surface=surface,
        client=cache_client(),
        artifacts=settings.BAKEOFF.artifacts,
        clean=lambda text: redact(text)[0],
        recorded=lock_slates,
    ):
        pass


@shared_task
def judge_running_answers() -> None:
    """Let the judges of surfaces with a running experiment score answers: one message per surface."""
    for surface in surfaces_to_judge():
        send_once(judge_surface_answers.name, surface.pk)


@shared_task
def judge_surface_answers(surface_id: int) -> None:
    """Judge answers of one surface for about a minute; asked twice, an answer is judged once."""
    for_each(Surface.objects.filter(pk=surface_id), _judge, work="judge")


def _judge(surface: Surface) -> None:
    judge_answers(surface=surface)


@shared_task
def measure_drift_everywhere() -> None:
    """Compare each surface's last days with the weeks before."""
    for_each(Surface.objects.unarchived(), _measure, work="drift")


def _measure(surface: Surface) -> None:
    measure_drift_if_due(surface=surface, now=timezone.now())


@shared_task
def flag_recent_feedback() -> None:
    """Flag feedback that looks copied or comes in a burst."""
    flag_feedback()


@shared_task
def read_new_themes() -> None:
    """Ask for the themes of surfaces whose texts are due: one message per surface."""
    clear_theme_names()
    for_each(surfaces_with_texts(), _send_themes, work="due themes")


def _send_themes(surface: Surface) -> None:
    if is_reading_due(surface=surface, now=timezone.now()):
        send_once(embed_surface_themes.name, surface.pk)


@shared_task
def embed_surface_themes(surface_id: int) -> None:
    """Read the themes of one surface; asked twice, the second finds nothing to embed."""
    for_each(Surface.objects.filter(pk=surface_id), _read_themes, work="themes")


def _read_themes(surface: Surface) -> None:
    read_themes(surface=surface)
    if surface.theme_namer or surface.themes.exclude(name="").exists():
        send_once(embed_theme_names.name, surface.pk)


@shared_task
def embed_theme_names(surface_id: int) -> None:
    """Let a model name a surface's themes for a while, and ask to be called again for the rest."""
    for_each(Surface.objects.filter(pk=surface_id), _name_themes, work="names of themes")


def _name_themes(surface: Surface) -> None:
    if name_themes(surface=surface):
        send(embed_theme_names.name, surface.pk)  # at the end of the queue: texts come in between


@shared_task
def count_waiting_usage() -> None:
    """Add up what commits noted as used, and warn of quotas that run out."""
    count_usage(timezone.now())


@shared_task
def keep_partitions() -> None:
    """Make the partitions of the months ahead, and drop rows older than each project keeps."""
    maintain_partitions(timezone.now())


@shared_task
def drain_spilled_rows() -> int:
    """Move rows that were spilled while PostgreSQL was away."""
    connection.ensure_connection()
    moved = 0
    while count := drain(cache_client(), connection.connection):
        moved += count
    return moved
