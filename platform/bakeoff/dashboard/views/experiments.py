"""Experiments: list, definition, and the acts that a person may take, each confirmed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from bakeoff.accounts.refused import RefusedError
from bakeoff.dashboard.access import ANALYST, OPERATOR, experiment_for, may, project_for
from bakeoff.dashboard.draft_in_form import initial_of
from bakeoff.dashboard.experiment_form import ExperimentForm
from bakeoff.dashboard.experiment_starts import (
    TEMPLATES,
    base_of_copy,
    initial_from,
    initial_of_copy,
)
from bakeoff.dashboard.metric_form import TagsField
from bakeoff.dashboard.paging import page_of
from bakeoff.dashboard.plan_preview import plan_in_words, suggestions_for
from bakeoff.dashboard.rows_in_form import changes_rows
from bakeoff.dashboard.saved_views import views_over
from bakeoff.dashboard.start_words import describe_start
from bakeoff.dashboard.targeting_form import KNOWN_ATTRIBUTES
from bakeoff.dashboard.text_box import unify_line_ends
from bakeoff.dashboard.views.home import cards_of
from experiments.actions.archive_experiment import (
    MAX_LEARNINGS,
    archive_experiment,
    restore_experiment,
    write_learnings,
)
from experiments.actions.change_shares import Change, WouldReshuffleError, change_shares
from experiments.actions.define_experiment import CannotDefineError, define_experiment
from experiments.actions.edit_draft import DraftChangedError, discard_draft, edit_draft
from experiments.actions.rename_experiment import rename_experiment
from experiments.actions.start_experiment import CannotStartError, start_experiment
from experiments.actions.stop_experiment import ship_experiment, stop_experiment
from experiments.actions.switch_experiment import switch
from experiments.models import Decision, Experiment
from experiments.models.experiment import WrongStateError
from inference.actions.move_champion import CannotPromoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bakeoff.accounts.models import Project


@require_safe
@login_required
def list_experiments(request: HttpRequest, slug: str) -> HttpResponse:
    """List a project's experiments: by state, by words, archived ones apart."""
    project = project_for(request, slug)
    state, words = request.GET.get("state", ""), request.GET.get("q", "").strip()
    purpose, tag = request.GET.get("purpose", ""), request.GET.get("tag", "").strip()
    experiments = Experiment.objects.filter(project=project).select_related("project", "surface")
    if state == "archived":
        experiments = experiments.exclude(archived_at=None)
    else:
        experiments = experiments.filter(archived_at=None)
        if state in Experiment.State.values:
            experiments = experiments.filter(state=state)
    if purpose in Experiment.Purpose.values:
        experiments = experiments.filter(purpose=purpose)
    if tag:
        experiments = experiments.filter(tags__contains=[tag])
    if words:
        experiments = experiments.filter(
            Q(key__icontains=words) | Q(name__icontains=words) | Q(hypothesis__icontains=words)
            | Q(learnings__icontains=words) | Q(tags__contains=[words]) | Q(owner=words)
        )  # fmt: skip
    page = page_of(request, experiments)
    context = {
        "page": page,
        "cards": cards_of(page),
        "state": state,
        "purpose": purpose,
        "tag": tag,
        "tags": _tags_of(project),
        "words": words,
        "project": project,
        **views_over(request, project, "experiments"),
    }
    return render(request, "dashboard/experiments.html", context)


def _tags_of(project: Project) -> list[str]:
    tags = Experiment.objects.filter(project=project).exclude(tags=[]).values_list("tags", flat=True)
    return sorted({tag for of_experiment in tags for tag in of_experiment})


