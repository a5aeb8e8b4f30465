"""A running platform with many surfaces: versions are placed, users come and send events over HTTP."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import orjson
import psycopg

from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.serving.artifact import save_artifact
from inference.training.data import TrainingData
from tests.support.faults.platform import PlatformUnderTest
from tests.support.servers import WARM

ITEMS = [f"i{n}" for n in range(10)]
# A look is due only at the start: what ends a test meanwhile is the breaker.
POLICY = {
    "planned_units": 40_000,
    "minimum_run_seconds": 0.0,
    "window_seconds": 3600.0,
    "look_every_seconds": 86_400.0,
}
AT_ONCE = {
    "primary_metric": "clicks",
    "ramp": [{"share": 0.5, "minimum_seconds": 0}],
    "holdback_share": 0,
    "cooldown_days": 0,
}


@dataclass(frozen=True)
class Version:
    """A version that passed its gate.

    Attributes:
        algorithm: whose next number it gets.
        alias: its place; a challenger waits.
        data: the day on which its data end; None: unknown.
        likes: of the first item, so that versions of one algorithm differ.
        refit_of: the tested version that its gate found it not worse than, or nothing.
    """

    algorithm: str = "popularity"
    alias: str = "challenger"
    data: str | None = None
    likes: int = 1
    refit_of: str = ""

    def gate(self) -> dict[str, Any]:
        if not self.refit_of:
            return {"passed": True, "rows": {}}
        row = {"champion": 0.2, "challenger": 0.1999, "difference": -0.0001}
        refit = {
            "tested_version": self.refit_of,
            "against": "tested_version",
            "bounds": [],
            "metric": "ndcg",
            "units": 500,
            "rows": {"ndcg": row | {"interval": [-0.0041, 0.0039]}},
            "non_inferior": True,
            "superior": False,
            "reasons": [],
        }
        return {"passed": True, "rows": {}, "about": {"refit": refit}}


class Surfaces:
    """The platform, asked over HTTP; only versions are placed in its tables, as a training leaves them."""

    def __init__(self, home: Path) -> None:
        """Prepare a home with a short path."""
        self.platform = PlatformUnderTest(home, own_disk=False, interpreter=WARM)

    def __enter__(self) -> Surfaces:
        try:
            self.platform.start()
            headers = {"X-API-Key": self.platform.secret}
            self.api = httpx2.Client(base_url=self.platform.url, headers=headers, timeout=60)
            self._public = {"X-API-Key": self.platform.public}
            self._database = self.platform.database()
            self._database.autocommit = True
            items = [{"item_id": item, "title": f"Item {item}"} for item in ITEMS]
            self.call("PUT", "/v1/items", {"items": items})
        except BaseException:
            self.platform.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.api.close()
        self._database.close()
        self.platform.close()

    def until(self, holds: Callable[[], object], what: str) -> None:
        """Wait for a condition, generously: a busy machine is no failure."""
        self.platform.until(lambda: bool(holds()), what)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Ask with the secret key."""
        answer = self.api.request(method, path, json=body)
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        return answer.json() if answer.content else None

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        cursor: psycopg.Cursor = self._database.execute(sql, parameters or None)
        return cursor.fetchall() if cursor.description else []

    def open(self, surface: str, *, champion: Version | None = None, **programme: Any) -> None:
        """Create a surface with a champion and a programme; no primary metric where it is None."""
        self.call("PUT", "/v1/surfaces", {"key": surface, "static_list": ITEMS[:5], "policy": POLICY})
        settings = {name: value for name, value in (AT_ONCE | programme).items() if value is not None}
        self.call("PATCH", f"/v1/surfaces/{surface}/autopilot", settings)
        self.place(surface, champion or Version(alias="champion", likes=9))

    def place(self, surface: str, version: Version) -> str:
        """Put a version where a training that passed its gate puts it; return its label."""
        liked = [np.repeat(np.arange(len(ITEMS)), [version.likes] + [1] * (len(ITEMS) - 1))]
        draft = RECOMMENDERS["popularity"].fit(TrainingData(ITEMS, None, liked), FitOptions())
        draft.about["version"] = f"{surface}, {version}"  # versions of one artifact are one version
        artifact = save_artifact(self.platform.home / "artifacts", draft)
        ((surface_id, number),) = self.query(
            """SELECT s.id, count(v.id) + 1 FROM inference_surface AS s
            LEFT JOIN inference_modelversion AS v ON v.surface_id = s.id AND v.algorithm = %s
            WHERE s.key = %s GROUP BY s.id""",
            version.algorithm,
            surface,
        )
        self.query(
            """WITH data AS (
                INSERT INTO inference_snapshot (surface_id, sha256, rows, units, watermark)
                SELECT %s, md5(random()::text), 1, 1, %s::timestamptz WHERE %s::text IS NOT NULL RETURNING id
            )
            INSERT INTO inference_modelversion (surface_id, algorithm, number, alias, artifact_sha256,
                encoder_sha256, snapshot_id, params, metrics, gate, code_version)
            VALUES (%s, %s, %s, %s, %s, '', (SELECT id FROM data), '{}', '{}', %s, '')""",
            surface_id,
            version.data,
            version.data,
            surface_id,
            version.algorithm,
            number,
            version.alias,
            artifact,
            orjson.dumps(version.gate()).decode(),
        )
        return f"{version.algorithm}@{number}"

    def autopilot(self, surface: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.call("GET", f"/v1/surfaces/{surface}/autopilot")
        return shown

    def test(self, surface: str, purpose: str = "test") -> dict[str, Any]:
        """The experiment that the platform started on a surface; empty before there is one."""
        every = self.call("GET", "/v1/experiments?limit=1000")
        here = [one for one in every if (one["surface"], one["purpose"]) == (surface, purpose)]
        return here[0] if here else {}

    def decision(self, surface: str) -> dict[str, Any]:
        """How the test of a surface ended; empty before it has."""
        decisions = self.call("GET", f"/v1/experiments/{self.test(surface)['key']}/decisions")
        return decisions[0] if decisions else {}

    def report(self, surface: str, purpose: str = "test") -> dict[str, Any]:
        key = self.test(surface, purpose)["key"]
        report: dict[str, Any] = self.call("GET", f"/v1/experiments/{key}/report.json")
        return report

    def visit(self, surface: str, units: range) -> dict[str, list[tuple[str, str, str]]]:
        """Let users come; return unit, recommendation and first item of those of each variant."""
        arms = defaultdict(list)
        with httpx2.Client(base_url=self.platform.url, headers=self._public, timeout=60) as client:
            for number in units:
                unit = f"{surface}-{number}"
                answer = client.post(
                    "/v1/recommend", json={"surface": surface, "unit_id": unit, "k": 3}
                )
                assert answer.status_code == 200, answer.text
                slate = answer.json()
                item = slate["items"][0]["item_id"]
                arms[slate["variant"] or ""].append((unit, slate["recommendation_id"], item))
        return arms

    def act(self, name: str, arms: Mapping[str, list[tuple[str, str, str]]], **shares: float) -> None:
        """Let a share of the users of each variant, evenly spread, send an event."""
        events = [
            {
                "event_id": f"{slate}:{name}",
                "name": name,
                "unit_id": unit,
                "item_id": item,
                "recommendation_id": slate,
            }
            for variant, share in shares.items()
            for place, (unit, slate, item) in enumerate(arms[variant])
            if int((place + 1) * share) > int(place * share)
        ]
        answer = self.call("POST", "/v1/events", {"events": events})
        assert answer["accepted"] == len(events), answer

    def home_page(self) -> str:
        """The home page as the administrator of the first run sees it."""
        name, password = re.search(r"login\s+(\S+) / (\S+)", self.platform.output.read_text()).groups()
        with httpx2.Client(base_url=self.platform.url, follow_redirects=True, timeout=60) as browser:
            page = browser.get("/sign-in/").text
            token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', page)[1]
            body = {"csrfmiddlewaretoken": token, "username": name, "password": password}
            answer = browser.post(
                "/sign-in/", data=body, headers={"Referer": f"{self.platform.url}/sign-in/"}
            )
            assert answer.status_code == 200, answer.text[:2000]
            return answer.text
