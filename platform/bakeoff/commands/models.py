"""`bakeoff train`, `models`, `promote`, `rollback`: the registry from a shell."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from bakeoff.accounts.actors import OPERATOR
from bakeoff.commands.lists import json_option, show_rows
from bakeoff.commands.names import surface_argument
from bakeoff.commands.next_step import waits_for
from bakeoff.commands.old_options import CommandWithOldOptions
from bakeoff.commands.project import find_project, find_surface, find_version, project_option
from bakeoff.commands.terminal import console, echo, fail, progress

if TYPE_CHECKING:
    from inference.models import ModelVersion, Surface, TrainingRun

POLL_SECONDS = 0.3  # as often as a progress bar should move
QUEUE_SECONDS = 1.0  # before a run that is not taken up says what it waits for
NEXT_STEP_SECONDS = 30.0  # the loop ticks every few seconds


@click.command(cls=CommandWithOldOptions, old_options={"--recommender": "--algorithm"})
@surface_argument
@click.option("--algorithm", default=None,
              help="What is trained: auto tries several, the best goes on.")  # fmt: skip
@click.option("--algorithms", help="What auto tries, such as item-knn,ease,als or tfidf,bert.")
@click.option("--budget-seconds", type=float, help="Time for all that auto tries.")
@click.option("--search", type=int, help="Draws of hyper-parameters that auto tries for each.")
@click.option("--encoder", help="An adapted encoder to read texts by, such as pretrain@1.")
@click.option("--params", default="{}", help="Hyper-parameters that differ from the defaults, as JSON.")
@project_option
def train(
    surface: str,
    algorithm: str | None,
    algorithms: str | None,
    budget_seconds: float | None,
    search: int | None,
    encoder: str | None,
    params: str,
    slug: str | None,
) -> None:
    """Retrain SURFACE's model on what was recorded and put it through the gate."""
    target = find_surface(find_project(slug), surface)
    from inference.algorithms import AUTO, default_algorithm

    values = _read_params(params)
    if encoder is not None:
        values["encoder"] = encoder
    if algorithms is not None:
        values["algorithms"] = [name.strip() for name in algorithms.split(",")]
    of_auto = {"budget_seconds": budget_seconds, "search": search}
    values |= {name: value for name, value in of_auto.items() if value is not None}
    if values.keys() & {"algorithms", *of_auto}:
        algorithm = algorithm or AUTO
    _train(target, algorithm or default_algorithm(target.kind), values)


def _read_params(params: str) -> dict[str, Any]:
    try:
        values = json.loads(params)
    except json.JSONDecodeError as error:
        raise click.UsageError(f"params == '{params}', must be a JSON object.") from error
    if not isinstance(values, dict):
        raise click.UsageError(f"params == '{params}', must be a JSON object.")
    return values


@click.command()
@surface_argument
@click.option("--method", type=click.Choice(["simcse", "tsdae"]),
              help="By contrast of two readings, or by writing damaged texts anew.")  # fmt: skip
@click.option("--views", type=click.Choice(["dropout", "crop"]),
              help="How two readings of a text differ: by dropout, or as random spans.")  # fmt: skip
@click.option("--steps", type=click.IntRange(min=1), help="Steps of the optimiser.")
@click.option("--params", default="{}", help="Other hyper-parameters, as JSON.")
@project_option
def pretrain(
    surface: str,
    method: str | None,
    views: str | None,
    steps: int | None,
    params: str,
    slug: str | None,
) -> None:
    """Adapt the encoder to the project's own texts; SURFACE's behaviour judges it."""
    target = find_surface(find_project(slug), surface)
    from inference.algorithms import PRETRAIN

    named = {"objective": method, "views": views, "steps": steps}
    values = {name: value for name, value in named.items() if value is not None}
    _train(target, PRETRAIN, {**_read_params(params), **values})


@click.command()
@surface_argument
@click.option("--endpoint", help="URL to call by POST.")
@click.option("--protocol", type=click.Choice(["json", "v2", "mlflow"]), default="json",
              show_default=True, help="Its protocol: plain JSON, the Open Inference Protocol v2, or "
              "that of `mlflow models serve`.")  # fmt: skip
