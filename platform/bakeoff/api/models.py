"""Model versions and training runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema, Status

from bakeoff.accounts.actors import reason_of
from bakeoff.api.access import actor_of, person_of, project_of
from bakeoff.api.errors import Problem
from bakeoff.api.lookup import get_or_404
from bakeoff.api.paging import ROWS, Limit, Offset, page_of
from bakeoff.api.renamed import OldName, RenamedSchema
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.promote_version import promote_version
from experiments.actions.retrain_surface import retrain_surface
from experiments.actions.shadow_version import CannotShadowError, shadow_version
from experiments.actions.stop_and_promote import stop_and_promote
from inference.actions.cancel_training import CannotCancelError, cancel_training
from inference.actions.move_champion import CannotPromoteError, ProcessesUnreachableError
from inference.actions.queue_compression import queue_compression
from inference.actions.queue_training import CannotTrainError
from inference.algorithms import default_algorithm, params_of, trainable, why_not_trainable
from inference.models import ModelVersion, Surface, TrainingRun
from inference.models.run_stage import RunStage
from inference.options import ParamSpec, specs_of
from inference.training.waiting import waiting_of

router = Router(tags=["models"])
_ALGORITHM = (OldName("recommender", "algorithm"),)


class VersionOut(Schema):
    """A model version."""

    label: str
    alias: str
    artifact_sha256: str
    created_at: datetime
    gate: dict[str, Any]
    promoted_against: str = Field(
        "", description="Why its gate had refused it, of a version that was promoted in spite of it."
    )


class PromotedOut(VersionOut):
    """The new champion, and what the web processes say of it.

    `confirmed` is true when each of them has loaded it, had answered a question with it, and serves it
    now; `read_back` has per process the seconds until it did, or null.
    """

    confirmed: bool
    read_back: dict[str, float | None]


class CandidateOut(Schema):
    """One recipe that a run tried; figures are null where it could not be judged."""

    algorithm: str
    params: dict[str, Any]
    seconds: float
    state: str = Field(description="chosen, judged, out_of_time or failed.")
    reason: str = ""
    ndcg: float | None = None
    recall: float | None = Field(None, description="Of classifiers the mean over labels.")
    hit_rate: float | None = None
    coverage: float | None = None
    accuracy: float | None = None
    log_score: float | None = Field(None, description="Decides among classifiers without costs.")
    calibration_error: float | None = None
    decision_cost: float | None = Field(
        None, description="Mean cost of a decision, where the surface states costs: then it decides."
    )
    abstained: float | None = Field(None, description="Share that is left to a person.")


class StageOut(Schema):
    """Where a running run is."""

    phase: str = Field(description="What it does: a seed's fit, the champion's, the last, judging.")
    step: int | None = Field(description="Of this fit, from 1.")
    steps: int | None = Field(description="How many the fit takes.")
    loss: float | None = Field(description="Of the last step.")
    seconds_left: float | None = Field(description="Of the whole run, at its pace so far.")


class AblationOut(Schema):
    """What a recipe does without a part of what it reads."""

    reads: str = Field(description="text_only, image_only or text_and_image.")
    figures: dict[str, float]


class RunOut(RenamedSchema):
    """A training run."""

    old_names = _ALGORITHM

    id: int
    algorithm: str
    trigger: str
    state: str
    progress: float
    stage: StageOut | None = Field(None, description="Where it is; null unless it runs.")
    message: str
    notes: list[str] = Field(description="What was set aside, and what a person should know.")
    version: str | None
    candidates: list[CandidateOut] = Field(
        default_factory=list, description="What a run of `auto` tried, in its order."
    )

    ablation: list[AblationOut] = Field(
        default_factory=list, description="The same recipe by texts alone, images alone, and both."
    )

    @staticmethod
    def resolve_stage(run: TrainingRun) -> RunStage | None:
        """Read where it is."""
        return run.current_stage

    @staticmethod
    def resolve_version(run: TrainingRun) -> str | None:
        """Name what it made."""
        return run.version.label if run.version else None

    @staticmethod
    def resolve_candidates(run: TrainingRun) -> list[dict[str, Any]]:
        """List what it tried."""
        return run.version.gate.get("about", {}).get("candidates", []) if run.version else []

    @staticmethod
    def resolve_ablation(run: TrainingRun) -> list[dict[str, Any]]:
        """List what texts and images each add."""
        return run.version.gate.get("about", {}).get("ablation", []) if run.version else []


class RunDetailOut(RunOut):
    """One training run: where it is, or what came out and why."""

    surface: str
    params: dict[str, Any]
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    ahead: int | None = Field(
        description="Queued runs that a worker takes up before it; null unless it is queued."
    )
    gate: dict[str, Any] | None = Field(
        description="How its version was judged: checks with their reasons; null without a version."
    )

    @staticmethod
    def resolve_surface(run: TrainingRun) -> str:
        """Name its surface."""
        return run.surface.key

    @staticmethod
    def resolve_ahead(run: TrainingRun) -> int | None:
        """Count what comes before it; whose runs they are is not said."""
        waiting = waiting_of(run)
        return waiting.ahead if waiting is not None else None

    @staticmethod
    def resolve_gate(run: TrainingRun) -> dict[str, Any] | None:
        """Return what the gate measured and decided."""
        return run.version.gate if run.version else None


class TrainIn(RequestSchema):
    """What is to be trained."""

    old_names = _ALGORITHM

    algorithm: str = Field(
        "",
        description="`auto` tries several, the best goes on. Empty: `auto`, where the surface has it.",
    )
    params: dict[str, Any] = Field(default_factory=dict)


class ParamOut(Schema):
    """A parameter of an algorithm, and which values it may have."""

    name: str
    type: str = Field(
        description="int, float, bool, str or list; a whole number may stand for a float."
    )
    default: Any
    min: float | None = Field(None, description="At least this.")
    above: float | None = Field(None, description="More than this.")
    max: float | None = Field(None, description="At most this.")
    choices: list[str] = Field(default_factory=list, description="One of these, where there are any.")


class AlgorithmOut(Schema):
    """What can be trained, with its parameters; none where it declares none."""

    name: str
    params: list[ParamOut]
    schedule_problem: str = Field(
        "", description="Why the surface's schedule cannot train it with its `retrain_params`."
    )


class LogLineOut(Schema):
    """A line of a run's log; secrets are hidden in it."""

    at: datetime
    attempt: int
    level: str = Field(description="info, warning or error.")
    text: str