@require_http_methods(["GET", "POST"])
@login_required
def define(request: HttpRequest, slug: str) -> HttpResponse:
    """Define an experiment; what was typed stays, with the rule at the field that breaks it."""
    project = project_for(request, slug, ANALYST)
    source = None
    if request.GET.get("copy"):
        tests = Experiment.objects.filter(project=project, purpose=Experiment.Purpose.TEST)
        source = get_object_or_404(tests, key=request.GET["copy"])
    initial = initial_of_copy(source) if source else initial_from(project, request.GET.dict())
    form = _form_of(request, project, initial)
    if form.is_bound and form.is_valid():
        owner = str(request.user)
        try:
            experiment = define_experiment(
                form.copy_to(base_of_copy(source, owner=owner)) if source else form.draft(owner=owner)
            )
        except CannotDefineError as error:
            form.refuse(error)
        else:
            messages.success(request, _("Experiment created. It takes no traffic until you start it."))
            return redirect("report", project.slug, experiment.key)
    return _show_form(request, form, source=source, templates=TEMPLATES if source is None else ())


def _form_of(request: HttpRequest, project: Project, initial: Mapping[str, Any]) -> ExperimentForm:
    """Return the form as it was sent, or with what is shown first."""
    if request.method == "POST" and changes_rows(request.POST):
        return ExperimentForm(project, typed=request.POST)
    return ExperimentForm(project, request.POST or None, initial=initial)


def _show_form(request: HttpRequest, form: ExperimentForm, **more: Any) -> HttpResponse:
    context = {
        "form": form,
        "project": form.project,
        "attributes": KNOWN_ATTRIBUTES,
        "plan": plan_in_words(form),
        "suggestions": suggestions_for(form),
        **more,
    }
    status = 422 if form.is_bound and form.was_refused else 200
    return render(request, "dashboard/experiment_form.html", context, status=status)