@click.option("--python", "entry_point", help="A class that an installed package registers.")
@click.option("--deadline-ms", default=500, show_default=True, help="Maximum time for an answer.")
@project_option
def register(
    surface: str,
    endpoint: str | None,
    protocol: str,
    entry_point: str | None,
    deadline_ms: int,
    slug: str | None,
) -> None:
    """Put a custom model through SURFACE's gate: an HTTP endpoint, or a Python class."""
    if (endpoint is None) == (entry_point is None):
        raise click.UsageError("give one of --endpoint and --python.")
    target = find_surface(find_project(slug), surface)
    values: dict[str, Any] = {"deadline_ms": deadline_ms}
    if endpoint is not None:
        _train(target, "endpoint", {**values, "url": endpoint, "protocol": protocol})
    else:
        _train(target, "python", {**values, "entry_point": entry_point})


def _train(surface: Surface, algorithm: str, params: dict[str, Any]) -> None:
    from experiments.actions.retrain_surface import retrain_surface
    from inference.actions.queue_training import CannotTrainError

    try:
        run = retrain_surface(surface=surface, algorithm=algorithm, trigger=OPERATOR, params=params)
    except CannotTrainError as error:
        raise fail(str(error)) from error
    follow_run(run)


@click.command()
@click.argument("version")
@click.option("--int8", "int8", is_flag=True, help="Compute in int8.")
@click.option("--distil", type=int, help="Keep this many layers, taught by the larger model.")
@click.option("--prune", type=int, help="Drop this many attention heads in each layer.")
@click.option("--project", "dim", type=int, help="Project a recommender's vectors to this width.")
@click.option("--surface", "key", help="Surface; not needed while only one has such a version.")
@click.option(
    "--in", "slug", help="Project; not needed while there is only one.", envvar="BAKEOFF_PROJECT"
)
def compress(
    version: str,
    int8: bool,  # noqa: FBT001  click names it
    distil: int | None,
    prune: int | None,
    dim: int | None,
    key: str | None,
    slug: str | None,
) -> None:
    """Make a smaller VERSION (such as bert@1): a new version, gated against its parent."""
    sizes = {"int8": 0 if int8 else None, "distil": distil, "prune": prune, "project": dim}
    chosen = [(how, size) for how, size in sizes.items() if size is not None]
    if len(chosen) != 1:
        raise click.UsageError("give one of --int8, --distil, --prune and --project.")
    project = find_project(slug)  # sets Django up: its models are imported after it
    from inference.actions.queue_compression import queue_compression
    from inference.actions.queue_training import CannotTrainError

    versions = [
        one
        for surface in ([find_surface(project, key)] if key else project.surfaces.all())
        for one in surface.versions.all()
        if one.label == version
    ]
    if len(versions) != 1:
        raise click.UsageError(
            f"versions named '{version}' == {len(versions)}, must be 1: see `bakeoff models SURFACE`, "
            "and name the surface with --surface."
        )
    (how, size) = chosen[0]
    try:
        run = queue_compression(version=versions[0], how=how, size=size, trigger=OPERATOR)
    except CannotTrainError as error:
        raise fail(str(error)) from error
    follow_run(run)


def follow_run(run: TrainingRun) -> None:
    """Show a run's progress until it ends; exit 1 unless it passed."""
    _show_queue(run)
    seen = 0
    with progress(f"Training {run.algorithm} in a worker (%)", 100) as advance:
        while run.state in run.ACTIVE:
            time.sleep(POLL_SECONDS)
            run.refresh_from_db()
            now = int(run.progress * 100)
            stage = run.current_stage
            advance(max(now - seen, 0), stage.line if stage is not None else "")
            seen = max(now, seen)
    if run.version is not None and run.version.gate:  # a prompt that was found waits for its check
        show_candidates(run.version)
        show_gate(run.version)
        show_ablation(run.version)
    for note in run.notes:
        echo(f"Note: {note}")
    echo(run.message)
    if run.state != run.State.PASSED:
        raise SystemExit(1)
    if run.version is not None:
        _show_next_step(run.version)


