"""The management API: list, define, start, stop, ship, train, wait, and reports as data frames.

admin = Admin("http://localhost:8000", "sk_…")
for experiment in admin.experiments(state="running"):
    print(experiment["key"])
admin.wait_for_experiment("trial", timeout_seconds=7 * 86_400)
admin.report_frame("trial")                # needs pandas
"""

from __future__ import annotations

import json
import time
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, cast
from urllib.parse import quote, urlencode

from bakeoff_client.transport import BakeoffError, Connected, pack, refusal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd

Row = TypeVar("Row")
PAGE = 100
State = Literal["draft", "running", "ended"]
RUN_ENDED = frozenset({"passed", "refused", "skipped", "failed", "cancelled"})
TRANSIENT = frozenset({0, 429, 502, 503, 504})


class Variant(TypedDict):
    """A variant of an experiment, as a definition states it; `model` is None of a flag's."""

    key: str
    model: str | None
    value: Any
    weight: float
    is_control: bool
    rules: int | None


class ExperimentMetric(TypedDict):
    """A metric of an experiment and its role."""

    metric: str
    role: Literal["primary", "secondary", "guardrail"]
    margin: float
    margin_floor: float


class Experiment(TypedDict, total=False):
    """An experiment; the OpenAPI document has every field."""

    key: str
    name: str
    surface: str
    state: State
    purpose: str
    allocation: float
    variants: list[Variant]
    metrics: list[ExperimentMetric]
    policy: dict[str, Any]
    started_at: str | None
    ended_at: str | None
    confirmed: bool | None


class Version(TypedDict):
    """A model version."""

    label: str
    alias: str
    artifact_sha256: str
    created_at: str
    gate: dict[str, Any]


class Run(TypedDict, total=False):
    """A training run; `run` and `wait_for_run` answer the last four fields too."""

    id: int
    algorithm: str
    state: str
    progress: float
    stage: dict[str, Any] | None
    message: str
    notes: list[str]
    version: str | None
    surface: str
    params: dict[str, Any]
    ahead: int | None
    gate: dict[str, Any] | None


class WaitTimeoutError(Exception):
    """What was waited for did not come in time; the message says in which state it was."""