class CompressIn(RequestSchema):
    """How a version is compressed."""

    how: str = Field(description="int8, distil, prune or project.")
    size: int = Field(0, ge=0, le=100_000, description="Layers, heads or dimensions; 0 for int8.")


class PromoteIn(RequestSchema):
    """Why an operator promotes a version."""

    reason: str = Field("", max_length=1000)


class PromoteVersionIn(PromoteIn):
    """Why an operator promotes a version, and what happens to the surface's experiments."""

    stop_experiment: bool = Field(
        default=False,
        description="End the surface's running experiments without a verdict, in the same act.",
    )


def _surface(request: HttpRequest, key: str) -> Surface:
    return get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)


def _version(request: HttpRequest, key: str, name: str, number: int) -> ModelVersion:
    rows = ModelVersion.objects.filter(surface=_surface(request, key))
    return get_or_404(rows, "model version", algorithm=name, number=number)


def _run(request: HttpRequest, run_id: int) -> TrainingRun:
    rows = TrainingRun.objects.filter(surface__project=project_of(request))
    return get_or_404(rows.select_related("surface", "version"), "training run", pk=run_id)


@router.get("/surfaces/{key}/models", response={200: list[VersionOut]})
def list_versions(request: HttpRequest, key: str, limit: Limit = ROWS, offset: Offset = 0) -> Any:
    """List the versions of a surface, newest first."""
    rows = _surface(request, key).versions.all()
    return page_of(request, rows, VersionOut, limit=limit, offset=offset)


@router.get("/surfaces/{key}/training-runs", response={200: list[RunOut]})
def list_runs(request: HttpRequest, key: str, limit: Limit = ROWS, offset: Offset = 0) -> Any:
    """List the training runs of a surface, newest first."""
    rows = _surface(request, key).training_runs.select_related("version")
    return page_of(request, rows, RunOut, limit=limit, offset=offset)


@router.post("/surfaces/{key}/training-runs", response={202: RunOut})
def train(request: HttpRequest, key: str, payload: TrainIn) -> Any:
    """Retrain on what was recorded; a version that passes its gate goes on to its experiment."""
    surface = _surface(request, key)
    try:
        run = retrain_surface(
            surface=surface,
            algorithm=payload.algorithm or default_algorithm(surface.kind),
            trigger=actor_of(request),
            params=payload.params,
        )
    except CannotTrainError as error:
        field = "params" if error.param else "algorithm"
        raise Problem(422, "cannot_train", str(error), field) from error
    return Status(202, run)