def _show_queue(run: TrainingRun) -> None:
    """Say what a queued run waits for, once and whenever that changes, until it is taken up."""
    from inference.training.waiting import waiting_of

    said, since = "", time.monotonic()
    while (waiting := waiting_of(run)) is not None:
        # What a free worker takes up at once has not waited.
        if time.monotonic() - since >= QUEUE_SECONDS and waiting.sentence != said:
            said = waiting.sentence
            echo(f"Run {run.pk} {said}")
        time.sleep(POLL_SECONDS)
        run.refresh_from_db()


def _show_next_step(version: ModelVersion) -> None:
    """Wait for the loop to take a version up; print its alias then, or what it waits for.

    A surface's first version becomes its champion at the loop's next tick, so a request after this
    command is answered by it.
    """
    from inference.algorithms import PRETRAIN
    from inference.cache import cache_client
    from inference.serving.changes import wait_until_read

    deadline = time.monotonic() + NEXT_STEP_SECONDS
    surface = version.surface
    if version.algorithm == PRETRAIN:
        echo(f"`bakeoff train {surface.key} --encoder {version.label}` reads texts by it.")
        return
    if version.why_not_judged and not surface.versions.champions().exists():
        echo(f"{version.label} was not judged: {version.why_not_judged}")
        echo(f"It waits for a person: `bakeoff promote {surface.key} {version.label}`.")
        return
    while version.alias == version.Alias.CHALLENGER and not surface.versions.champions().exists():
        if time.monotonic() > deadline:
            echo(f"{version.label} waits for a worker to make it champion: is one running?")
            return
        time.sleep(POLL_SECONDS)
        version.refresh_from_db()
    version.refresh_from_db()  # the champion that ended the loop may be this one
    if version.alias == version.Alias.CHAMPION:
        late = wait_until_read(cache_client())
        confirmed = f"; {', '.join(late)} did not confirm it in time" if late else ""
        echo(f"{version.label} is the champion of '{surface.key}'{confirmed}.")
    elif version.alias == version.Alias.CHALLENGER:
        echo(waits_for(version))


def show_candidates(version: ModelVersion) -> None:
    """Print what a run tried before it went on with the version's recipe; nothing for one recipe."""
    from inference.evaluation.gate import GateResult

    gate = GateResult.from_json(version.gate)
    if not gate.candidates:
        return
    figures = gate.candidate_metrics
    table = Table("candidate", *figures, "seconds", "state")
    for one in gate.candidates:
        table.add_row(
            one["algorithm"],
            *(f"{one[figure]:.4f}" if figure in one else "" for figure in figures),
            f"{one['seconds']:.1f}",
            ": ".join(filter(None, (one["state"].replace("_", " "), one["reason"]))),
        )
    console.print(table)


def show_ablation(version: ModelVersion) -> None:
    """Print what texts and images each add; nothing for what reads no images."""
    from inference.evaluation.gate import GateResult

    rows = GateResult.from_json(version.gate).about.get("ablation", ())
    if not rows:
        return
    table = Table("reads", *rows[0]["figures"])
    for row in rows:
        table.add_row(
            row["reads"].replace("_", " "), *(f"{value:.4f}" for value in row["figures"].values())
        )
    console.print(table)


def _gate_value(metric: str, value: float) -> str:
    return f"{value:,.0f}" if metric == "bytes" else f"{value:.4g}"


def show_gate(version: ModelVersion) -> None:
    """Print the gate's table."""
    from inference.evaluation.gate import GateResult

    gate = GateResult.from_json(version.gate)
    table = Table("metric", version.label, gate.rival or "no rival", "difference (95% CI)")
    for metric, row in gate.table:
        interval, places = row.get("interval"), gate.places_of(metric)
        table.add_row(
            f"{metric}@{places}" if places else metric,
            _gate_value(metric, row["challenger"]),
            _gate_value(metric, row["champion"]) if "champion" in row else "",
            f"{row['difference']:+.4f} ({interval[0]:+.4f} … {interval[1]:+.4f})" if interval else "",
        )
    console.print(table)
    if compression := gate.about.get("compression"):
        echo(
            f"{compression['speed_up']:.2f} × as fast, {compression['bytes_after'] / 2**20:.1f} MiB "
            f"instead of {compression['bytes_before'] / 2**20:.1f}."
        )


