"""The autopilot of a surface: what it does, its settings, its queue, its ramp, its proposals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from bakeoff.accounts.refused import RefusedError
from bakeoff.api.access import actor_of, person_of, project_of
from bakeoff.api.autopilot_schemas import (
    AutopilotOut,
    ContinueIn,
    NoteIn,
    PriorityIn,
    ProgrammeOut,
    ProgrammePatch,
    ProposalOut,
    QueuedOut,
)
from bakeoff.api.errors import Problem
from bakeoff.api.lookup import get_or_404
from bakeoff.api.paging import ROWS, Limit, Offset
from experiments.actions.change_programme import ChangeAwaitsApprovalError, change_programme
from experiments.actions.change_queue import (
    drop_challenger,
    hold_challenger,
    prioritise_challenger,
    release_challenger,
)
from experiments.actions.decide_proposal import approve_proposal, decline_proposal
from experiments.actions.step_ramp import continue_ramp, hold_ramp, roll_back_experiment
from experiments.models import Experiment, Proposal
from experiments.models.experiment import WrongStateError
from experiments.programme.queue import read_queue
from experiments.programme.ramp import read_ramp
from experiments.programme.settings import settings_of
from experiments.reports.autopilot_json import (
    autopilot_as_json,
    proposal_as_json,
    queued_as_json,
    ramp_as_json,
)
from experiments.reports.programme_warnings import programme_warnings
from experiments.reports.read_autopilot import read_autopilot
from inference.actions.move_champion import CannotPromoteError, ProcessesUnreachableError
from inference.models import ModelVersion, Surface

router = Router(tags=["autopilot"])


@contextmanager
def _refusals() -> Iterator[None]:
    """Answer what actions refuse: 422 of a setting, 409 of a state."""
    try:
        yield
    except ChangeAwaitsApprovalError as error:
        raise Problem(409, error.code, str(error)) from error
    except RefusedError as error:
        status, code = (422, "invalid_value") if error.field else (409, "wrong_state")
        raise Problem(status, code, str(error), error.field) from error
    except WrongStateError as error:
        raise Problem(409, error.code, f"{error}.") from error
    except ProcessesUnreachableError as error:
        raise Problem(503, "cannot_ask", str(error)) from error
    except CannotPromoteError as error:
        raise Problem(409, error.code, str(error)) from error


def _surface(request: HttpRequest, key: str) -> Surface:
    return get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)


def _version(surface: Surface, label: str) -> ModelVersion:
    algorithm, _, number = label.rpartition("@")
    rows = ModelVersion.objects.filter(surface=surface).select_related("surface")
    if not number.isdecimal() or len(number) > 9:  # no column holds a longer one
        raise Problem(404, "not_found", f"No model version '{label[:80]}' in this project.")
    return get_or_404(rows, "model version", algorithm=algorithm, number=int(number))


@router.get("/surfaces/{key}/autopilot", response={200: AutopilotOut})
def show_autopilot(request: HttpRequest, key: str) -> Any:
    """Show settings, champion, what it does now, ramp, queue, pipeline, proposals and figures."""
    return autopilot_as_json(read_autopilot(_surface(request, key), timezone.now()))


@router.patch("/surfaces/{key}/autopilot", response={200: ProgrammeOut})
def change_settings(request: HttpRequest, key: str, payload: ProgrammePatch) -> Any:
    """Change the named settings; the answer says what a person should know of them."""
    surface = _surface(request, key)
    with _refusals():
        programme = change_programme(
            surface=surface,
            changes=payload.dict(exclude_unset=True),
            by=actor_of(request),
            person=person_of(request),
        )
    return {"settings": settings_of(programme), "warnings": programme_warnings(programme)}


def _act_on_queue(
    request: HttpRequest, key: str, version: str, act: Callable[..., object], **fields: object
) -> list[dict[str, Any]]:
    """Do something to a challenger that waits, and answer the queue."""
    surface = _surface(request, key)
    challenger = _version(surface, version)
    with _refusals():
        act(version=challenger, by=actor_of(request), **fields)
    return [queued_as_json(row) for row in read_queue(surface)]


@router.post("/surfaces/{key}/autopilot/queue/{version}/hold", response={200: list[QueuedOut]})
def hold(request: HttpRequest, key: str, version: str, payload: NoteIn) -> Any:
    """Let a challenger wait until it is released; the answer is the queue."""
    return _act_on_queue(request, key, version, hold_challenger, reason=payload.reason)


@router.post("/surfaces/{key}/autopilot/queue/{version}/release", response={200: list[QueuedOut]})
def release(request: HttpRequest, key: str, version: str, payload: NoteIn) -> Any:
    """Give a held challenger its place again; the answer is the queue."""
    return _act_on_queue(request, key, version, release_challenger, reason=payload.reason)


@router.post("/surfaces/{key}/autopilot/queue/{version}/drop", response={200: list[QueuedOut]})
def drop(request: HttpRequest, key: str, version: str, payload: NoteIn) -> Any:
    """Take a challenger out of the queue; the answer is the queue."""
    return _act_on_queue(request, key, version, drop_challenger, reason=payload.reason)


@router.post("/surfaces/{key}/autopilot/queue/{version}/priority", response={200: list[QueuedOut]})
def prioritise(request: HttpRequest, key: str, version: str, payload: PriorityIn) -> Any:
    """Place a challenger before those of lower priority; the answer is the queue."""
    fields = {"priority": payload.priority, "reason": payload.reason}
    return _act_on_queue(request, key, version, prioritise_challenger, **fields)


def _test(surface: Surface) -> Experiment:
    test = Experiment.objects.running().tests().filter(surface=surface).first()
    if test is None:
        raise Problem(409, "wrong_state", f"surface '{surface.key}' has no running experiment.")
    return test


def _ramp(experiment: Experiment) -> dict[str, Any] | None:
    ramp = read_ramp(Experiment.objects.get(pk=experiment.pk), timezone.now())
    return ramp_as_json(ramp) if ramp is not None else None


@router.post("/surfaces/{key}/autopilot/ramp/continue", response={200: dict | None})
def go_on(request: HttpRequest, key: str, payload: ContinueIn) -> Any:
    """Take the next step at once, or lift a person's hold; the answer is the ramp."""
    test = _test(_surface(request, key))
    with _refusals():
        continue_ramp(
            experiment=test,
            by=actor_of(request),
            person=person_of(request),
            reason=payload.reason,
            at_once=payload.at_once,
        )
    return _ramp(test)


