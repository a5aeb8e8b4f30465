"""A support chat on the embedded model: two prompts, visitors who like answers of one form, a verdict.

The visitors' questions are fixed, the answers are the model's own. A visitor who gets a whole sentence
is content three times in four, one whose answer is cut off once in four; a hash says which of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx2

from bakeoff.accounts.actors import OPERATOR
from bakeoff.accounts.create_project import create_numbered_project
from bakeoff.accounts.edit_keys import KeyDraft, make_key
from bakeoff.accounts.keys import PUBLIC, SECRET
from bakeoff.replay.checks import check_decision
from bakeoff.replay.following import (
    VERDICT_SECONDS,
    ReplayError,
    describe_experiment,
    follow_experiment,
    wait_until,
)
from experiments.actions.add_prompt import add_prompt
from experiments.actions.change_surface import put_surface
from experiments.actions.create_metric import create_metric
from experiments.actions.define_experiment import define_experiment
from experiments.actions.experiment_draft import ExperimentDraft, ExperimentMetricDraft, VariantDraft
from experiments.actions.start_experiment import start_experiment
from experiments.models import Metric
from inference.cache import cache_client
from inference.models import Surface
from inference.providers import LOCAL
from inference.serving.changes import announce_change, read_back

if TYPE_CHECKING:
    from collections.abc import Callable

    from bakeoff.replay.reporter import Reporter
    from experiments.models import Experiment
    from inference.models import ModelVersion

VISITORS = 240
CONNECTIONS = 4  # as many as the embedded model has slots
# From the exposure, which is when the model is asked: an answer of a busy machine takes a while, and a
# thumb that comes later would not count.
WINDOW_SECONDS = 45.0
BUDGET_SECONDS = 360.0  # that the whole may take on two cores
READY_SECONDS = 300.0  # the first time, 98 MB are downloaded
ANSWER_SECONDS = 120.0  # of a machine that does other things besides
CONTENT_WITH_WHOLE, CONTENT_WITH_CUT = 0.75, 0.25
MAX_TOKENS = 16
SHOP = "You are the support agent of a web shop."
DETAILED = [{"role": "system", "content": f"{SHOP} Explain everything in detail."}]
BRIEF = [
    {"role": "system", "content": f"{SHOP} Answer in one short sentence."},
    {"role": "user", "content": "Can I pay by card?"},
    {"role": "assistant", "content": "Yes, we take all cards."},
    {"role": "user", "content": "When does my parcel come?"},
    {"role": "assistant", "content": "It comes in two days."},
]
# What a page may send with its public key.
QUESTION = {"role": "user", "content": "{{ question }}"}
VARIABLES = {"question": {"max_length": 300}}
POLITE = [*BRIEF[:-1], {"role": "assistant", "content": "Thank you for asking: in two days."}]
# A person tries the chat by its page: a day of it costs no more than this.
PUBLIC_SETTINGS = {
    "public": True,
    "budgets": {"unit": {"tokens": 20_000}, "address": {"tokens": 1_000_000}},
}
# Of the experiment that is left open for people: as few visitors as one person plays.
OPEN_VISITORS, OPEN_NONZERO, OPEN_WINDOW_SECONDS = 40, 5, 60.0
QUESTIONS = (
    "Where is my order?",
    "How do I return a pair of shoes?",
    "Can I change my address?",
    "Do you ship to Canada?",
    "My voucher does not work.",
    "Is the blue jacket in stock?",
    "How long is the warranty?",
    "I was charged twice.",
)


def is_content(unit: str, *, is_whole: bool) -> bool:
    """Whether a visitor likes an answer, by its form and the visitor's own luck."""
    digest = hashlib.sha256(f"content:{unit}".encode()).digest()
    luck = int.from_bytes(digest[:8]) / 2**64
    return luck < (CONTENT_WITH_WHOLE if is_whole else CONTENT_WITH_CUT)


def pace_sentence(seconds: float, started: float) -> str:
    """Return how fast answers came, and how many a demonstration of six minutes has room for.

    Args:
        seconds: in which all visitors were answered.
        started: seconds from the command to the first visitor.
    """
    room = max(0.0, BUDGET_SECONDS - started - WINDOW_SECONDS - VERDICT_SECONDS)
    return (
        f"{VISITORS} answers in {seconds:.0f} s, {started:.0f} s after the start; "
        f"{BUDGET_SECONDS / 60:.0f} minutes have room for {room * VISITORS / seconds:.0f}."
    )