@router.get("/surfaces/{key}/algorithms", response={200: list[AlgorithmOut]})
def list_algorithms(request: HttpRequest, key: str) -> Any:
    """List what can be trained on a surface, with what each parameter may be."""
    surface = _surface(request, key)
    kind, scheduled = surface.kind, surface.retrain_algorithm
    return [
        AlgorithmOut(
            name=name,
            params=[_param_out(spec) for spec in (() if cls is None else specs_of(cls))],
            schedule_problem=why_not_trainable(kind, name, surface.retrain_params)
            if name == scheduled
            else "",
        )
        for name in trainable(kind)
        for cls in (params_of(kind, name),)
    ]


def _param_out(spec: ParamSpec) -> ParamOut:
    bounds = spec.bounds
    return ParamOut(
        name=spec.name,
        type=spec.type.__name__,
        default=spec.default,
        min=bounds.low,
        above=bounds.above,
        max=bounds.high,
        choices=list(bounds.choices),
    )


@router.get("/training-runs/{run_id}", response={200: RunDetailOut})
def show_run(request: HttpRequest, run_id: int) -> Any:
    """Show a training run: its state, where it is with loss and time left, its result and reasons."""
    return _run(request, run_id)


@router.get("/training-runs/{run_id}/log", response={200: list[LogLineOut]})
def list_log_lines(request: HttpRequest, run_id: int, limit: Limit = ROWS, offset: Offset = 0) -> Any:
    """List the last lines that a training run's processes logged, oldest first; at most 300."""
    run = _run(request, run_id)
    return page_of(request, run.log_lines.all(), LogLineOut, limit=limit, offset=offset)


@router.post("/training-runs/{run_id}/cancel", response={200: RunOut})
def cancel(request: HttpRequest, run_id: int) -> Any:
    """Cancel a training run; its process ends within seconds and publishes nothing."""
    try:
        return cancel_training(run=_run(request, run_id), by=actor_of(request))
    except CannotCancelError as error:
        raise Problem(409, "cannot_cancel", str(error)) from error


@router.post("/surfaces/{key}/models/{name}/{number}/compress", response={202: RunOut})
def compress(request: HttpRequest, key: str, name: str, number: int, payload: CompressIn) -> Any:
    """Make a smaller version, gated against this one."""
    version = _version(request, key, name, number)
    try:
        run = queue_compression(
            version=version, how=payload.how, size=payload.size, trigger=actor_of(request)
        )
    except CannotTrainError as error:
        raise Problem(422, "cannot_compress", str(error), "how") from error
    return Status(202, run)


@router.post("/surfaces/{key}/models/{name}/{number}/shadow", response={200: VersionOut})
def shadow(request: HttpRequest, key: str, name: str, number: int, payload: PromoteIn) -> Any:
    """Let a version answer a share of the requests beside what is served, unseen."""
    version = _version(request, key, name, number)
    try:
        shadow_version(
            version=version,
            by=actor_of(request),
            reason=payload.reason or reason_of("sent", actor_of(request)),
        )
    except CannotShadowError as error:
        raise Problem(409, "cannot_shadow", str(error)) from error
    version.refresh_from_db()
    return version


@router.post("/surfaces/{key}/models/{name}/{number}/promote", response={200: PromotedOut})
def promote(request: HttpRequest, key: str, name: str, number: int, payload: PromoteVersionIn) -> Any:
    """Make a version the champion: a promotion, or a rollback.

    Every web process loads the version and answers a question with it first; 409 when one cannot. Where
    two people approve, 409 `needs_approval` names the proposal for the second; a rollback waits for
    nobody.
    """
    version = _version(request, key, name, number)
    act = stop_and_promote if payload.stop_experiment else promote_version
    try:
        decision = act(
            version=version,
            by=actor_of(request),
            reason=payload.reason or reason_of("promoted", actor_of(request)),
            person=person_of(request),
        )
    except ProcessesUnreachableError as error:
        raise Problem(503, "cannot_ask", str(error)) from error
    except CannotPromoteError as error:
        raise Problem(409, error.code, str(error)) from error
    version.refresh_from_db()
    return {
        **VersionOut.from_orm(version).dict(),
        "confirmed": decision.confirmed,
        "read_back": decision.read_back,
    }
