"""The platform, its visitors, and the models that come: what happens is read back from its tables."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import orjson
import psycopg

from inference.serving.artifact import ArtifactDraft, save_artifact
from tests.support.faults.platform import PlatformUnderTest
from tests.support.month.visitors import SURFACE, Visitors
from tests.support.month.world import Challenger, Models, World

METRIC = "clicks"
DAY = 86_400.0
MAX_WAIT_SECONDS = 600.0
MIN_RETRAIN_SECONDS = 60


@dataclass(frozen=True)
class Pace:
    """How long the month's days are.

    Attributes:
        planned_units: of a test.
        window_seconds: in which a user's clicks count.
        holdback_seconds: that a holdback lasts.
        cooldown_seconds: between two tests.
        ramp: of the programme.
    """

    planned_units: int = 300
    window_seconds: float = 2.0
    holdback_seconds: float = 12.0
    cooldown_seconds: float = 1.0
    ramp: Sequence[Mapping[str, float]] = (
        {"share": 0.2, "minimum_seconds": 1.0, "units": 25},
        {"share": 0.5, "minimum_seconds": 0.0},
    )

    def policy(self) -> dict[str, Any]:
        return {
            "planned_units": self.planned_units,
            "overrun": 1.0,
            "minimum_nonzero": 10,
            "minimum_run_seconds": 0.0,
            "window_seconds": self.window_seconds,
            "look_every_seconds": 1.0,
            "twyman_limit": 0.0,
        }

    def programme(self) -> dict[str, Any]:
        return {
            "primary_metric": METRIC,
            # Endpoints beside a model in memory, on a machine that does other things.
            "guardrails": [{"metric": "serving-latency", "margin": 10.0}],
            "ramp": [dict(step) for step in self.ramp],
            "holdback_share": 0.1,
            "holdback_days": self.holdback_seconds / DAY,
            "cooldown_days": self.cooldown_seconds / DAY,
        }


class Month:
    """The platform, its visitors, and the models that come."""

    def __init__(
        self, home: Path, world: World, pace: Pace, *, interpreter: Path | str = sys.executable
    ) -> None:
        """Prepare a home with a short path, for a platform that an interpreter starts."""
        self.world, self.pace, self.models = world, pace, Models(world)
        self._connection: psycopg.Connection | None = None
        variables = {"BAKEOFF_OUTGOING_ALLOW": "127.0.0.1"}
        self.platform = PlatformUnderTest(
            home, own_disk=False, variables=variables, interpreter=interpreter
        )

    def __enter__(self) -> Month:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        self.platform.start()
        headers = {"X-API-Key": self.platform.secret}
        self.api = httpx2.Client(base_url=self.platform.url, headers=headers, timeout=30)
        self._prepare()
        self.visitors = Visitors(self.platform.url, self.platform.public, self.world)
        # They come while a test is followed: what a training takes is not what the month is about.
        self.visitors.pause()
        self.visitors.start()

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(AttributeError):
            self.visitors.stop()
        self.models.endpoint.stop()
        if self._connection is not None:
            self._connection.close()
        self.platform.close()

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for a condition, generously: a busy machine is no failure."""
        self.platform.until(holds, what, MAX_WAIT_SECONDS)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the management API; a platform that is away for a moment is asked again."""
        answer: httpx2.Response | None = None

        def answered() -> bool:
            nonlocal answer
            with contextlib.suppress(httpx2.TransportError):
                answer = self.api.request(method, path, json=body)
            return answer is not None and answer.status_code not in {429, 503}

        self.until(answered, f"{method} {path}")
        assert answer is not None
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        return answer.json() if answer.content else None

    def _prepare(self) -> None:
        items = [{"item_id": item, "title": f"Item {item}"} for item in self.world.items]
        for start in range(0, len(items), 500):
            self.call("PUT", "/v1/items", {"items": items[start : start + 500]})
        metric = {"key": METRIC, "kind": "mean", "event": "click"}
        self.call("POST", "/v1/metrics", metric)
        surface = {
            "key": SURFACE,
            "list": "popular",  # the first champion
            "static_list": list(self.world.items[:10]),
            "liked_events": ["click"],
            "policy": self.pace.policy(),
        }
        self.call("PUT", "/v1/surfaces", surface)
        self.call("PATCH", f"/v1/surfaces/{SURFACE}/autopilot", self.pace.programme())
        clicks = [
            {"event_id": f"past-{n}", "name": "click", "unit_id": unit, "item_id": item}
            for n, (unit, item) in enumerate(self.world.past)
        ]
        for start in range(0, len(clicks), 500):
            self.call("POST", "/v1/events", {"events": clicks[start : start + 500]})

    def train(
        self, algorithm: str, params: Mapping[str, Any], meanwhile: Callable[[], None] | None = None
    ) -> str:
        """Train a version and wait until its gate let it through; return its label.

        Args:
            algorithm: of the version.
            params: of the algorithm.
            meanwhile: called when a process has begun.
        """
        path = f"/v1/surfaces/{SURFACE}/training-runs"
        run = self.call("POST", path, {"algorithm": algorithm, "params": dict(params)})

        def state() -> dict[str, Any]:
            runs: list[dict[str, Any]] = self.call("GET", f"{path}?limit=200")
            return next(one for one in runs if one["id"] == run["id"])

        if meanwhile is not None:
            self.until(lambda: state()["state"] == "running", f"the start of {algorithm}'s run")
            meanwhile()
        self.until(lambda: state()["state"] not in {"queued", "running"}, f"run of {algorithm}")
        ended = state()
        assert ended["state"] == "passed", ended
        return str(ended["version"])

    def champion(self) -> str:
        """The label of the version that is champion; nothing while there is none."""
        rows = self.query(
            "SELECT algorithm || '@' || number FROM inference_modelversion WHERE alias = 'champion'"
        )
        return str(rows[0][0]) if rows else ""

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run a statement and read its rows; a database that is away for a moment is asked again."""
        rows: list[tuple[Any, ...]] | None = None

        def answered() -> bool:
            nonlocal rows
            with contextlib.suppress(psycopg.OperationalError):
                rows = self._execute(sql, parameters).fetchall()
            return rows is not None

        self.until(answered, sql)
        return rows or []

    def _execute(self, sql: str, parameters: Sequence[Any]) -> psycopg.Cursor:
        # One connection: a new process of PostgreSQL for each question would take what the platform needs.
        if self._connection is None or self._connection.closed:
            self._connection = self.platform.database()
            self._connection.autocommit = True
        return self._connection.execute(sql, parameters or None)

    def schedule(self, algorithm: str, params: Mapping[str, Any] | None = None) -> None:
        """Retrain again and again, as every night; nothing for an empty name."""
        fields = {
            "retrain_algorithm": algorithm,
            "retrain_params": dict(params or {}),
            "retrain_every_seconds": MIN_RETRAIN_SECONDS,
        }
        # The API neither takes nor shows less than that, and a night is shorter here.
        self._execute("UPDATE inference_surface SET retrain_every_seconds = %s", [MIN_RETRAIN_SECONDS])
        self.call("PATCH", f"/v1/surfaces/{SURFACE}", fields)
        self._execute("UPDATE inference_surface SET retrain_every_seconds = 1", [])

    def settle(self) -> None:
        """Wait until no training goes on and nothing that passed waits to be refreshed or tested."""
        active = "SELECT 1 FROM inference_trainingrun WHERE state IN ('queued', 'running')"
        waiting = "SELECT 1 FROM inference_modelversion WHERE alias IN ('challenger', 'shadow')"
        self.until(
            lambda: not self.query(active) and not self.query(waiting), "what was trained has its place"
        )

    def params_of(self, challenger: Challenger) -> dict[str, Any]:
        """Return the recipe of a challenger."""
        return {"url": self.models.url_of(challenger.name), "deadline_ms": 5000}

    def register(self, challenger: Challenger, meanwhile: Callable[[], None] | None = None) -> str:
        """Train a challenger, so that its gate sees it; return its label."""
        label = self.train("endpoint", self.params_of(challenger), meanwhile)
        self.models.quality[challenger.name] = challenger.quality
        return label

    def place(self, challenger: Challenger) -> str:
        """Put a challenger where a training that passed its gate puts it, without one; return its label."""
        params = self.params_of(challenger)
        draft = ArtifactDraft(
            form="endpoint",
            arrays={"default_order": np.arange(len(self.world.items), dtype=np.int32)},
            item_ids=list(self.world.items),
            about=params | {"protocol": "json"},
        )
        artifact = save_artifact(self.platform.home / "artifacts", draft)
        self.models.quality[challenger.name] = challenger.quality
        number = self.query(
            """INSERT INTO inference_modelversion (surface_id, algorithm, number, alias, artifact_sha256,
                encoder_sha256, params, metrics, gate, code_version)
            SELECT surface.id, 'endpoint', (SELECT count(*) FROM inference_modelversion WHERE algorithm = 'endpoint') + 1, 'challenger',
                %s, '', %s, '{}', '{"passed": true, "rows": {}}', ''
            FROM inference_surface AS surface RETURNING number""",
            artifact,
            orjson.dumps(params).decode(),
        )[0][0]
        return f"endpoint@{number}"

    def refits_of(self, label: str) -> list[str]:
        """Return the versions that replaced one and its refits without a test, in their order."""
        rows = self.query(
            """SELECT promoted.algorithm || '@' || promoted.number
            FROM experiments_decision AS d
            JOIN inference_modelversion AS promoted ON promoted.id = d.promoted_id
            JOIN inference_modelversion AS first ON first.params = promoted.params
                AND first.algorithm = promoted.algorithm
            WHERE d.experiment_id IS NULL AND d.action = 'promote'
                AND d.reason LIKE 'refit%%' AND first.algorithm || '@' || first.number = %s
            ORDER BY d.id""",
            label,
        )
        return [str(row[0]) for row in rows]

    def decisions(self) -> list[tuple[str, str, str, str]]:
        """Every decision in its order: purpose (empty: no experiment), subject, action and reason."""
        rows = self.query(
            """SELECT coalesce(e.purpose, ''),
                coalesce(tested.algorithm || '@' || tested.number,
                    promoted.algorithm || '@' || promoted.number, ''), d.action, d.reason
            FROM experiments_decision AS d
            LEFT JOIN experiments_experiment AS e ON e.id = d.experiment_id
            LEFT JOIN experiments_variant AS v ON v.experiment_id = e.id AND NOT v.is_control
            LEFT JOIN inference_modelversion AS tested ON tested.id = v.model_version_id
            LEFT JOIN inference_modelversion AS promoted ON promoted.id = d.promoted_id
            ORDER BY d.id"""
        )
        return [(str(p), str(subject), str(a), str(reason)) for p, subject, a, reason in rows]

    def running(self, purpose: str) -> list[str]:
        """The keys of the running experiments of a purpose."""
        rows = self.query(
            "SELECT key FROM experiments_experiment WHERE purpose = %s AND state = 'running' ORDER BY id",
            purpose,
        )
        return [str(row[0]) for row in rows]

    def confirmed_by(self, label: str) -> list[str]:
        """The web processes that confirmed the end of a version's test; none until all of them have."""
        rows = self.query(
            """SELECT process.key, process.value <> 'null' FROM experiments_decision AS d
            JOIN experiments_variant AS v ON v.experiment_id = d.experiment_id
            JOIN inference_modelversion AS m ON m.id = v.model_version_id
            CROSS JOIN LATERAL jsonb_each(d.read_back) AS process
            WHERE NOT v.is_control AND m.algorithm || '@' || m.number = %s""",
            label,
        )
        return [str(process) for process, _ in rows] if all(confirmed for _, confirmed in rows) else []

    def change_policy(self, **changes: float) -> None:
        """Let the tests that start from now on have another policy."""
        policy = self.pace.policy() | changes
        self.call("PATCH", f"/v1/surfaces/{SURFACE}", {"policy": policy})

    def test_of(self, label: str) -> dict[str, Any] | None:
        """The test of a version: its key, state, allocation, last decision and why; None where it waits."""
        rows = self.query(
            """SELECT e.key, e.state, e.allocation, d.action, d.reason
            FROM experiments_experiment AS e JOIN experiments_variant AS v ON v.experiment_id = e.id
            JOIN inference_modelversion AS m ON m.id = v.model_version_id
            LEFT JOIN LATERAL (SELECT action, reason FROM experiments_decision
                WHERE experiment_id = e.id ORDER BY id DESC LIMIT 1) AS d ON true
            WHERE e.purpose = 'test' AND NOT v.is_control AND m.algorithm || '@' || m.number = %s""",
            label,
        )
        names = ("key", "state", "allocation", "action", "reason")
        return dict(zip(names, rows[0], strict=True)) if rows else None

    def follow(
        self, label: str, challenger: Challenger, meanwhile: Callable[[], None] | None = None
    ) -> str:
        """Let visitors come until a challenger's test has ended; break it on the way where it breaks.

        Args:
            label: the challenger's version.
            challenger: what it is.
            meanwhile: called while the test runs.

        Returns:
            The action of the test's decision.
        """
        self.visitors.resume()
        first = 2 * self.pace.ramp[0]["share"]

        def stands() -> dict[str, Any]:
            return self.test_of(label) or {"state": "waiting", "allocation": 0.0}

        waits = {"waiting", "draft"}
        self.until(lambda: stands()["state"] not in waits, f"the test of {label}")
        if challenger.breaks:
            self.until(lambda: stands()["allocation"] > first, f"a ramp step of {label}")
            self.models.broken.add(challenger.name)
        if meanwhile is not None:
            meanwhile()
        self.until(lambda: stands()["state"] == "ended", f"the end of {label}'s test")
        self.visitors.pause()
        return str(stands()["action"])
