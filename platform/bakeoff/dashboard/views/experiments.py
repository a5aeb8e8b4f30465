"""Experiments: list, definition, and the acts that a person may take, each confirmed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from bakeoff.dashboard.access import ANALYST, OPERATOR, experiment_for, may, project_for, write_down
from bakeoff.dashboard.experiment_form import ExperimentForm, initial_of, plan_in_words
from bakeoff.dashboard.paging import page_of
from bakeoff.dashboard.views.home import cards_of
from experiments.actions.change_shares import Change, WouldReshuffleError, change_shares, switch
from experiments.actions.define_experiment import CannotDefineError, define_experiment
from experiments.actions.start_experiment import CannotStartError, start_experiment
from experiments.actions.stop_experiment import ship_experiment, stop_experiment
from experiments.models import Experiment
from experiments.models.experiment import WrongStateError
from inference.actions.move_champion import CannotPromoteError

if TYPE_CHECKING:
    from collections.abc import Callable


@require_safe
@login_required
def list_experiments(request: HttpRequest, project: str) -> HttpResponse:
    """List a project's experiments: by state, by words, archived ones apart."""
    found = project_for(request, project)
    state, words = request.GET.get("state", ""), request.GET.get("q", "").strip()
    experiments = Experiment.objects.filter(project=found).select_related("project", "surface")
    if state == "archived":
        experiments = experiments.exclude(archived_at=None)
    else:
        experiments = experiments.filter(archived_at=None)
        if state in Experiment.State.values:
            experiments = experiments.filter(state=state)
    if words:
        experiments = experiments.filter(
            Q(key__icontains=words) | Q(hypothesis__icontains=words) | Q(lesson__icontains=words)
        )
    page = page_of(request, experiments)
    context = {"page": page, "cards": cards_of(page), "state": state, "words": words, "project": found}
    return render(request, "dashboard/experiments.html", context)


@require_http_methods(["GET", "POST"])
@login_required
def define(request: HttpRequest, project: str) -> HttpResponse:
    """Define an experiment; what was typed stays, with the rule at the field that breaks it."""
    found = project_for(request, project, ANALYST)
    form = ExperimentForm(found, request.POST or None, initial=dict(request.GET.items()))
    if request.method == "POST" and form.is_valid():
        try:
            experiment = define_experiment(form.draft(owner=str(request.user)))
        except CannotDefineError as error:
            form.add_rule(error.field, str(error))
        else:
            write_down(request, experiment.project, "define", experiment.key)
            messages.success(request, _("Defined. It takes no traffic before it is started."))
            return redirect("report", found.slug, experiment.key)
    context = {"form": form, "project": found, "plan": plan_in_words(found, form)}
    status = 422 if form.errors else 200
    return render(request, "dashboard/experiment_form.html", context, status=status)


@require_http_methods(["GET", "POST"])
@login_required
def edit(request: HttpRequest, project: str, key: str) -> HttpResponse:
    """Change a draft: it is written anew under its salt, whole or not at all."""
    draft = experiment_for(request, project, key, ANALYST)
    if draft.state != Experiment.State.DRAFT:
        raise PermissionDenied(_("What was started does not change: define another experiment."))
    form = ExperimentForm(draft.project, request.POST or None, initial=initial_of(draft))
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                draft.delete()
                made = define_experiment(replace(form.draft(owner=draft.owner), salt=draft.salt))
        except CannotDefineError as error:
            form.add_rule(error.field, str(error))
        else:
            write_down(request, made.project, "edit", made.key)
            messages.success(request, _("Saved."))
            return redirect("report", project, made.key)
    context = {
        "form": form,
        "project": draft.project,
        "plan": plan_in_words(draft.project, form),
        "edits": draft,
    }
    return render(
        request, "dashboard/experiment_form.html", context, status=422 if form.errors else 200
    )