@router.post("/surfaces/{key}/autopilot/ramp/stay", response={200: dict | None})
def stay(request: HttpRequest, key: str, payload: NoteIn) -> Any:
    """Stay at the present share until somebody continues; the answer is the ramp."""
    test = _test(_surface(request, key))
    with _refusals():
        hold_ramp(experiment=test, by=actor_of(request), reason=payload.reason)
    return _ramp(test)


@router.post("/surfaces/{key}/autopilot/ramp/roll-back", response={200: AutopilotOut})
def roll_back(request: HttpRequest, key: str, payload: NoteIn) -> Any:
    """End the experiment with its treatment rejected; the answer is the autopilot."""
    surface = _surface(request, key)
    test = _test(surface)
    with _refusals():
        roll_back_experiment(experiment=test, by=actor_of(request), reason=payload.reason)
    return autopilot_as_json(read_autopilot(surface, timezone.now()))


@router.get("/surfaces/{key}/autopilot/proposals", response={200: list[ProposalOut]})
def list_proposals(request: HttpRequest, key: str, limit: Limit = ROWS, offset: Offset = 0) -> Any:
    """List what was proposed, newest first, decided or not."""
    rows = Proposal.objects.filter(surface=_surface(request, key))
    rows = rows.select_related("experiment", "version").prefetch_related("approvals")
    return [proposal_as_json(row) for row in rows[offset : offset + limit]]


def _proposal(request: HttpRequest, key: str, proposal_id: int) -> Proposal:
    rows = Proposal.objects.filter(surface=_surface(request, key))
    return get_or_404(rows, "proposal", pk=proposal_id)


@router.post(
    "/surfaces/{key}/autopilot/proposals/{proposal_id}/approve",
    response={200: ProposalOut},
)
def approve(request: HttpRequest, key: str, proposal_id: int, payload: NoteIn) -> Any:
    """Approve in the name of the key's owner; the last approval carries it out."""
    proposal = _proposal(request, key, proposal_id)
    with _refusals():
        approve_proposal(
            proposal=proposal,
            by=person_of(request),
            note=payload.reason,
            actor=actor_of(request),
        )
    return proposal_as_json(_proposal(request, key, proposal_id))


@router.post(
    "/surfaces/{key}/autopilot/proposals/{proposal_id}/decline",
    response={200: ProposalOut},
)
def decline(request: HttpRequest, key: str, proposal_id: int, payload: NoteIn) -> Any:
    """Decline: an experiment that would ship ends, and the champion stays."""
    proposal = _proposal(request, key, proposal_id)
    with _refusals():
        decline_proposal(
            proposal=proposal,
            by=person_of(request),
            reason=payload.reason,
            actor=actor_of(request),
        )
    return proposal_as_json(_proposal(request, key, proposal_id))