class Admin(Connected):
    """Everything that a secret key may do; safe to share between threads."""

    def __init__(self, url: str, key: str, *, timeout_seconds: float = 30.0) -> None:
        """Remember where and as whom.

        Raises:
            ValueError: the URL is none.
        """
        super().__init__(url, key, timeout_seconds=timeout_seconds)

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Call an operation of the OpenAPI document; return its answer, or None where it has none.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        named = {name: value for name, value in query.items() if value is not None}
        address = f"{path}?{urlencode(named)}" if named else path
        sent = (None, {}) if body is None else (pack(body), {"Content-Type": "application/json"})
        status, headers, data = self._transport.request(method, address, *sent, again=method == "GET")
        if not 200 <= status < 300:
            raise refusal_of(status, headers, data)
        return json.loads(data) if data else None

    def rows(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Read a list page by page.

        Raises:
            BakeoffError: it was refused, or nobody answered.
        """
        offset = 0
        while True:
            page = self.ask("GET", path, limit=PAGE, offset=offset, **query)
            yield from page
            if len(page) < PAGE:
                return
            offset += PAGE

    def surfaces(self, *, archived: bool = False) -> Iterator[dict[str, Any]]:
        """Read surfaces by key, but for archived ones; or those alone."""
        return self.rows("/v1/surfaces", archived=str(archived).lower())

    def surface(self, key: str) -> dict[str, Any]:
        """Read a surface."""
        return cast("dict[str, Any]", self.ask("GET", f"/v1/surfaces/{_name(key)}"))

    def patch_surface(self, key: str, **changes: Any) -> dict[str, Any]:
        """Change the named fields of a surface."""
        return cast("dict[str, Any]", self.ask("PATCH", f"/v1/surfaces/{_name(key)}", changes))

    def archive_surface(self, key: str) -> dict[str, Any]:
        """Archive a surface that nobody uses: it is served, trained and listed no more."""
        return cast("dict[str, Any]", self.ask("POST", f"/v1/surfaces/{_name(key)}/archive"))

    def restore_surface(self, key: str) -> dict[str, Any]:
        """Restore an archived surface."""
        return cast("dict[str, Any]", self.ask("POST", f"/v1/surfaces/{_name(key)}/restore"))

    def delete_surface(self, key: str) -> None:
        """Delete an archived surface for good that was never used."""
        self.ask("DELETE", f"/v1/surfaces/{_name(key)}")

    def metrics(self, *, archived: bool = False) -> Iterator[dict[str, Any]]:
        """Read metrics by key, but for archived ones; or those alone."""
        return self.rows("/v1/metrics", archived=str(archived).lower())

    def make_metric(self, key: str, *, kind: str, event: str, **fields: Any) -> dict[str, Any]:
        """Declare a metric over events."""
        body = {"key": key, "kind": kind, "event": event, **fields}
        return cast("dict[str, Any]", self.ask("POST", "/v1/metrics", body))

    def patch_metric(self, key: str, **changes: Any) -> dict[str, Any]:
        """Change the named fields of a metric; started experiments count as before."""
        return cast("dict[str, Any]", self.ask("PATCH", f"/v1/metrics/{_name(key)}", changes))

    def archive_metric(self, key: str) -> dict[str, Any]:
        """Archive a metric that nobody uses: no new experiment has it."""
        return cast("dict[str, Any]", self.ask("POST", f"/v1/metrics/{_name(key)}/archive"))

    def restore_metric(self, key: str) -> dict[str, Any]:
        """Restore an archived metric."""
        return cast("dict[str, Any]", self.ask("POST", f"/v1/metrics/{_name(key)}/restore"))

    def delete_metric(self, key: str) -> None:
        """Delete a metric for good that no experiment has had."""
        self.ask("DELETE", f"/v1/metrics/{_name(key)}")

    def experiments(self, *, state: State | None = None) -> Iterator[Experiment]:
        """Read experiments, newest first."""
        return cast("Iterator[Experiment]", self.rows("/v1/experiments", state=state))

    def experiment(self, key: str) -> Experiment:
        """Read an experiment."""
        return cast("Experiment", self.ask("GET", f"/v1/experiments/{_name(key)}"))

    def define(self, key: str, *, surface: str, variants: list[Mapping[str, Any]], metrics: list[Mapping[str, Any]], **fields: Any) -> Experiment:  # fmt: skip
        """Define an experiment: a draft, which takes no traffic before it is started."""
        body = {"key": key, "surface": surface, "variants": variants, "metrics": metrics, **fields}
        return cast("Experiment", self.ask("POST", "/v1/experiments", body))

    def start(self, key: str) -> Experiment:
        """Start an experiment; answers when every web process serves it."""
        return cast("Experiment", self.ask("POST", f"/v1/experiments/{_name(key)}/start"))

    def stop(self, key: str, *, reason: str = "") -> dict[str, Any]:
        """Stop an experiment without a verdict; return the decision."""
        path = f"/v1/experiments/{_name(key)}/stop"
        return cast("dict[str, Any]", self.ask("POST", path, {"reason": reason}))

    def ship(self, key: str, variant: str, *, reason: str = "") -> dict[str, Any]:
        """Stop an experiment and promote one of its variants; return the decision."""
        path = f"/v1/experiments/{_name(key)}/ship"
        return cast("dict[str, Any]", self.ask("POST", path, {"variant": variant, "reason": reason}))

    def report(self, key: str) -> dict[str, Any]:
        """Read the numbers of an experiment's report."""
        path = f"/v1/experiments/{_name(key)}/report.json"
        return cast("dict[str, Any]", self.ask("GET", path))

    def report_frame(self, key: str) -> pd.DataFrame:
        """Return the comparisons of an experiment's report as a data frame, a row per metric and variant.

        Raises:
            ImportError: pandas is not installed.
        """
        import pandas as pd  # noqa: PLC0415  who needs no frame installs no pandas

        return pd.DataFrame(self.report(key)["metrics"])

    def comments(self, key: str) -> Iterator[dict[str, Any]]:
        """Read the comments on an experiment, the oldest first."""
        return self.rows(f"/v1/experiments/{_name(key)}/comments")

    def comment(self, key: str, text: str) -> dict[str, Any]:
        """Comment on an experiment, in the name of the key; `@username` tells a member."""
        path = f"/v1/experiments/{_name(key)}/comments"
        return cast("dict[str, Any]", self.ask("POST", path, {"text": text}))

    def edit_comment(self, key: str, comment_id: int, text: str) -> dict[str, Any]:
        """Change a comment that this key wrote."""
        path = f"/v1/experiments/{_name(key)}/comments/{comment_id}"
        return cast("dict[str, Any]", self.ask("PATCH", path, {"text": text}))

    def delete_comment(self, key: str, comment_id: int) -> None:
        """Delete a comment that this key wrote."""
        self.ask("DELETE", f"/v1/experiments/{_name(key)}/comments/{comment_id}")

    def versions(self, surface: str) -> list[Version]:
        """Read a surface's versions, newest first."""
        return cast("list[Version]", self.ask("GET", f"/v1/surfaces/{_name(surface)}/models"))

    def runs(self, surface: str) -> list[Run]:
        """Read a surface's training runs, newest first."""
        return cast("list[Run]", self.ask("GET", f"/v1/surfaces/{_name(surface)}/training-runs"))

    def run(self, run_id: int) -> Run:
        """Read a training run: where it is, or what came out and why."""
        return cast("Run", self.ask("GET", f"/v1/training-runs/{int(run_id)}"))

    def train(self, surface: str, algorithm: str, *, params: Mapping[str, Any] | None = None) -> Run:
        """Queue a training run."""
        body = {"algorithm": algorithm, "params": dict(params or {})}
        return cast("Run", self.ask("POST", f"/v1/surfaces/{_name(surface)}/training-runs", body))

    def examples(self, surface: str) -> Iterator[dict[str, Any]]:
        """Read a surface's labelled examples, newest first."""
        return self.rows(f"/v1/surfaces/{_name(surface)}/examples")

    def delete_example(self, surface: str, example_id: str) -> None:
        """Delete one labelled example for good."""
        self.ask("DELETE", f"/v1/surfaces/{_name(surface)}/examples/{quote(example_id, safe='')}")

    def import_model(self, surface: str, file: str | Path | bytes, *, labels: Sequence[str] = (), inputs: Mapping[str, list[str]] | None = None, item_ids: Sequence[str] = (), **fields: Any) -> Run:  # fmt: skip
        """Import a model as a file, and queue the run by which the surface's gate judges it.

        Args:
            surface: its key.
            file: path or bytes of an ONNX graph for a surface that labels, of safetensors for one that
                ranks; at most about 24 MB.
            labels: of a graph, in the order of the columns of its output.
            inputs: of a graph: by the name of each input what its columns read, `text` or names of
                features; None where the only input takes the text.
            item_ids: of vectors, in the order of their rows.
            fields: others of the operation: output, activation, missing, source, deadline_ms.

        Raises:
            OSError: the file cannot be read.
            BakeoffError: it was refused, or nobody answered.
        """
        content = file if isinstance(file, bytes) else Path(file).read_bytes()
        body = {
            "file": b64encode(content).decode(),
            "sha256": sha256(content).hexdigest(),
            "labels": list(labels),
            "inputs": dict(inputs or {}),
            "item_ids": list(item_ids),
            **fields,
        }
        return cast("Run", self.ask("POST", f"/v1/surfaces/{_name(surface)}/model-imports", body))

    def wait_for_experiment(
        self, key: str, state: State = "ended", *, timeout_seconds: float, poll_seconds: float = 5.0
    ) -> Experiment:
        """Wait until an experiment is in a state.

        Raises:
            WaitTimeoutError: it was not in time.
            BakeoffError: it was refused; a platform that is away for a moment gets the request again.
        """
        return _wait(
            lambda: self.experiment(key),
            lambda one: one["state"] == state,
            lambda one: f"experiment '{key}' is {one['state']}, not {state}",
            (timeout_seconds, poll_seconds),
        )

    def wait_for_run(
        self, surface: str, run_id: int, *, timeout_seconds: float, poll_seconds: float = 2.0
    ) -> Run:
        """Wait until a training run has ended, well or not.

        Raises:
            WaitTimeoutError: it has not in time.
            BakeoffError: it was refused; a platform that is away for a moment gets the request again.
        """
        return _wait(
            lambda: self._run_of(surface, run_id),
            lambda run: run["state"] in RUN_ENDED,
            lambda run: f"run {run_id} of '{surface}' is {run['state']}",
            (timeout_seconds, poll_seconds),
        )

    def _run_of(self, surface: str, run_id: int) -> Run:
        """Read a run; of a platform before it had an operation for one, from the surface's list."""
        try:
            return self.run(run_id)
        except BakeoffError as error:
            if error.status not in {404, 405}:
                raise
            listed = next((one for one in self.runs(surface) if one["id"] == run_id), None)
            if listed is None:
                raise
            return listed


def _wait(
    read: Callable[[], Row],
    is_there: Callable[[Row], bool],
    say: Callable[[Row], str],
    seconds: tuple[float, float],
) -> Row:
    """Read again and again until a row is as it should be; `seconds`: at most, and between two."""
    deadline = time.monotonic() + seconds[0]
    while True:
        last = ""
        try:
            row = read()
            if is_there(row):
                return row
            last = say(row)
        except BakeoffError as error:
            if error.status not in TRANSIENT:
                raise
            last = str(error)
        if time.monotonic() + seconds[1] > deadline:
            raise WaitTimeoutError(f"{last} after {seconds[0]:g} s")
        time.sleep(seconds[1])


def _name(key: str) -> str:
    return quote(key, safe="@")
