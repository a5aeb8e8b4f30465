"""A project whose surface generates, on a provider of ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bakeoff.accounts.keys import PUBLIC, SECRET
from bakeoff.accounts.models import ApiKey, Project
from experiments.actions.add_prompt import add_prompt
from experiments.actions.change_surface import create_surface, patch_surface
from experiments.actions.define_experiment import define_experiment
from experiments.actions.experiment_draft import ExperimentDraft, ExperimentMetricDraft, VariantDraft
from experiments.actions.start_experiment import start_experiment
from experiments.models import Experiment, Metric, Slate
from inference.judging.questions import SCORE_PROMPT
from inference.models import ModelVersion, Surface
from tests.support import builders
from tests.support.fast_lane import FastLane
from tests.support.provider import KEY, TestProvider

ASK = [{"role": "user", "content": "Where is my order?"}]


JUDGE_VARIABLES = {
    name: {"max_length": 12_000} for name in ("rubric", "points", "conversation", "answer")
}
JUDGE = {
    "provider": "test", "model": "judge", "total_seconds": 1, "first_token_seconds": 1,
    "messages": [{"role": "user", "content": SCORE_PROMPT}], "variables": JUDGE_VARIABLES,
}  # fmt: skip


def write_providers(path: Path, provider: TestProvider, *others: str) -> Path:
    """Declare the provider as `test`, and others at addresses of their own."""
    lines = ["test:", f"  base_url: {provider.url}", "  prices:", "    '*': {input: 1, output: 2}"]
    path.write_text("\n".join([*lines, *others]) + "\n")
    return path


def prompt(text: str = "You help.", **fields) -> dict:
    messages = [{"role": "system", "content": text}]
    return {"provider": "test", "model": "small", "messages": messages} | fields


@dataclass
class Chat:
    """A project with a surface of kind generate."""

    lane: FastLane
    provider: TestProvider
    project: Project
    surface: Surface
    public: str
    secret: str
    versions: list[ModelVersion] = field(default_factory=list)

    def add(self, **fields) -> ModelVersion:
        version = add_prompt(surface=self.surface, data=prompt(**fields), by="a test")
        self.versions.append(version)
        self.lane.refresh()
        return version

    def set(self, **generate) -> None:
        patch_surface(surface=self.surface, changes={"generate": generate}, by="a test")
        self.lane.refresh()

    def ask(self, *, key: str | None = None, **fields):
        body = {"model": self.surface.key, "messages": ASK, "user": "u1", **fields}
        body = {name: value for name, value in body.items() if value is not ...}
        return self.lane.post("/v1/chat/completions", body, key or self.secret)

    def stream(self, **fields) -> list[str]:
        """The data of the events of a stream."""
        answer = self.ask(stream=True, **fields)
        assert answer.status_code == 200, answer.text
        return [line[6:] for line in answer.text.split("\n") if line.startswith("data: ")]

    def slates(self):
        return Slate.objects.filter(project=self.project).order_by("recommendation_id")

    def last(self) -> Slate:
        return self.slates().last()

    def experiment(
        self,
        *versions: ModelVersion,
        guardrails=(),
        breaker_alpha: float = 0.0,
        mode: str = "split",
        **policy,
    ) -> Experiment:
        """Start an experiment of the first version against the others, on thumbs."""
        metric, _ = Metric.objects.get_or_create(
            project=self.project, key="thumbs",
            defaults={"kind": "mean", "event": "feedback.thumb", "value": "sum"},
        )  # fmt: skip
        share = 1 / len(versions)
        names = ["control", *(f"treatment-{n}" for n in range(1, len(versions)))]
        drafted = define_experiment(
            ExperimentDraft(
                surface=self.surface,
                key=f"prompts-{next(builders._numbers)}",
                variants=[
                    VariantDraft(name, version, share, is_control=name == "control")
                    for name, version in zip(names, versions, strict=True)
                ],
                metrics=[ExperimentMetricDraft(metric), *guardrails],
                policy=policy,
                breaker_alpha=breaker_alpha,
                mode=mode,
            )
        )
        started = start_experiment(experiment=drafted, by="a test")
        self.lane.refresh()
        return started


def make_chat(lane: FastLane, provider: TestProvider, **generate) -> Chat:
    project = builders.make_project()
    surface = create_surface(
        project=project, key="support", values={"kind": "generate", "generate": generate}, by="a test"
    )
    _, public = ApiKey.make(project, PUBLIC, name="public")
    _, secret = ApiKey.make(project, SECRET, name="secret")
    return Chat(lane, provider, project, surface, public, secret)


def make_judge(chat, **fields):
    surface = create_surface(
        project=chat.project, key="judges", values={"kind": "generate"}, by="a test"
    )
    return add_prompt(surface=surface, data=JUDGE | fields, by="a test")


@pytest.fixture(scope="session")
def one_provider():
    provider = TestProvider()
    yield provider
    provider.stop()


@pytest.fixture
def provider(one_provider, monkeypatch, tmp_path):
    one_provider.reset()
    monkeypatch.setenv("BAKEOFF_PROVIDERS", str(write_providers(tmp_path / "p.yaml", one_provider)))
    monkeypatch.setenv("BAKEOFF_PROVIDER_KEY_TEST", KEY)
    monkeypatch.setenv("BAKEOFF_OUTGOING_ALLOW", "127.0.0.1")
    return one_provider


@pytest.fixture
def chat(lane, provider):
    """A surface with one version, known to the fast lane."""
    # Breakers remember what other tests did to the provider.
    lane.gateway._chain._breakers.clear()
    chat = make_chat(lane, provider)
    chat.add()
    return chat
