"""The loop on labelled texts: the earlier ones are learnt from, the later ones are asked as visitors.

Each later text is one visitor, who asks once and corrects the answer with its true label. The baseline
is champion; the challenger, compressed to int8 where it has an encoder, meets it in an experiment whose
metric is the accuracy against corrections.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx2

from bakeoff.accounts.actors import OPERATOR
from bakeoff.accounts.create_project import create_numbered_project
from bakeoff.accounts.edit_keys import KeyDraft, make_key
from bakeoff.accounts.keys import PUBLIC
from bakeoff.replay.checks import check_decision
from bakeoff.replay.following import (
    ReplayError,
    describe_experiment,
    follow_experiment,
    follow_run,
    wait_until,
)
from bakeoff.replay.plan import programme_on
from experiments.actions.change_programme import change_programme
from experiments.actions.change_surface import patch_surface, put_surface
from experiments.actions.create_metric import create_metric
from experiments.actions.load_labelled_texts import load_labelled_texts
from experiments.actions.retrain_surface import retrain_surface
from experiments.models import Experiment, Metric
from inference.actions.example_draft import ExampleDraft
from inference.actions.move_alias import move_alias
from inference.actions.queue_compression import queue_compression
from inference.cache import cache_client
from inference.evaluation.gate import GateResult
from inference.models import Surface
from inference.serving.changes import announce_change, read_back

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.data_files.labelled import LabelledRow
    from bakeoff.replay.reporter import Reporter
    from inference.models import ModelVersion

BASELINE = "tfidf"
# Two cores answer no faster with more.
CONNECTIONS = 8
# A visitor corrects the answer at once; the window only has to be longer than that.
WINDOW_SECONDS = 5.0


@dataclass(slots=True)
class LabelledResult:
    """What came of it.

    Attributes:
        accuracy: by version, of what it served to visitors: share right, and how many.
        fallbacks: answers that were fallbacks.
    """

    project: str
    champion: str = ""
    refused: list[str] = field(default_factory=list)
    experiments: list[dict[str, Any]] = field(default_factory=list)
    accuracy: dict[str, tuple[float, int]] = field(default_factory=dict)
    fallbacks: int = 0
    differences: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return {
            "champion": self.champion,
            "refused": self.refused,
            "experiments": self.experiments,
            "accuracy": self.accuracy,
            "fallbacks": self.fallbacks,
        }


class LabelledReplay:
    """One replay, in a new project."""

    def __init__(
        self,
        past: Sequence[LabelledRow],
        visitors: Sequence[LabelledRow],
        *,
        url: str,
        challenger: str,
        seed: int,
        reporter: Reporter,
    ) -> None:
        """Fix the plan.

        Args:
            past: what is learnt from.
            visitors: what is asked.
            url: of the running platform.
            challenger: what meets the baseline.
            seed: of the visitors' order and the assignment.
            reporter: takes lines and progress.
        """
        self._reporter = reporter
        self._past, self._url, self._challenger, self._seed = past, url, challenger, seed
        self._visitors = random.Random(seed).sample(list(visitors), len(visitors))  # noqa: S311
        self._right: dict[str, list[bool]] = {}
        self._fallbacks = 0

    def run(self) -> LabelledResult:
        """Run the loop once.

        Raises:
            ReplayError: it stopped; the message says where and why.
        """
        self._project = create_numbered_project(prefix="labelled", name="Labelled texts", by=OPERATOR)
        draft = KeyDraft(PUBLIC, "visitors")
        _, self._key = make_key(project=self._project, draft=draft, by=OPERATOR)
        self._make_surface()
        result = LabelledResult(self._project.slug)
        baseline = self._train(BASELINE, result)
        if baseline.passed_gate:
            wait_until(lambda: self._surface.versions.champions().exists(), "the first champion")
            self._reporter.echo(f"{baseline} is the first champion.")
        challenger = self._train(self._challenger, result)
        if challenger.passed_gate and baseline.passed_gate:
            # Only now: the experiment of the challenger's parent would be in the way.
            patch_surface(surface=self._surface, changes={"start_experiments": True}, by=OPERATOR)
            experiments = Experiment.objects.tests().filter(variants__model_version=challenger)
            wait_until(experiments.exists, f"the experiment of {challenger}")
            self._compete(experiments.get(), result)
        champion = self._surface.versions.champions().first()
        result.champion = str(champion) if champion is not None else ""
        result.accuracy = {
            model: (sum(right) / len(right), len(right)) for model, right in self._right.items()
        }
        result.fallbacks = self._fallbacks
        for model, (share, count) in sorted(result.accuracy.items()):
            self._reporter.echo(f"{model} served {count} visitors, {share:.4f} of them right.")
        self._reporter.echo(f"{result.fallbacks} answers were fallbacks.")
        return result

    def _make_surface(self) -> None:
        values = {
            "kind": Surface.Kind.CLASSIFY,
            "seed": f"seed-{self._seed}",
            "start_experiments": False,
            "policy": {
                "rule": "group_sequential",
                "reserve": 0.0,
                "planned_units": max(len(self._visitors), 2),
                "overrun": 1.0,
                "minimum_nonzero": 25,
                "minimum_run_seconds": 0.0,
                "window_seconds": WINDOW_SECONDS,
                "look_every_seconds": 1.0,
                "twyman_limit": 0.0,
            },
        }
        self._surface = put_surface(
            project=self._project, key="labels", values=values, replace=False, by=OPERATOR
        )
        accuracy = Metric(
            project=self._project,
            key="accuracy",
            name="accuracy against corrections",
            kind=Metric.Kind.RATIO,
            event="feedback.correction",
            value=Metric.Value.SUM,
            denominator="feedback.correction",
        )
        create_metric(metric=accuracy, by=OPERATOR)
        change_programme(surface=self._surface, changes=programme_on(accuracy), by=OPERATOR)
        with self._reporter.progress("Loading labelled texts", len(self._past)) as advance:
            load_labelled_texts(
                surface=self._surface,
                examples=(
                    ExampleDraft(f"past:{n}", row.text, row.label, row.features)
                    for n, row in enumerate(self._past)
                ),
                by=OPERATOR,
                progress=advance,
            )

    def _train(self, model: str, result: LabelledResult) -> ModelVersion:
        """Train, compress what has an encoder, and say what the gate said."""
        version = follow_run(
            retrain_surface(surface=self._surface, algorithm=model, trigger=OPERATOR), self._reporter
        )
        self._report_gate(version)
        if version.passed_gate and version.encoder_sha256 and model != BASELINE:
            version = follow_run(
                queue_compression(version=version, how="int8", size=0, trigger=OPERATOR), self._reporter
            )
            self._report_gate(version)
            self._stand_back(version.parent)
        if not version.passed_gate:
            result.refused.append(str(version))
        return version

    def _stand_back(self, parent: ModelVersion | None) -> None:
        """Make the parent of a compressed version a candidate: the loop gives it no experiment."""
        if parent is not None and parent.alias == parent.Alias.CHALLENGER:
            move_alias(
                version=parent,
                to=parent.Alias.CANDIDATE,
                by=OPERATOR,
                reason="its compressed version competes",
            )

    def _report_gate(self, version: ModelVersion) -> None:
        gate = GateResult.from_json(version.gate)
        verb = "passed" if gate.passed else "was refused by"
        row = gate.rows["accuracy"]
        self._reporter.echo(
            f"{version} {verb} the gate: accuracy {row['challenger']:.4f}, {gate.rival} "
            f"{row['champion']:.4f}, {gate.units} examples. {'; '.join(gate.reasons)}"
        )

    def _compete(self, experiment: Experiment, result: LabelledResult) -> None:
        announce_change(cache_client())
        read_back(cache_client(), "experiment", self._surface.pk, experiment.pk, seconds=10)
        time.sleep(5)  # the worker loads ahead what serves
        with self._reporter.progress(f"Visitors meet {experiment}", len(self._visitors)) as advance:
            asyncio.run(self._send(advance))
        verdict = follow_experiment(experiment, self._reporter, window_seconds=WINDOW_SECONDS)
        result.differences += check_decision(experiment, self._reporter)
        result.experiments.append(describe_experiment(experiment, verdict))

    async def _send(self, advance: Any) -> None:
        waiting = list(enumerate(self._visitors))[::-1]
        headers = {"Authorization": f"Bearer {self._key}"}
        async with httpx2.AsyncClient(base_url=self._url, headers=headers, timeout=20) as client:

            async def work() -> None:
                while waiting:
                    await self._ask(client, *waiting.pop())
                    advance(1)

            await asyncio.gather(*(work() for _ in range(CONNECTIONS)))

    async def _ask(self, client: httpx2.AsyncClient, number: int, row: LabelledRow) -> None:
        unit = f"visitor-{number}"
        body = {"surface": "labels", "unit_id": unit, "text": row.text, "features": dict(row.features)}
        answer = await client.post("/v1/classify", json=body)
        if answer.status_code != 200:
            raise ReplayError(f"/v1/classify answered {answer.status_code}: {answer.text[:200]}")
        served = answer.json()
        self._fallbacks += served["fallback"] is not None
        self._right.setdefault(served["model"], []).append(served["labels"][0]["label"] == row.label)
        correction = {
            "recommendation_id": served["recommendation_id"],
            "unit_id": unit,
            "kind": "correction",
            "value": row.label,
        }
        sent = await client.post("/v1/feedback", json=correction)
        if sent.status_code != 202:
            raise ReplayError(f"/v1/feedback answered {sent.status_code}: {sent.text[:200]}")
