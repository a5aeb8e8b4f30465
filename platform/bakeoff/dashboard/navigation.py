"""What every page shows around itself: the person's projects and where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from bakeoff.dashboard.access import ADMIN, ANALYST, OPERATOR, may, projects_of
from bakeoff.dashboard.second_factor_gate import owes_code
from bakeoff.page_tickets import write_ticket
from experiments.models import Experiment
from inference.models import TrainingRun

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.urls import ResolverMatch
    from django.utils.functional import Promise

    from bakeoff.accounts.models import Project


@dataclass(frozen=True, slots=True)
class Section:
    """An entry of the navigation: `name` of its address, title, and icon of icons.html."""

    name: str
    title: Promise
    icon: str


SECTIONS = (
    Section("experiments", _("Experiments"), "flask"),
    Section("impact", _("Impact"), "up"),
    Section("surfaces", _("Surfaces"), "layers"),
    Section("models", _("Models"), "cube"),
    Section("metrics", _("Metrics"), "chart"),
    Section("feedback", _("Feedback"), "chat"),
    Section("units", _("Users"), "users"),
    Section("events", _("Events"), "list"),
    Section("alerts", _("Alerts"), "bell"),
    Section("usage", _("Usage"), "wait"),
    Section("team", _("Team"), "gear"),
)
# Pages below a section, by the first word of their address' name.
PARENTS = {
    "report": "experiments",
    "edit": "experiments",
    "act": "experiments",
    "comment": "experiments",
    "variant": "experiments",
    "plan": "experiments",
    "programme": "impact",
    "metric": "metrics",
    "surface": "surfaces",
    "autopilot": "surfaces",
    "generations": "surfaces",
    "generation": "surfaces",
    "playground": "surfaces",
    "prompt": "surfaces",
    "version": "models",
    "run": "models",
    "runs": "models",
}

# The page of /help that explains a section; the beginning, where none does.
HELP_PAGES = {
    "experiments": "tutorial/read/",
    "experiments-new": "how-to/plan/",
    "impact": "autopilot/",
    "programme": "dashboard/",
    "metrics": "statistics/metrics/",
    "surfaces": "settings/",
    "models": "models/",
    "runs": "tutorial/train/",
    "units": "privacy/",
    "events": "events/",
    "feedback": "feedback/",
    "alerts": "alerts/",
    "usage": "usage/",
    "team": "settings/",
    "health": "troubleshooting/",
    "home": "dashboard/",
    "autopilot": "autopilot/",
    "generations": "generate/",
    "generation": "generate/",
    "playground": "generate/",
    "surface-rules": "slate-rules/",
    "surface-policy": "rank/",
    "run": "tutorial/train/",
}


ACROSS = frozenset({"home", "health"})  # pages of all projects, unless their address names one


def help_page(match: ResolverMatch | None) -> str:
    """Return the page of /help about a page: by its address' name, else by its section."""
    name = (match.url_name or "") if match is not None else ""
    names = (name, name.split("-")[0], _section_of(match))
    return next((HELP_PAGES[one] for one in names if one in HELP_PAGES), "")


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Return projects, the present one, its sections, and what the person may do in it."""
    person = getattr(request, "user", None)
    # What is shown around the account page must tell of no project before a code is given.
    if person is None or not person.is_authenticated or owes_code(request):
        return {}
    projects = list(projects_of(person).order_by("slug")[:200])
    match = request.resolver_match
    slug = _slug_of(request, match)
    current = next((p for p in projects if p.slug == slug), None)
    if current is None and slug:  # behind the first of a person with very many
        current = projects_of(person).filter(slug=slug).first()
    # Of several projects together no one is the page's own.
    across = current is None and len(projects) > 1 and _names(match, ACROSS)
    current = current or (projects[0] if projects else None)
    section = _section_of(match)
    crumbs = [] if current is None else _crumbs(match, section, current)
    return {
        "projects": projects,
        "current": current,
        "across": across,
        "crumbs": [(_("All projects"), reverse("home"))] if across else crumbs,
        "sections": SECTIONS,
        "ticket": write_ticket(settings.SECRET_KEY, current.pk) if current is not None else "",
        "section": section,
        "help_page": help_page(match),
        "may": {
            "analyse": current is not None and may(person, current, ANALYST),
            "operate": current is not None and may(person, current, OPERATOR),
            "administer": current is not None and may(person, current, ADMIN),
        },
    }


def _slug_of(request: HttpRequest, match: ResolverMatch | None) -> str:
    """Return the project that a page is of: as its address names it, or of the run that it shows."""
    kwargs = match.kwargs if match is not None else {}
    if "run_id" in kwargs:
        runs = TrainingRun.objects.filter(pk=kwargs["run_id"])
        return runs.values_list("surface__project__slug", flat=True).first() or ""
    return kwargs.get("slug") or request.GET.get("project") or ""


def _names(match: ResolverMatch | None, names: frozenset[str]) -> bool:
    return match is not None and match.url_name in names


def _section_of(match: ResolverMatch | None) -> str:
    word = match.url_name.split(":")[0].split("-")[0] if match is not None and match.url_name else ""
    return PARENTS.get(word, word)


def _crumbs(match: ResolverMatch | None, section: str, project: Project) -> list[tuple[str, str]]:
    """Return titles and addresses of what stands above a page: project, section, and the thing in it."""
    crumbs = [(project.slug, f"{reverse('home')}?project={project.slug}")]
    title = next((one.title for one in SECTIONS if one.name == section), None)
    if match is None or title is None:
        return crumbs
    crumbs.append((str(title), reverse(section, args=[project.slug])))
    key = match.kwargs.get("key")
    pages = {"experiments": "report", "surfaces": "surface", "metrics": "metric"}
    if key and section in pages:
        name = ""
        if section == "experiments":  # as its page is titled
            names = Experiment.objects.filter(project=project, key=key).values_list("name", flat=True)
            name = names.first() or ""
        crumbs.append((name or key, reverse(pages[section], args=[project.slug, key])))
    return crumbs