@require_http_methods(["POST"])
@login_required
def preview_plan(request: HttpRequest, project: str) -> HttpResponse:
    """Say what the form would take: units, days, smallest effect. Asked while a person types."""
    found = project_for(request, project, ANALYST)
    form = ExperimentForm(found, request.POST)
    form.is_valid()
    return render(request, "dashboard/plan.html", {"plan": plan_in_words(found, form)})


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a person may do to an experiment.

    Attributes:
        title: on its button.
        needed: the role that it takes.
        says: what will happen, said before.
        do: does it.
        asks: fields that it asks for: name and label.
        danger: whether it cannot be taken back.
    """

    title: Any
    needed: str
    says: Callable[[Experiment], str]
    do: Callable[[Experiment, HttpRequest], object]
    asks: tuple[tuple[str, Any], ...] = ()
    danger: bool = False


def _number(request: HttpRequest, name: str) -> float:
    try:
        return float(request.POST.get(name, "").replace("%", "").replace(",", ".")) / 100
    except ValueError:
        raise ValueError(
            _("%(name)s == '%(value)s', must be a number of per cent.")
            % {"name": name, "value": request.POST.get(name, "")[:40]}
        ) from None


def _archive(experiment: Experiment, request: HttpRequest) -> None:
    experiment.lesson = request.POST.get("lesson", "")[:5000]
    experiment.archived_at = None if experiment.archived_at else timezone.now()
    experiment.save(update_fields=["lesson", "archived_at"])


def _ship(experiment: Experiment, request: HttpRequest) -> None:
    variant = request.POST.get("variant", "")
    if not experiment.variants.filter(key=variant).exists():
        raise ValueError(_("Choose a variant."))
    reason = request.POST.get("reason", "")
    ship_experiment(experiment=experiment, variant=variant, by=str(request.user), reason=reason)


def _learn(experiment: Experiment, request: HttpRequest) -> None:
    experiment.lesson = request.POST.get("lesson", "")[:5000]
    experiment.save(update_fields=["lesson"])


def _discard(experiment: Experiment, _request: HttpRequest) -> None:
    if experiment.state != Experiment.State.DRAFT:
        raise WrongStateError(f"experiment '{experiment.key}' is {experiment.state}, must be draft")
    experiment.delete()


REASON = ("reason", gettext_lazy("Why, for the record"))
ACTS: dict[str, Act] = {
    "start": Act(
        gettext_lazy("Start"),
        OPERATOR,
        lambda e: (
            _(
                "From now on %(share)s of the traffic of '%(surface)s' is split between %(variants)s. The rule "
                "is fixed: policy, metrics and variants cannot be changed after this."
            )
            % {
                "share": f"{e.allocation:.0%}",
                "surface": e.surface,
                "variants": ", ".join(f"{v.key} ({v.weight:.0%})" for v in e.variants.all()),
            }
        ),
        lambda e, r: start_experiment(experiment=e, by=str(r.user)),
    ),
    "stop": Act(
        gettext_lazy("Stop without a verdict"),
        OPERATOR,
        lambda e: (
            _(
                "The experiment ends, the champion of '%(surface)s' stays. It cannot be started again; its data "
                "stay."
            )
            % {"surface": e.surface}
        ),
        lambda e, r: stop_experiment(experiment=e, by=str(r.user), reason=r.POST.get("reason", "")),
        (REASON,),
        danger=True,
    ),
    "ship": Act(
        gettext_lazy("Ship"),
        OPERATOR,
        lambda e: (
            _(
                "The experiment ends and the chosen variant serves everybody on '%(surface)s'. Promoting the "
                "champion of before again undoes it."
            )
            % {"surface": e.surface}
        ),
        _ship,
        (("variant", gettext_lazy("Which variant")), REASON),
        danger=True,
    ),
    "ramp": Act(
        gettext_lazy("Ramp up"),
        OPERATOR,
        lambda e: (
            _(
                "%(share)s of the traffic takes part now. More only adds units; nobody changes variant. The "
                "analysis keeps what was before apart."
            )
            % {"share": f"{e.allocation:.0%}"}
        ),
        lambda e, r: change_shares(
            experiment=e, change=Change(allocation=_number(r, "allocation")), by=str(r.user)
        ),
        (("allocation", gettext_lazy("Share of the traffic, in per cent")),),
    ),
    "switch": Act(
        gettext_lazy("Switch off or on"),
        OPERATOR,
        lambda e: (
            _("Everybody gets the champion at once; nothing is lost. Switching on brings all back.")
            if e.enabled
            else _("Everybody gets the variant of before back.")
        ),
        lambda e, r: switch(experiment=e, enabled=not e.enabled, by=str(r.user)),
    ),
    "archive": Act(
        gettext_lazy("Archive or take back"),
        ANALYST,
        lambda _e: _("It leaves the list and stays searchable; the same button takes it back."),
        _archive,
        (("lesson", gettext_lazy("What we learned")),),
    ),
    "learn": Act(
        gettext_lazy("Write what we learned"),
        ANALYST,
        lambda _e: _("It stands in the report and is found by the search."),
        _learn,
        (("lesson", gettext_lazy("What we learned")),),
    ),
    "discard": Act(
        gettext_lazy("Discard this draft"),
        ANALYST,
        lambda e: _("The draft '%(key)s' is deleted. It has no data.") % {"key": e.key},
        _discard,
        danger=True,
    ),
}
# What these do is written into the audit trail where it is done.
WRITTEN_BY_ACTION = ("start", "stop", "ship", "ramp", "switch")
REFUSALS = (WrongStateError, CannotStartError, CannotPromoteError, WouldReshuffleError, ValueError)


def acts_for(experiment: Experiment, person: Any) -> list[tuple[str, Act]]:
    """Return what this person may do to this experiment now."""
    by_state = {
        Experiment.State.DRAFT: ("start", "discard"),
        Experiment.State.RUNNING: ("ship", "ramp", "switch", "stop"),
        Experiment.State.ENDED: ("learn", "archive"),
    }
    names = by_state[Experiment.State(experiment.state)]
    return [(name, ACTS[name]) for name in names if may(person, experiment.project, ACTS[name].needed)]


@require_http_methods(["GET", "POST"])
@login_required
def act(request: HttpRequest, project: str, key: str, verb: str) -> HttpResponse:
    """Say what an act will do, and do it when it is confirmed."""
    if verb not in ACTS:
        raise Http404
    chosen = ACTS[verb]
    experiment = experiment_for(request, project, key, chosen.needed)
    problem = ""
    if request.method == "POST":
        try:
            if (
                verb == "ship"
                and not experiment.variants.filter(key=request.POST.get("variant")).exists()
            ):
                raise ValueError(_("Choose a variant."))
            chosen.do(experiment, request)
        except REFUSALS as error:
            problem = str(error)
        else:
            messages.success(request, _("Done: %(what)s.") % {"what": chosen.title})
            if verb not in WRITTEN_BY_ACTION:
                write_down(request, experiment.project, verb, experiment.key)
            return (
                redirect("experiments", project)
                if verb == "discard"
                else redirect("report", project, key)
            )
    context = {
        "experiment": experiment,
        "verb": verb,
        "act": chosen,
        "says": chosen.says(experiment),
        "problem": problem,
        "typed": request.POST,
        "variants": experiment.variants.all(),
    }
    return render(request, "dashboard/confirm.html", context, status=409 if problem else 200)
