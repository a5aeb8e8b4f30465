"""Send a version that passed its gate on: by shadow and screening to its test, or to be first."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from bakeoff.accounts.actors import PLATFORM
from experiments.actions.check_interleaving import (
    CannotInterleaveError,
    check_shared_items,
    items_of,
)
from experiments.actions.define_experiment import CannotDefineError, define_experiment
from experiments.actions.draft_screening import draft_screening
from experiments.actions.draft_test import draft_test
from experiments.actions.edit_draft import discard_draft
from experiments.actions.promote_version import promote_version
from experiments.actions.refresh_champion import refresh_champion
from experiments.actions.shadow_version import shadow_version
from experiments.actions.start_experiment import CannotStartError, start_experiment
from experiments.actions.tidy_queue import tidy_queue
from experiments.models import Experiment, programme_of
from experiments.models.experiment import WrongStateError
from experiments.programme.queue import IN_SHADOW, preference_of, read_queue, shadowed_versions
from experiments.programme.start_conditions import find_obstacle
from inference.actions.move_alias import move_alias
from inference.actions.summarise_shadow import summarise_shadow
from inference.cache import cache_client
from inference.models import ModelVersion, Surface
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from experiments.models import Metric, Programme

logger = logging.getLogger(__name__)
MAX_ERROR_SHARE = 0.01  # share of its answers in shadow that a challenger may fail
# A draft of ours is started at once: one that is older is of a worker that was killed before it could.
STARTING = timedelta(seconds=30)


def advance_challenger(*, surface: Surface) -> Experiment | None:
    """Advance the first challenger of the queue; return its experiment if one was started."""
    if surface.shadow_first:
        _judge_shadow(surface)
    if refresh_champion(surface):  # before a newer version that did not pass supersedes it
        return None
    _discard_left_drafts(surface)
    tidy_queue(surface)
    following = _next_version(surface)
    if following is None:
        return None
    if not surface.versions.champions().exists():
        _promote_first(surface)
        return None
    if surface.shadow_first > following.shadow_answers.count():
        shadow_version(version=following, by=PLATFORM, reason=IN_SHADOW)
        return None
    experiment = _define_test(surface)
    return _start(experiment) if experiment is not None else None


def _promote_first(surface: Surface) -> None:
    """Make the first version of the queue champion; one that no gate could judge waits for a person."""
    for row in read_queue(surface):
        if not row.held and not row.version.why_not_judged:
            promote_version(
                version=row.version,
                by=PLATFORM,
                reason="first version of a surface without a champion",
            )
            return


def _discard_left_drafts(surface: Surface) -> None:
    """Let challengers wait again whose draft nobody will start: a version of a draft is in no queue."""
    drafts = Experiment.objects.tests().filter(state=Experiment.State.DRAFT, owner=PLATFORM)
    for left in drafts.filter(surface=surface, created_at__lt=Now() - STARTING):
        discard_draft(experiment=left, by=PLATFORM)


def _next_version(surface: Surface) -> ModelVersion | None:
    return next((row.version for row in read_queue(surface) if not row.held), None)


@dataclass(frozen=True, slots=True)
class _Next:
    """A test that nothing keeps from starting.

    Attributes:
        challenger: the first in the queue.
        champion: its control.
        primary: metric.
        interleave_first: challengers that are screened at once; 0 without screening.
        programme: of the surface.
    """

    challenger: ModelVersion
    champion: ModelVersion
    primary: Metric
    interleave_first: int
    programme: Programme = field(compare=False)


def _define_test(surface: Surface) -> Experiment | None:
    """Define the experiment of the first in the queue, unless something keeps it from starting."""
    following = _read_next(surface)
    if following is None:
        return None
    # Opening artifacts takes long, and people who change the surface wait for the lock.
    screened = _challengers_to_screen(surface, following)
    with transaction.atomic():
        # Two workers may come here at once, or one while a person pauses, holds or changes the
        # programme: the second sees what the first has written.
        locked = Surface.objects.select_for_update(no_key=True).get(pk=surface.pk)
        still = _read_next(locked)
        if still is None or still != following:
            return None  # the next tick starts from what has changed
        screening = _define_screening(still, screened)
        if screening is not None:
            return screening
        draft = draft_test(
            still.programme,
            challenger=still.challenger,
            champion=still.champion,
            primary=still.primary,
        )
        return define_experiment(draft)


def _read_next(surface: Surface) -> _Next | None:
    programme = programme_of(surface)
    primary, challenger = programme.primary_metric, _next_version(surface)
    champion = surface.versions.champions().first()
    if primary is None or challenger is None or champion is None:
        return None
    if find_obstacle(programme, timezone.now()) is not None:
        return None
    return _Next(challenger, champion, primary, programme.interleave_first, programme)


def _define_screening(following: _Next, screened: Sequence[ModelVersion]) -> Experiment | None:
    """Define the interleaved experiment that the next challenger passes first, if it must and can."""
    waiting = {row.version for row in read_queue(following.programme.surface) if not row.held}
    challengers = [version for version in screened if version in waiting]
    if following.challenger not in challengers:
        return None
    draft = draft_screening(
        following.programme,
        challengers=challengers,
        champion=following.champion,
        primary=following.primary,
    )
    try:
        return define_experiment(draft)
    except CannotDefineError as error:
        # A metric that counts no items: what cannot be screened is tested at once.
        logger.info("%s is not screened by interleaving: %s", following.challenger, error)
        return None


def _challengers_to_screen(surface: Surface, following: _Next) -> list[ModelVersion]:
    """Return the first waiting versions that can share lists with the champion; often none."""
    if not following.interleave_first or preference_of(following.challenger) is not None:
        return []
    return list(islice(_screenable(surface, following.champion), following.interleave_first))


def _screenable(surface: Surface, champion: ModelVersion) -> Iterator[ModelVersion]:
    """Yield waiting versions that can share lists with the champion, in the order of the queue.

    One that cannot keeps no other from being screened.
    """
    try:
        items = items_of(champion)
    except CannotInterleaveError as error:
        logger.info("Nothing is screened by interleaving: %s", error)
        return
    for row in read_queue(surface):
        version = row.version
        if row.held or row.preference is not None:
            continue
        if version.shadow_answers.count() < surface.shadow_first:
            continue
        try:
            check_shared_items(champion, items, version)
        except CannotInterleaveError as error:
            logger.info("%s is not screened by interleaving: %s", version, error)
        else:
            yield version


def _start(experiment: Experiment) -> Experiment:
    """Start it; where it cannot start, its challenger goes back to the queue and is tried again.

    Raises:
        CannotStartError: an artifact is damaged, or another experiment has started meanwhile.
        WrongStateError: a metric cannot be frozen.
    """
    try:
        return start_experiment(experiment=experiment, by=PLATFORM, automatic=True)
    except (CannotStartError, WrongStateError):
        discard_draft(experiment=experiment, by=PLATFORM)  # a version of a draft is not in the queue
        raise


def _judge_shadow(surface: Surface) -> None:
    """Take challengers out of shadow that have answered enough: on to the experiment, or rejected."""
    for version in shadowed_versions(surface):
        comparison = summarise_shadow(version)
        if comparison.answers < surface.shadow_first:
            continue
        fails = comparison.errors > MAX_ERROR_SHARE * comparison.answers
        # The alias and the record of its move stand or fall together.
        with transaction.atomic():
            move_alias(
                version=version,
                to=ModelVersion.Alias.REJECTED if fails else ModelVersion.Alias.CHALLENGER,
                by=PLATFORM,
                reason=f"in shadow: {comparison}"
                + (f"; errors must be at most {MAX_ERROR_SHARE:.0%} of the answers" if fails else ""),
            )
        announce_change(cache_client())