@require_http_methods(["GET", "POST"])
@login_required
def edit(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Change the fields of a draft that were changed in the form; all others stay."""
    draft = experiment_for(request, slug, key, ANALYST)
    if draft.state != Experiment.State.DRAFT:
        raise PermissionDenied(_("A started experiment cannot be edited: create another one."))
    form = _form_of(request, draft.project, initial_of(draft))
    if form.is_bound and form.is_valid():
        try:
            changed = edit_draft(
                experiment=draft,
                edit=form.apply_to,
                by=str(request.user),
                read_as=form.cleaned_data["read_as"],
            )
        except CannotDefineError as error:
            form.refuse(error)
        except DraftChangedError:
            form.accept_newer()
        except WrongStateError as error:
            form.add_error(None, f"{error}.")
        else:
            messages.success(request, _("Saved."))
            return redirect("report", slug, changed.key)
    return _show_form(request, form, edits=draft)


@require_http_methods(["POST"])
@login_required
def preview_plan(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what the experiment would take: users, days, smallest effect; called while a person types."""
    project = project_for(request, slug, ANALYST)
    form = ExperimentForm(project, request.POST)
    form.is_valid()
    context = {
        "plan": plan_in_words(form),
        "suggestions": suggestions_for(form),
        "project": project,
        "followed": form.followed(request.POST),
    }
    return render(request, "dashboard/plan.html", context)


@dataclass(frozen=True, slots=True)
class Act:
    """An act on an experiment: its texts, the role that it needs, and what it calls.

    Attributes:
        title: on its button.
        needed: the role that it takes.
        says: what will happen, said before.
        do: does it.
        asks: fields that it asks for: name and label.
        danger: whether it cannot be undone.
        done: what the page says afterwards.
        filled: what its fields hold at first.
    """

    title: Any
    needed: str
    says: Callable[[Experiment], str]
    do: Callable[[Experiment, HttpRequest], object]
    asks: tuple[tuple[str, Any], ...] = ()
    danger: bool = False
    done: Any = ""
    filled: Callable[[Experiment], Mapping[str, str]] = lambda _experiment: {}


def _number(request: HttpRequest, name: str) -> float:
    try:
        return float(request.POST.get(name, "").replace("%", "").replace(",", ".")) / 100
    except ValueError:
        raise ValueError(
            _("Traffic must be a number between 0 and 100, not '%(value)s'.")
            % {"value": request.POST.get(name, "")[:40]}
        ) from None


def _to_ship(experiment: Experiment) -> str | None:
    """Return the key of the variant that the last look would ship, if there is one."""
    look = experiment.looks.last()
    if look is None or look.action != Decision.Action.SHIP:
        return None
    return look.parsed_result.variant


def _say_ship(experiment: Experiment) -> str:
    says = _(
        "The experiment will end and the chosen variant will serve all users on '%(surface)s'. To undo, "
        "promote the previous champion again."
    ) % {"surface": experiment.surface}
    if _to_ship(experiment) is not None:
        return says
    return says + " " + _("No variant is shown to be better yet: to ship one, give your reason.")


def _ship(experiment: Experiment, request: HttpRequest) -> None:
    variant, reason = request.POST.get("variant", ""), request.POST.get("reason", "").strip()
    # To stay with the control is no claim that needs a reason.
    claims = experiment.variants.filter(key=variant, is_control=False).exists()
    if claims and not reason and variant != _to_ship(experiment):
        raise ValueError(
            _("'%(variant)s' is not shown to be better: shipping it needs a reason.")
            % {"variant": variant}
        )
    ship_experiment(experiment=experiment, variant=variant, by=str(request.user), reason=reason)


def _learn(experiment: Experiment, request: HttpRequest) -> None:
    learnings = unify_line_ends(request.POST.get("learnings", ""))
    write_learnings(experiment=experiment, learnings=learnings, by=str(request.user))


def _tag(experiment: Experiment, request: HttpRequest) -> None:
    tags = TagsField(required=False).clean(request.POST.get("tags", ""))
    rename_experiment(experiment=experiment, tags=tags, by=str(request.user))


def _rename(experiment: Experiment, request: HttpRequest) -> None:
    sent = {name: request.POST[name].strip() for name in ("name", "owner") if name in request.POST}
    rename_experiment(experiment=experiment, by=str(request.user), **sent)


REASON = ("reason", gettext_lazy("Reason"))
ACTS: dict[str, Act] = {
    "start": Act(
        gettext_lazy("Start"),
        OPERATOR,
        describe_start,
        lambda e, r: start_experiment(experiment=e, by=str(r.user)),
        done=gettext_lazy("Experiment started"),
    ),
    "stop": Act(
        gettext_lazy("Stop without a verdict"),
        OPERATOR,
        lambda e: (
            _(
                "The experiment will end and the champion of '%(surface)s' stays. It cannot be started again; "
                "its data is kept."
            )
            % {"surface": e.surface}
        ),
        lambda e, r: stop_experiment(experiment=e, by=str(r.user), reason=r.POST.get("reason", "")),
        (REASON,),
        danger=True,
        done=gettext_lazy("Experiment stopped"),
    ),
    "ship": Act(
        gettext_lazy("Ship"),
        OPERATOR,
        _say_ship,
        _ship,
        (("variant", gettext_lazy("Variant")), REASON),
        danger=True,
        done=gettext_lazy("Variant shipped"),
    ),
    "ramp": Act(
        gettext_lazy("Change traffic"),
        OPERATOR,
        lambda e: (
            _(
                "%(share)s of the traffic takes part now. If you raise it, users keep their variant. The "
                "analysis treats the time before the change separately."
            )
            % {"share": f"{e.allocation:.0%}"}
        ),
        lambda e, r: change_shares(
            experiment=e, change=Change(allocation=_number(r, "allocation")), by=str(r.user)
        ),
        (("allocation", gettext_lazy("Traffic (%)")),),
        done=gettext_lazy("Traffic changed"),
    ),
    # Two verbs, not a toggle: who presses "off" when somebody else just did must not turn it on.
    "turn-off": Act(
        gettext_lazy("Turn off"),
        OPERATOR,
        lambda _e: _("All users get the champion at once. No data is lost; you can turn it on again."),
        lambda e, r: switch(experiment=e, enabled=False, by=str(r.user)),
        done=gettext_lazy("Experiment turned off"),
    ),
    "turn-on": Act(
        gettext_lazy("Turn on"),
        OPERATOR,
        lambda _e: _("All users get the same variant as before."),
        lambda e, r: switch(experiment=e, enabled=True, by=str(r.user)),
        done=gettext_lazy("Experiment turned on"),
    ),
    "rename": Act(
        gettext_lazy("Rename"),
        ANALYST,
        lambda _e: _("The key stays, and with it every link. The owner is a member of the project."),
        _rename,
        (("name", gettext_lazy("Name")), ("owner", gettext_lazy("Owner"))),
        done=gettext_lazy("Name and owner saved"),
        filled=lambda e: {"name": e.name, "owner": e.owner},
    ),
    "archive": Act(
        gettext_lazy("Archive"),
        ANALYST,
        lambda _e: _("It disappears from the list but can still be found and restored."),
        lambda e, r: archive_experiment(experiment=e, by=str(r.user)),
        done=gettext_lazy("Experiment archived"),
    ),
    "restore": Act(
        gettext_lazy("Restore"),
        ANALYST,
        lambda _e: _("It appears in the list again."),
        lambda e, r: restore_experiment(experiment=e, by=str(r.user)),
        done=gettext_lazy("Experiment restored"),
    ),
    "learn": Act(
        gettext_lazy("Add learnings"),
        ANALYST,
        lambda _e: _("Shown in the report and found by search."),
        _learn,
        (("learnings", gettext_lazy("Learnings")),),
        done=gettext_lazy("Learnings saved"),
    ),
    "tag": Act(
        gettext_lazy("Edit tags"),
        ANALYST,
        lambda _e: _("By which people find it, separated by commas: engagement, revenue."),
        _tag,
        (("tags", gettext_lazy("Tags")),),
        done=gettext_lazy("Tags saved"),
    ),
    "discard": Act(
        gettext_lazy("Discard draft"),
        ANALYST,
        lambda e: _("The draft '%(key)s' will be deleted. It has no data.") % {"key": e.key},
        lambda e, r: discard_draft(experiment=e, by=str(r.user)),
        danger=True,
        done=gettext_lazy("Draft discarded"),
    ),
}
# Of holdbacks and holdouts: the platform conducts them.
MEASURED = {"stop", "learn", "rename", "tag", "archive", "restore"}
REFUSALS = (
    RefusedError,
    WrongStateError,
    CannotStartError,
    CannotPromoteError,
    WouldReshuffleError,
    ValueError,
    ValidationError,
)


def acts_for(experiment: Experiment, person: Any) -> list[tuple[str, Act]]:
    """Return what this person may do to this experiment now."""
    by_state = {
        Experiment.State.DRAFT: ("start", "discard"),
        Experiment.State.RUNNING: (
            "ship", "ramp", "turn-off" if experiment.enabled else "turn-on", "stop", "rename", "tag"
        ),
        Experiment.State.ENDED: ("learn", "rename", "tag", "restore" if experiment.archived_at else "archive"),
    }  # fmt: skip
    names = by_state[Experiment.State(experiment.state)]
    if experiment.purpose != Experiment.Purpose.TEST:
        names = tuple(name for name in names if name in MEASURED)
    # Each question of a role is a query: several acts need the same.
    allowed = {
        role: may(person, experiment.project, role) for role in {ACTS[name].needed for name in names}
    }
    return [(name, ACTS[name]) for name in names if allowed[ACTS[name].needed]]


@require_http_methods(["GET", "POST"])
@login_required
def act(request: HttpRequest, slug: str, key: str, verb: str) -> HttpResponse:
    """Say what an act will do, and do it when it is confirmed."""
    if verb not in ACTS:
        raise Http404
    chosen = ACTS[verb]
    experiment = experiment_for(request, slug, key, chosen.needed)
    problem = ""
    if request.method == "POST":
        try:
            chosen.do(experiment, request)
        except REFUSALS as error:
            problem = str(error.message) if isinstance(error, ValidationError) else str(error)
        else:
            messages.success(request, f"{chosen.done}.")
            return redirect("experiments", slug) if verb == "discard" else redirect("report", slug, key)
    context = {
        "experiment": experiment,
        "verb": verb,
        "act": chosen,
        "says": chosen.says(experiment),
        "problem": problem,
        "typed": request.POST if request.method == "POST" else chosen.filled(experiment),
        "variants": experiment.variants.select_related("model_version"),
        "selected": request.POST.get("variant") or (verb == "ship" and _to_ship(experiment)),
        "max_learnings": MAX_LEARNINGS,
    }
    return render(request, "dashboard/confirm.html", context, status=409 if problem else 200)
