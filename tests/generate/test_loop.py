"""The closed loop: thumbs decide, cost holds back what is dearer, empty answers are switched off."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.utils import timezone

from experiments.actions.create_serving_metrics import create_serving_metrics
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.watch_experiment import watch_experiment
from experiments.models import Experiment, ExperimentMetric, Feedback
from experiments.tasks import take_due_look
from inference.models import ModelVersion
from tests.support import builders
from tests.support.builders import QUICK_POLICY
from tests.support.provider import says, sends, usage

POLICY = QUICK_POLICY | {"planned_units": 120, "look_every_seconds": 3600.0}
GUARDRAIL = ExperimentMetric.Role.GUARDRAIL
EMPTY = b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}]}'


def visit(chat, unit: str) -> str | None:
    """Ask, and raise or lower the thumb by what the answer is like."""
    answer = chat.ask(user=unit)
    if answer.status_code != 200:
        return None
    body = answer.json()
    thumb = 1 if body["choices"][0]["message"]["content"].startswith("Short") else -1
    feedback = {"unit_id": unit, "recommendation_id": body["id"], "kind": "thumb", "value": thumb}
    assert chat.lane.post("/v1/feedback", feedback, chat.secret).status_code == 202
    return body["bakeoff"]["variant"]


def visits(chat, count: int) -> list[str | None]:
    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(lambda n: visit(chat, f"u{n}"), range(count)))


@pytest.fixture
def rivals(chat):
    """The champion rambles; another is short."""
    other = chat.add(model="large")
    chat.provider.by_model = {"small": says("A long story."), "large": says("Short.")}
    return chat, other


def test_the_better_prompt_is_promoted_by_a_verdict(rivals):
    chat, other = rivals
    experiment = chat.experiment(chat.versions[0], other, **POLICY)
    variants = visits(chat, 130)
    assert set(variants) == {"control", "treatment-1"}
    look = look_at_experiment(experiment_id=experiment.pk, now=timezone.now() + timedelta(seconds=90))
    assert look.action == "ship"
    take_due_look(experiment.pk)
    other.refresh_from_db()
    assert other.alias == ModelVersion.Alias.CHAMPION
    chat.lane.refresh()
    # All but those whom the holdback keeps on the former champion, to see whether the gain lasts.
    answers = [chat.ask(user=f"later-{n}").json()["bakeoff"] for n in range(30)]
    served = {one["version"] for one in answers if one["variant"] != "former"}
    assert served == {other.label}
    assert Feedback.objects.filter(project=chat.project, variant__isnull=False).count() == 130


def test_one_that_is_better_and_dearer_is_held_back(rivals):
    chat, other = rivals
    chat.provider.by_model["large"] = says("Short.", tokens=usage(10, 500))
    cost = create_serving_metrics(chat.project, "generate")["serving-cost"]
    guardrail = builders.ExperimentMetricDraft(cost, GUARDRAIL, 0.2)
    experiment = chat.experiment(chat.versions[0], other, guardrails=[guardrail], **POLICY)
    visits(chat, 130)
    look = look_at_experiment(experiment_id=experiment.pk, now=timezone.now() + timedelta(seconds=90))
    assert look.action != "ship"
    other.refresh_from_db()
    assert other.alias != ModelVersion.Alias.CHAMPION
    (compared,) = [one for one in look.parsed_result.comparisons if one.metric == "serving-cost"]
    assert compared.harmed
    assert compared.effect.treatment > 10 * compared.effect.control


def test_empty_answers_are_switched_off_by_the_breaker(rivals):
    chat, other = rivals
    chat.provider.by_model["large"] = sends(EMPTY)
    errors = create_serving_metrics(chat.project, "generate")["serving-errors"]
    guardrail = builders.ExperimentMetricDraft(errors, GUARDRAIL, 0.2, 0.005)
    experiment = chat.experiment(
        chat.versions[0], other, guardrails=[guardrail], breaker_alpha=0.001, **POLICY
    )
    variants = visits(chat, 60)
    assert None in variants
    decision = watch_experiment(experiment=experiment, pause=timedelta(0))
    assert decision is not None, decision
    experiment = Experiment.objects.get(pk=experiment.pk)
    chat.lane.refresh()
    assert {chat.ask(user=f"v{n}").status_code for n in range(6)} == {200}