@dataclass(slots=True)
class ChatResult:
    """What came of it.

    Attributes:
        winner: the version that should be champion now.
        champion: the one that is.
        whole: by version, how many of its answers were whole sentences, and how many there were.
        example: an answer of each version.
        public_key: with which the page of the demonstration asks.
    """

    project: str
    public_key: str = ""
    winner: str = ""
    champion: str = ""
    experiment: dict[str, Any] = field(default_factory=dict)
    whole: dict[str, tuple[int, int]] = field(default_factory=dict)
    example: dict[str, str] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` writes."""
        return {
            "champion": self.champion,
            "experiment": self.experiment,
            "whole_answers": self.whole,
            "examples": self.example,
        }


class SupportChat:
    """One run, in a new project."""

    def __init__(
        self, *, url: str, local: str, model: str, seed: int, began: float, reporter: Reporter
    ) -> None:
        """Fix the plan.

        Args:
            began: when the command began, by the monotonic clock.
            url: of the running platform.
            local: of the embedded model.
            model: its name there.
            seed: of the assignment.
            reporter: takes lines and progress.
        """
        self._url, self._local, self._model = url, local, model
        self._seed, self._began, self._reporter = seed, began, reporter

    def run(self, *, open_another: bool = False) -> ChatResult:
        """Run the loop once.

        Args:
            open_another: whether a second experiment is left running, for people who try the chat.

        Raises:
            ReplayError: it stopped; the message says where and why.
        """
        self._load_model()
        project = create_numbered_project(prefix="chat", name="Support chat", by=OPERATOR)
        _, self._key = make_key(project=project, draft=KeyDraft(SECRET, "chat"), by=OPERATOR)
        _, public = make_key(project=project, draft=KeyDraft(PUBLIC, "page"), by=OPERATOR)
        self._surface = put_surface(
            project=project,
            key="support",
            values={
                "kind": Surface.Kind.GENERATE,
                "seed": f"seed-{self._seed}",
                "generate": PUBLIC_SETTINGS,
            },
            replace=False,
            by=OPERATOR,
        )
        detailed, brief = self._add("detailed", DETAILED), self._add("brief", BRIEF)
        result = ChatResult(project.slug, public, winner=str(brief))
        experiment = self._start("brief-or-detailed", detailed, brief, self._policy())
        ready = time.monotonic()
        with self._reporter.progress(f"Visitors ask the chat ({experiment})", VISITORS) as advance:
            asyncio.run(self._send(result, advance))
        seconds = time.monotonic() - ready
        self._reporter.echo(pace_sentence(seconds, ready - self._began))
        for version, (whole, answers) in sorted(result.whole.items()):
            self._reporter.echo(
                f"{version} gave {answers} answers, {whole} of them whole; "
                f"one is: {result.example[version]}"
            )
        verdict = follow_experiment(experiment, self._reporter, window_seconds=WINDOW_SECONDS)
        result.differences += check_decision(experiment, self._reporter)
        result.experiment = describe_experiment(experiment, verdict)
        champion = self._surface.versions.champions().first()
        result.champion = str(champion) if champion is not None else ""
        if open_another and champion is not None:
            polite = self._add("polite", POLITE)
            few = {"planned_units": OPEN_VISITORS, "minimum_nonzero": OPEN_NONZERO}
            self._start(
                "brief-or-polite",
                champion,
                polite,
                self._policy(**few, window_seconds=OPEN_WINDOW_SECONDS),
            )
        return result

    def _load_model(self) -> None:
        """Wait until the embedded model has answered once."""
        request = {
            "model": self._model,
            "messages": [{"role": "user", "content": "hello"}],
            "max_tokens": 1,
        }

        def answers() -> bool:
            try:
                answer = httpx2.post(
                    f"{self._local}/v1/chat/completions", json=request, timeout=ANSWER_SECONDS
                )
            except httpx2.TransportError:  # it starts
                return False
            if answer.status_code not in {200, 504}:
                raise ReplayError(f"the embedded model answered {answer.status_code}: {answer.text}")
            return answer.status_code == 200

        self._reporter.echo(f"Loading {self._model} in a process of its own.")
        wait_until(answers, "the embedded model's first answer", seconds=READY_SECONDS)

    def _add(self, name: str, messages: list[dict[str, str]]) -> ModelVersion:
        data = {
            "provider": LOCAL,
            "model": self._model,
            "messages": [*messages, QUESTION],
            "variables": VARIABLES,
            "parameters": {"max_tokens": MAX_TOKENS, "temperature": 0.7},
            "first_token_seconds": ANSWER_SECONDS,
            "total_seconds": ANSWER_SECONDS,
        }
        return add_prompt(surface=self._surface, data=data, by=OPERATOR, algorithm=name)

    def _policy(self, **changes: Any) -> dict[str, Any]:
        return {
            "rule": "group_sequential",
            "reserve": 0.0,
            "planned_units": VISITORS,
            "overrun": 1.0,
            "minimum_nonzero": 25,
            "minimum_run_seconds": 0.0,
            "window_seconds": WINDOW_SECONDS,
            "look_every_seconds": 1.0,
            "twyman_limit": 0.0,
        } | changes

    def _start(
        self, key: str, control: ModelVersion, treatment: ModelVersion, policy: dict[str, Any]
    ) -> Experiment:
        """Start an experiment on the thumbs; return it when serving has confirmed it."""
        draft = ExperimentDraft(
            surface=self._surface,
            key=key,
            variants=[
                VariantDraft("control", control, 0.5, is_control=True),
                VariantDraft("treatment", treatment, 0.5, is_control=False),
            ],
            metrics=[ExperimentMetricDraft(self._thumbs())],
            policy=policy,
        )
        started = start_experiment(experiment=define_experiment(draft), by=OPERATOR)
        announce_change(cache_client())
        read_back(cache_client(), "experiment", self._surface.pk, started.pk, seconds=10)
        return started

    def _thumbs(self) -> Metric:
        project = self._surface.project
        if known := Metric.objects.filter(project=project, key="thumbs").first():
            return known
        thumbs = Metric(
            project=project,
            key="thumbs",
            name="thumbs up, less thumbs down",
            kind=Metric.Kind.MEAN,
            event="feedback.thumb",
            value=Metric.Value.SUM,
        )
        create_metric(metric=thumbs, by=OPERATOR)
        return thumbs

    async def _send(self, result: ChatResult, advance: Callable[[int], None]) -> None:
        waiting = list(range(VISITORS))[::-1]
        headers = {"Authorization": f"Bearer {self._key}"}
        async with httpx2.AsyncClient(
            base_url=self._url, headers=headers, timeout=ANSWER_SECONDS
        ) as client:

            async def work() -> None:
                while waiting:
                    await self._visit(client, waiting.pop(), result)
                    advance(1)

            await asyncio.gather(*(work() for _ in range(CONNECTIONS)))

    async def _visit(self, client: httpx2.AsyncClient, number: int, result: ChatResult) -> None:
        """Ask one question, and raise or lower the thumb."""
        unit = f"visitor-{number}"
        question = QUESTIONS[number % len(QUESTIONS)]
        body = {
            "model": self._surface.key,
            "user": unit,
            "variables": {"question": question},
            "seed": number,
        }
        answer = await client.post("/v1/chat/completions", json=body)
        if answer.status_code != 200:
            raise ReplayError(f"the chat answered {answer.status_code}: {answer.text[:200]}")
        served = answer.json()
        choice, version = served["choices"][0], served["bakeoff"]["version"]
        is_whole = choice["finish_reason"] == "stop"
        whole, answers = result.whole.get(version, (0, 0))
        result.whole[version] = (whole + is_whole, answers + 1)
        text = " ".join(str(choice["message"]["content"]).split())
        result.example.setdefault(version, f"“{question}” “{text}”")
        feedback = {
            "recommendation_id": served["id"],
            "unit_id": unit,
            "kind": "thumb",
            "value": 1 if is_content(unit, is_whole=is_whole) else -1,
        }
        sent = await client.post("/v1/feedback", json=feedback)
        if sent.status_code != 202:
            raise ReplayError(f"/v1/feedback answered {sent.status_code}: {sent.text[:200]}")
