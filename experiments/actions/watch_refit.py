"""Watch a refit that became champion without a test, and undo it where it answers worse than before.

No test compares it with anybody, so its answers are held against how its predecessor answered, which
was frozen in the decision that promoted it: errors, other lists than its own, and slow answers, by the
first answer of each user.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.actors import PLATFORM
from bakeoff.alerts.models import Alert
from bakeoff.alerts.outbox import record_alert
from bakeoff.alerts.pages import surface_path
from experiments.actions.close_holdback import close_overtaken
from experiments.actions.lock_order import lock_surface
from experiments.actions.promote_version import confirm_champion
from experiments.actions.record_decision import DecisionDraft, record_decision
from experiments.looks.answer_shares import answers_since
from experiments.models import Decision, programme_of
from experiments.programme.harm import MARGIN
from experiments.programme.serving_metrics import SHARE_FLOOR
from experiments.stats.breaker import trips
from experiments.stats.one_sample_breaker import highest_share, log_e_share
from inference.actions.move_alias import move_alias
from inference.actions.move_champion import move_champion
from inference.models import ModelVersion, Surface

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.db.models import QuerySet

WATCHED_FOR = timedelta(days=1)  # what a refit breaks it breaks with its first answers
FACTS = {"errors": "errors", "fallbacks": "answers of another list", "slow": "slow answers"}


@dataclass(frozen=True, slots=True)
class ShareTest:
    """One fact's evidence.

    Attributes:
        fact: a name of `FACTS`.
        events: users whose first answer had it.
        users: all of them.
        bound: the highest share that is accepted.
        log_e: log of the evidence that it is above.
    """

    fact: str
    events: int
    users: int
    bound: float
    log_e: float


def watched_refits() -> QuerySet[Decision]:
    """Return the promotions of refits that serve since a moment ago."""
    return Decision.objects.filter(
        action=Decision.Action.PROMOTE,
        created_at__gte=timezone.now() - WATCHED_FOR,
        evidence__has_key="refit",
        promoted__alias=ModelVersion.Alias.CHAMPION,
        replaced__isnull=False,
    ).select_related("surface__project", "promoted__surface", "replaced")


def watch_refit(*, decision: Decision, unserved: Mapping[int, Sequence[str]]) -> Decision | None:
    """Judge a refit's answers since its promotion; undo it where they are worse than before.

    Args:
        decision: that promoted it.
        unserved: versions that some web process cannot load, by id.

    Returns:
        The decision that undid it, or None.
    """
    alpha = programme_of(decision.surface).breaker_alpha
    if not alpha:
        return None
    if processes := unserved.get(decision.promoted_id or 0):
        return _undo(decision, f"it cannot be loaded by web process {processes[0]}", [])
    tests = _tests(decision)
    worst = max(tests, key=lambda test: test.log_e)
    if not trips(worst.log_e, tests=len(tests), alpha=alpha):
        return None
    reason = (
        f"{FACTS[worst.fact]} for {worst.events} of its first {worst.users} users, at most "
        f"{worst.bound:.1%} are accepted"
    )
    return _undo(decision, reason, tests)


def _tests(decision: Decision) -> list[ShareTest]:
    assert decision.promoted is not None  # noqa: S101  by `watched_refits`
    before: dict[str, Any] = decision.evidence["before"]
    slow_ms = before["slow_ms"]
    since = answers_since(decision.promoted, decision.created_at, slow_ms=slow_ms)
    tests = []
    for fact in FACTS:
        bound = highest_share(before[fact], before["users"], margin=MARGIN, floor=SHARE_FLOOR)
        events = getattr(since, fact)
        evidence = log_e_share(events, since.users, bound=bound)
        tests.append(ShareTest(fact, events, since.users, bound, evidence))
    return tests


def _undo(decision: Decision, reason: str, tests: Sequence[ShareTest]) -> Decision | None:
    """Make the version before champion again and reject the refit; None where it serves no more."""
    refit, former = decision.promoted, decision.replaced
    assert refit is not None  # noqa: S101  by `watched_refits`
    assert former is not None  # noqa: S101
    words = f"breaker: refit {refit.label} is undone: {reason}"
    with transaction.atomic():
        lock_surface(decision.surface_id)
        surface = Surface.objects.get(pk=decision.surface_id)
        if surface.versions.champions().first() != refit:
            return None  # a person, or another watcher, was first
        move_champion(surface_id=surface.pk, version_id=former.pk, by=PLATFORM, reason=words)
        refit.refresh_from_db()
        move_alias(version=refit, to=ModelVersion.Alias.REJECTED, by=PLATFORM, reason=words)
        close_overtaken(surface_id=surface.pk, by=PLATFORM)
        undone = record_decision(
            DecisionDraft(
                surface=surface,
                action=Decision.Action.ROLL_BACK,
                reason=words,
                created_by=PLATFORM,
                promoted=former,
                replaced=refit,
                evidence={
                    "refit_breaker": {
                        "promotion": decision.sha256,
                        "before": decision.evidence["before"],
                        "tests": [asdict(test) for test in tests],
                    }
                },
            )
        )
        project = decision.surface.project
        record_alert(
            project.pk,
            event=Alert.Event.BREAKER_TRIP,
            subject=surface.key,
            summary=f"{former.label} is the champion of surface '{surface.key}' again. {words}.",
            detail={"surface": surface.key, "version": refit.label, "restored": former.label},
            path=surface_path(project.slug, surface.key),
        )
    confirm_champion(undone)
    return undone
