"""The first page: what runs, what needs a decision, health issues, recent promotions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.contrib.auth.decorators import login_required
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from bakeoff.dashboard.access import projects_of
from bakeoff.dashboard.health import health_issues
from bakeoff.dashboard.mentions import mentions_of
from bakeoff.dashboard.sample_notice import sample_notice
from experiments.models import Decision, Experiment, Feedback, Look, Proposal
from experiments.reports.experiment_timeline import draw_timeline, read_timeline
from experiments.reports.forest_chart import ForestRow
from experiments.reports.holdback_gain import running_gains
from experiments.reports.plot_columns import PlotColumn, plot_column
from experiments.reports.project_figures import figures_of
from experiments.reports.read_together import last_look, primary_of, read_together
from experiments.reports.traffic import ProjectTraffic, SurfaceTraffic, read_traffic
from experiments.reports.verdict import VerdictSummary, summarise_verdict
from inference.models import DriftReport, ModelVersion, Surface, TrainingRun

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

    from bakeoff.accounts.models import Project
    from experiments.kinds import Direction

# Of each list: the page is a summary, and every list has a page of its own.
SHOWN = 20
NEWEST = 6  # of what has passed


@dataclass(frozen=True, slots=True)
class Card:
    """An experiment as a list shows it."""

    experiment: Experiment
    verdict: VerdictSummary
    look: Look | None
    waits: bool

    @property
    def share(self) -> float:
        """Complete units over planned ones, at most 1."""
        return min(self.look.information, 1.0) if self.look is not None else 0.0


def cards_of(experiments: Iterable[Experiment]) -> list[Card]:
    """Read what a list says of each experiment."""
    cards = []
    for experiment in read_together(experiments):
        look = last_look(experiment)
        waits = (
            experiment.state == Experiment.State.RUNNING
            and experiment.purpose == Experiment.Purpose.TEST
            and look is not None
            and look.action != Decision.Action.KEEP_RUNNING
        )
        cards.append(Card(experiment, summarise_verdict(experiment), look, waits))
    return cards


@require_safe
@login_required
def show_home(request: HttpRequest) -> HttpResponse:
    """Show the person's projects at a glance."""
    projects = projects_of(request.user)
    wanted = request.GET.get("project")
    if wanted:
        projects = projects.filter(slug=wanted)
    running = cards_of(
        Experiment.objects.running()
        .tests()
        .filter(project__in=projects)
        .select_related("project", "surface")[:SHOWN]
    )
    decisions = Decision.objects.filter(project__in=projects).select_related(
        "surface__project", "experiment", "promoted", "replaced"
    )
    now = timezone.now()
    shown = list(projects[:SHOWN])
    timeline = read_timeline(shown, now)
    traffic = read_traffic(shown[0].pk, now) if len(shown) == 1 else None
    context: dict[str, Any] = {
        # Figures of several projects have no sum: of one alone.
        "figures": figures_of(shown[0], now) if len(shown) == 1 else None,
        "sample": sample_notice(shown),
        "traffic": traffic,
        "timeline": timeline,
        "timeline_drawn": draw_timeline(timeline, now),
        "running": running,
        "waiting": [card for card in running if card.waits],
        "gains": running_gains(Experiment.objects.filter(project__in=projects))[:SHOWN],
        "without_metric": _without_metric(projects),
        "to_restore": Proposal.objects.open_now()
        .filter(project__in=projects, kind=Proposal.Kind.RESTORE)
        .select_related("project", "surface", "experiment", "version")[:SHOWN],
        "drafts": Experiment.objects.filter(
            project__in=projects, state="draft", archived_at=None
        ).select_related("project", "surface")[:SHOWN],
        # What the page of feedback would show this person, and no more.
        "mentions": mentions_of(request.user, projects, now)[:SHOWN],
        "flagged": Feedback.objects.filter(project__in=projects)
        .to_review()
        .exclude(flags=[])
        .exclude(reviews__reviewer=request.user.get_username())
        .count(),
        "to_review": Feedback.objects.filter(project__in=projects).to_review().count(),
        "health_issues": [issue for project in projects[:50] for issue in health_issues(project)],
        "promoted": _with_effects(decisions.filter(promoted__isnull=False)[:NEWEST]),
        "decisions": decisions[:NEWEST],
        "surfaces": _with_traffic(with_champions(_surfaces_of(projects)), traffic),
        "runs": TrainingRun.objects.filter(surface__project__in=projects).select_related(
            "surface__project"
        )[:NEWEST],
        "drift": DriftReport.objects.filter(surface__project__in=projects)
        .order_by("surface", "-measured_at")
        .distinct("surface")
        .select_related("surface__project")[:SHOWN],
    }
    return render(request, "dashboard/home.html", context)


def _without_metric(projects: QuerySet[Project]) -> QuerySet[Surface]:
    """Return surfaces whose challengers wait in vain: nobody said which metric decides."""
    waiting = Surface.objects.unarchived().filter(
        project__in=projects,
        start_experiments=True,
        versions__alias=ModelVersion.Alias.CHALLENGER,
        versions__variant__isnull=True,
    )
    unset = waiting.exclude(programme__primary_metric__isnull=False)
    return unset.select_related("project").distinct()[:SHOWN]


def _with_effects(
    decisions: Iterable[Decision],
) -> PlotColumn[tuple[Decision, VerdictSummary | None]]:
    """Return promotions, each with what its test found, in words and as a picture."""
    rows = list(decisions)
    # Two decisions may be of one experiment: each is read once.
    experiments = {row.experiment.pk: row.experiment for row in rows if row.experiment is not None}
    verdicts = {one.pk: summarise_verdict(one) for one in read_together(experiments.values())}
    return plot_column([(row, verdicts.get(row.experiment_id or 0)) for row in rows], _drawn)


def _drawn(row: tuple[Decision, VerdictSummary | None]) -> ForestRow:
    decision, verdict = row
    if verdict is None or decision.experiment is None:
        return ForestRow("", None, None, None, "")
    low, high = verdict.interval or (None, None)
    direction = cast("Direction", primary_of(decision.experiment).metric.direction)
    return ForestRow("", verdict.effect, low, high, "", direction=direction)


def _surfaces_of(projects: QuerySet[Project]) -> QuerySet[Surface]:
    surfaces = Surface.objects.unarchived().filter(project__in=projects)
    return surfaces.select_related("project")[:SHOWN]


def _with_traffic(
    surfaces: Iterable[tuple[Surface, Any]], traffic: ProjectTraffic | None
) -> list[tuple[Surface, Any, SurfaceTraffic | None]]:
    """Return each surface with its champion and what it answered; None where it answered nothing."""
    answered = {row.surface: row for row in traffic.surfaces} if traffic is not None else {}
    return [(surface, champion, answered.get(surface.key)) for surface, champion in surfaces]


def with_champions(surfaces: Iterable[Surface]) -> list[tuple[Surface, Any]]:
    """Return each surface with its champion, or with None."""
    rows = list(surfaces)
    champions = {
        one.surface_id: one for one in ModelVersion.objects.champions().filter(surface__in=rows)
    }
    return [(surface, champions.get(surface.pk)) for surface in rows]