@click.command()
@surface_argument
@json_option
@project_option
def models(surface: str, *, as_json: bool, slug: str | None) -> None:
    """List the versions of SURFACE, newest first."""
    target = find_surface(find_project(slug), surface)
    from inference.actions.summarise_shadow import summarise_shadow

    rows = [
        {
            "version": version.label,
            "alias": version.alias,
            "gate": "passed" if version.passed_gate else "refused",
            "artifact": version.artifact_sha256[:12],
            "created": version.created_at,
            "shadow": str(summarise_shadow(version)),
        }
        for version in target.versions.all()
    ]
    empty = f"No versions yet: `bakeoff train {surface}` trains the first."
    show_rows(rows, as_json=as_json, empty=empty)


@click.command()
@surface_argument
@click.argument("version")
@click.option(
    "--reason", default="promoted from a shell", show_default=True, help="Reason, for the audit log."
)
@project_option
def promote(surface: str, version: str, reason: str, slug: str | None) -> None:
    """Make VERSION (such as two-tower@7) the champion of SURFACE."""
    _move(surface, version, reason, slug)


@click.command()
@surface_argument
@click.argument("version")
@click.option(
    "--reason", default="rolled back from a shell", show_default=True, help="Reason, for the audit log."
)
@click.option("--stop-experiment", "stop", is_flag=True,
              help="Also stop the experiment of SURFACE.")  # fmt: skip
@project_option
def rollback(
    surface: str,
    version: str,
    reason: str,
    stop: bool,  # noqa: FBT001  click names it
    slug: str | None,
) -> None:
    """Go back to VERSION of SURFACE; read back from serving before it says done."""
    _move(surface, version, reason, slug, stop=stop)


@click.command()
@surface_argument
@click.argument("version")
@click.option("--reason", default="sent to shadow from a shell", show_default=True)
@project_option
def shadow(surface: str, version: str, reason: str, slug: str | None) -> None:
    """Let VERSION answer a share of SURFACE's requests beside what is served, unseen."""
    target = find_version(find_surface(find_project(slug), surface), version)
    from experiments.actions.shadow_version import CannotShadowError, shadow_version

    try:
        shadow_version(version=target, by=OPERATOR, reason=reason)
    except CannotShadowError as error:
        raise fail(str(error)) from error
    echo(
        f"{target} answers {target.surface.shadow_share:.0%} of the requests to '{surface}', unseen: "
        f"`bakeoff models {surface}` shows how it compares."
    )


def _move(surface: str, version: str, reason: str, slug: str | None, *, stop: bool = False) -> None:
    target = find_version(find_surface(find_project(slug), surface), version)
    from experiments.actions.promote_version import promote_version
    from experiments.actions.stop_and_promote import stop_and_promote
    from inference.actions.move_champion import CannotPromoteError

    try:
        act = stop_and_promote if stop else promote_version
        decision = act(version=target, by=OPERATOR, reason=reason)
    except CannotPromoteError as error:
        raise fail(str(error)) from error
    if target.gate_refusal:
        echo(
            f"Against the gate: {target} {target.gate_refusal}. The registry and the audit trail say "
            "so."
        )
    late = [process for process, seconds in decision.read_back.items() if seconds is None]
    if late:
        raise fail(f"{target} is champion, but {', '.join(late)} did not confirm it in time.")
    confirmed = ", ".join(f"{seconds} s" for seconds in decision.read_back.values())
    echo(
        f"{target} is the champion of '{surface}' "
        + (
            f"(serving confirmed: it answered in every web process; {confirmed})."
            if confirmed
            else "(no web process runs: its artifact was checked here)."
        )
    )
