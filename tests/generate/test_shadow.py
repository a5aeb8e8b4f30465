"""Versions in shadow answer copies of requests, redacted, and nobody sees them."""

from __future__ import annotations

import pytest
from django.urls import reverse

from experiments.actions.erase_unit import erase_unit
from experiments.actions.judge_answers import judge_answers, surfaces_to_judge
from experiments.actions.plan_judging import plan_judging
from experiments.actions.shadow_version import shadow_version
from experiments.models import Exposure, Judgement
from experiments.reports.experiment_report import report_for_programs
from experiments.tasks import answer_waiting_shadows
from inference.cache import cache_client
from inference.models import ShadowAnswer, Surface
from inference.serving.keys import shadow_key
from tests.support.dashboard import sign_in
from tests.support.generating import make_judge
from tests.support.html import has
from tests.support.provider import completion, refuses, says
from tests.support.waiting import wait_until


@pytest.fixture
def shadowed(chat):
    """Two versions in shadow of which one needs a variable; every request is passed on."""
    for fields in ({"text": "You help {{ name }}.", "variables": {"name": {}}}, {}):
        version = chat.add(model="large", **fields)
        shadow_version(version=version, by="a test", reason="a test")
    Surface.objects.filter(pk=chat.surface.pk).update(shadow_share=1.0)
    chat.lane.refresh()
    return chat


def answers(chat) -> dict[str, ShadowAnswer]:
    """Ask, let a worker answer what was passed on, and return the answers by version."""
    chat.ask(messages=[{"role": "user", "content": "I am anna@example.com"}])
    cache = cache_client()
    wait_until(lambda: cache.llen(shadow_key(chat.surface.pk)))
    answer_waiting_shadows()
    last = chat.last().recommendation_id
    return {one.version.label: one for one in ShadowAnswer.objects.filter(recommendation_id=last)}


def test_a_shadow_answers_a_redacted_copy(shadowed):
    shadowed.provider.by_model = {"small": says("Hello there."), "large": says("Hello Anna.")}
    compared = answers(shadowed)
    assert "variables.name is missing" in compared["prompt@2"].error
    assert (compared["prompt@3"].error, compared["prompt@3"].overlap) == ("", pytest.approx(7 / 12))
    copies = [one for one in shadowed.provider.requests if one["model"] == "large"]
    assert [one["messages"][-1]["content"] for one in copies] == ["I am [email]"]
    stored = compared["prompt@3"]
    assert (stored.text, stored.unit_id, stored.tokens) == ("Hello Anna.", "u1", 15)
    assert stored.cost == pytest.approx(20e-6)
    shadowed.provider.by_model["large"] = refuses(500)
    assert "status == 500" in answers(shadowed)["prompt@3"].error
    assert {one.generation["version"] for one in shadowed.slates()} == {"prompt@1"}


def test_a_budget_ends_shadows_and_a_tool_is_called_by_nobody(shadowed):
    call = {"id": "c", "type": "function", "function": {"name": "refund", "arguments": "{}"}}
    asks = completion({"content": None, "tool_calls": [call]}, "tool_calls")
    shadowed.provider.by_model["large"] = lambda exchange: exchange.json(200, asks)
    called = answers(shadowed)["prompt@3"]
    assert (called.error, called.text) == (
        "NoTextError: the answer calls a tool, which is not carried out.", "",
    )  # fmt: skip
    shadowed.provider.by_model["large"] = says("Hello. Write to anna@example.com.")
    shadowed.set(budgets={"shadow": {"money": 10e-6}})
    assert answers(shadowed)["prompt@3"].text == "Hello. Write to [email]."
    before = len(shadowed.provider.requests)
    assert "prompt@3" not in answers(shadowed)  # the day's money is spent
    assert len(shadowed.provider.requests) == before + 1  # what was served
    shadowed.set(store="none", budgets={})
    assert answers(shadowed)["prompt@3"].text == ""


def test_a_judge_scores_shadows_beside_what_was_served_until_they_are_erased(shadowed):
    shadowed.provider.by_model["large"] = says("Hello Anna.")
    experiment = shadowed.experiment(shadowed.versions[0], shadowed.add(text="You are brief."))
    judge = make_judge(shadowed)
    plan_judging(surface=shadowed.surface, changes={"judge": f"judges/{judge.label}"}, by="a test")
    shadowed.provider.by_model["judge"] = scores_shadows_higher
    assert answers(shadowed)["prompt@3"].experiment_id == experiment.pk
    assert shadowed.surface in surfaces_to_judge()
    assert judge_answers(surface=shadowed.surface) == 2
    (row,) = Judgement.objects.filter(shadow__isnull=False)
    assert (row.score, row.experiment_id, row.unit_id) == (1.0, experiment.pk, "u1")
    quality = report_for_programs(experiment)["quality"]
    assert quality["judged"] == 1  # of what was served
    shown = {one["version"]: one for one in quality["shadows"]}
    assert (shown["prompt@2"]["errors"], shown["prompt@2"]["score"]) == (1, None)
    assert (shown["prompt@3"]["score"], shown["prompt@3"]["served_score"]) == (1.0, 0.0)
    assert Exposure.objects.filter(experiment=experiment).count() == 1
    page = sign_in(shadowed.project).get(
        reverse("report", args=[shadowed.project.slug, experiment.key])
    )
    assert has(page.content.decode(), data_shadow="prompt@3")
    shadowed.ask()
    cache = cache_client()
    wait_until(lambda: cache.llen(shadow_key(shadowed.surface.pk)))
    erase_unit(project_id=shadowed.project.pk, unit_id="u1", by="a test")
    assert cache.llen(shadow_key(shadowed.surface.pk)) == 0
    mine = ShadowAnswer.objects.filter(version__surface=shadowed.surface)
    assert not mine.filter(unit_id="u1").exists()
    assert not Judgement.objects.filter(experiment=experiment).exists()


def test_who_is_erased_while_a_shadow_answers_leaves_no_text(shadowed):
    def erase_and_answer(exchange) -> None:
        erase_unit(project_id=shadowed.project.pk, unit_id="u1", by="a test")
        says("Hello Anna.")(exchange)

    shadowed.provider.by_model["large"] = erase_and_answer
    shadowed.ask()
    cache = cache_client()
    wait_until(lambda: cache.llen(shadow_key(shadowed.surface.pk)))
    answer_waiting_shadows()
    assert not shadowed.slates().exists()
    stored = ShadowAnswer.objects.get(version=shadowed.versions[-1])
    assert (stored.error, stored.text, stored.unit_id) == ("", "", "")
    assert stored.cost > 0


def scores_shadows_higher(exchange) -> None:
    shadow = "Hello Anna." in exchange.body["messages"][0]["content"]
    says('{"score": 5}' if shadow else '{"score": 1}')(exchange)
