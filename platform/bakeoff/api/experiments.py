"""Experiments: list, definition, drafts, decisions and report."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Status

from bakeoff.api.access import actor_of, project_of
from bakeoff.api.draft_fields import draft_fields, find_experiment, find_surface
from bakeoff.api.errors import Problem
from bakeoff.api.experiment_schemas import (
    MAX_EXPERIMENT_OWNER,
    DecisionOut,
    ExperimentIn,
    ExperimentOut,
    ExperimentPatch,
    definition,
)
from bakeoff.api.paging import ROWS, Limit, Offset, page_of
from experiments.actions.define_experiment import CannotDefineError, define_experiment
from experiments.actions.edit_draft import discard_draft, edit_draft
from experiments.actions.experiment_draft import ExperimentDraft
from experiments.actions.rename_experiment import rename_experiment
from experiments.kinds import Purpose
from experiments.metrics.labels import MAX_TAG
from experiments.models import Experiment
from experiments.models.experiment import WrongStateError
from experiments.reports.experiment_report import report_for_programs

router = Router(tags=["experiments"])
LABELS = {"name", "tags", "owner"}  # what no count contains


@router.get("/experiments", response={200: list[ExperimentOut]})
def list_experiments(
    request: HttpRequest,
    state: Literal["draft", "running", "ended"] | None = None,
    purpose: Purpose | None = None,
    tag: Annotated[str, Query(max_length=MAX_TAG)] = "",
    owner: Annotated[str, Query(max_length=MAX_EXPERIMENT_OWNER)] = "",
    limit: Limit = ROWS,
    offset: Offset = 0,
) -> Any:
    """List the project's experiments, newest first: tests, and holdbacks and holdouts that measure."""
    experiments = Experiment.objects.filter(project=project_of(request)).select_related(
        "surface", "layer"
    )
    wanted = {"state": state, "purpose": purpose, "owner": owner,
              "tags__contains": [tag] if tag else None}  # fmt: skip
    rows = experiments.filter(**{name: value for name, value in wanted.items() if value})
    return page_of(
        request, rows.prefetch_related(*definition()), ExperimentOut, limit=limit, offset=offset
    )


@router.post("/experiments", response={201: ExperimentOut})
def make_experiment(request: HttpRequest, payload: ExperimentIn) -> Any:
    """Define an experiment; it takes no traffic before it is started."""
    surface = find_surface(project_of(request), payload.surface)
    fields = draft_fields(surface, payload.dict(exclude={"surface"}))
    draft = ExperimentDraft(surface=surface, owner=actor_of(request), **fields)
    try:
        return Status(201, define_experiment(draft))
    except CannotDefineError as error:
        raise Problem(422, "cannot_define", str(error), error.field) from error


@router.patch("/experiments/{key}", response={200: ExperimentOut})
def change_draft(request: HttpRequest, key: str, payload: ExperimentPatch) -> Any:
    """Change the named fields of a draft; all others stay.

    `name`, `tags` and `owner` (a member of the project) may change in any state; `owner` changes with
    no other field than these. `policy` is merged field by field (null takes a field back to its
    default); lists are stated whole.
    """
    experiment = find_experiment(request, key)
    project = project_of(request)
    fields = payload.dict(include=payload.model_fields_set)

    def edit(stored: ExperimentDraft) -> ExperimentDraft:
        named = dict(fields)
        surface = find_surface(project, named.pop("surface")) if "surface" in named else stored.surface
        if "policy" in named:
            merged = {**stored.policy, **named["policy"]}
            named["policy"] = {name: value for name, value in merged.items() if value is not None}
        return replace(stored, surface=surface, **draft_fields(surface, named))

    try:
        if fields and fields.keys() <= LABELS:
            return rename_experiment(experiment=experiment, by=actor_of(request), **fields)
        if "owner" in fields:
            named = sorted(fields.keys() - LABELS)
            sentence = f"fields == {named}, must be changed in a request without owner."
            raise Problem(422, "cannot_define", sentence, "owner")
        return edit_draft(experiment=experiment, edit=edit, by=actor_of(request))
    except CannotDefineError as error:
        raise Problem(422, "cannot_define", str(error), error.field) from error
    except WrongStateError as error:
        raise Problem(409, "wrong_state", f"{error}.") from error


@router.delete("/experiments/{key}", response={204: None})
def remove_draft(request: HttpRequest, key: str) -> Any:
    """Discard a draft; what was started cannot be deleted."""
    try:
        discard_draft(experiment=find_experiment(request, key), by=actor_of(request))
    except WrongStateError as error:
        raise Problem(409, "wrong_state", f"{error}.") from error
    return Status(204, None)


@router.get("/experiments/{key}", response={200: ExperimentOut})
def show_experiment(request: HttpRequest, key: str) -> Any:
    """Show an experiment; the fields of a definition are as POST takes them."""
    return find_experiment(request, key)


@router.get("/experiments/{key}/decisions", response={200: list[DecisionOut]})
def list_decisions(request: HttpRequest, key: str) -> Any:
    """List its decision records with their evidence."""
    return find_experiment(request, key).decisions.all()


@router.get("/experiments/{key}/report.json", response={200: dict[str, Any]})
def show_report(request: HttpRequest, key: str) -> Any:
    """Give the numbers of its report."""
    return report_for_programs(find_experiment(request, key))
