"""Which refits of the champion wait, and which of them the programme lets become champion.

A refit is a version of the champion's own recipe (algorithm, parameters, and what it was compressed
from) that has learnt from newer data, or anew after an erasure. Its gate has compared it with the
version that last won a test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef, Q, Subquery

from experiments.models import Programme
from experiments.programme.queue import changes_by_person
from experiments.programme.queue_types import LeftQueue
from experiments.programme.tested_version import last_tested_version
from inference.models import AliasMove, ModelVersion, Surface

if TYPE_CHECKING:
    from django.db.models import QuerySet

ALIAS = ModelVersion.Alias


def refit_view(version: ModelVersion) -> dict[str, Any]:
    """Return what the gate says of a version as a refit; empty where it was none."""
    view: dict[str, Any] = version.gate.get("about", {}).get("refit") or {}
    return view


def waiting_refits(surface: Surface) -> list[ModelVersion]:
    """Return the refits of the champion that were neither tested nor champion, the newest first."""
    champion = surface.versions.champions().select_related("snapshot", "parent").first()
    if champion is None:
        return []
    candidates = _never_champion(surface.versions.filter(pk__gt=champion.pk, variant__isnull=True))
    newest_first = candidates.select_related("challenger", "snapshot", "parent").order_by("-id")
    return [version for version in newest_first if is_refit(version, champion)]


def surfaces_with_refits() -> QuerySet[Surface]:
    """Return the surfaces with a version that its gate has judged as a refit of the champion."""
    champion = ModelVersion.objects.champions().filter(surface=OuterRef("surface"))
    newer = ModelVersion.objects.filter(pk__gt=Subquery(champion.values("pk")[:1]))
    return Surface.objects.filter(pk__in=_never_champion(newer).values("surface"))


def _never_champion(versions: QuerySet[ModelVersion]) -> QuerySet[ModelVersion]:
    """Return those that may become champion as refits; a person's word and a breaker's are last words.

    One that the comparison of recipes refused is among them: the programme may ask for other evidence.
    One that a newer version superseded is too: that may have failed the comparison that counts here.
    """
    superseded = AliasMove.objects.filter(version=OuterRef("pk")).order_by("-id")
    was_champion = AliasMove.objects.filter(version=OuterRef("pk"), after=ALIAS.CHAMPION)
    waits = Q(alias__in=(ALIAS.CHALLENGER, ALIAS.SHADOW, ALIAS.REJECTED))
    waits |= Q(alias=ALIAS.CANDIDATE, last_cause=LeftQueue.SUPERSEDED)
    return versions.annotate(last_cause=Subquery(superseded.values("evidence__queue")[:1])).filter(
        ~Exists(was_champion), waits, gate__about__has_key="refit"
    )


def is_refit(version: ModelVersion, champion: ModelVersion) -> bool:
    """Whether a version is the champion's recipe, trained on newer data or without an erased unit."""
    if (version.lineage, version.params) != (champion.lineage, champion.params):
        return False
    if version.is_clean_of(champion):
        return True  # the erased unit's may have been the last rows: what is left may be older
    ours, theirs = version.learnt_until, champion.learnt_until
    return ours is not None and theirs is not None and ours > theirs


def passes_refresh(version: ModelVersion, refresh: str, tested: ModelVersion | None) -> bool:
    """Whether a refit may become champion without a test.

    Args:
        version: the refit.
        refresh: the programme's.
        tested: the version that last won a test: a comparison with another one is out of date.
    """
    view = refit_view(version)
    challenger = changes_by_person(version)
    if (
        not view
        or view["bounds"]
        or (challenger is not None and (challenger.held or challenger.dropped))
    ):
        return False
    if refresh == Programme.Refresh.ALWAYS:
        return True
    if tested is None or view["tested_version"] != tested.label:
        return False
    return bool(view["superior" if refresh == Programme.Refresh.SUPERIOR else "non_inferior"])


def next_refit(programme: Programme) -> ModelVersion | None:
    """Return the newest refit that the programme lets become champion."""
    surface = programme.surface
    waiting = waiting_refits(surface)
    if not waiting:
        return None
    tested = last_tested_version(surface)
    return next((one for one in waiting if passes_refresh(one, programme.refresh, tested)), None)


def refit_reason(version: ModelVersion) -> str:
    """Return why a refit becomes champion, in words."""
    view = refit_view(version)
    tested, metric = view["tested_version"], view["metric"]
    row = view.get("rows", {}).get(metric)
    if row is None or not row["champion"]:
        return f"refit, compared with nothing: {view.get('not_compared', 'no figure')}"
    if view["against"] == "recipe":
        return f"refit of {tested}, hardly anything is newer than its data: the recipes are alike"
    low, high = (f"{end / row['champion']:+.1%}" for end in row["interval"])
    figures = f"{metric} {row['difference'] / row['champion']:+.1%} ({low} to {high})"
    if view["superior"]:
        return f"refit of {tested}, better than it: {figures}"
    if view["non_inferior"]:
        return f"refit of {tested}, not worse than it: {figures}"
    return f"refit of {tested}, whatever the comparison: {figures}"
