"""A judge scores answers of an experiment in a worker: sampled, budgeted, repeated where it must be."""

from __future__ import annotations

import pytest

from experiments.actions.add_prompt import add_prompt
from experiments.actions.change_surface import create_surface
from experiments.actions.judge_answers import judge_answers, spent_today, surfaces_to_judge
from experiments.actions.plan_judging import plan_judging
from experiments.models import Judgement
from inference.actions.read_prompt import NoPromptError
from tests.support.generating import make_judge
from tests.support.provider import KEY, is_silent, refuses, says


def plan(chat, **changes):
    return plan_judging(surface=chat.surface, changes=changes, by="a test")


@pytest.fixture
def judged(chat, provider):
    """A running experiment with four answers, and a judge."""
    chat.set(store="full")
    chat.experiment(chat.versions[0], chat.add(text="You are brief."))
    judge = make_judge(chat)
    plan(chat, judge=f"judges/{judge.label}", rubric="Is it kind?", points=5)
    for n in range(4):
        assert chat.ask(user=f"u{n}").status_code == 200
    provider.by_model["judge"] = says('Here: {"score": 4, "rationale": "kind"}')
    return chat


def scores(chat):
    return list(Judgement.objects.filter(project=chat.project).values_list("score", flat=True))


def test_answers_are_judged_once_with_their_facts(judged, provider):
    assert list(surfaces_to_judge().filter(project=judged.project)) == [judged.surface]
    assert judge_answers(surface=judged.surface) == 4
    assert judge_answers(surface=judged.surface) == 0
    row = Judgement.objects.filter(project=judged.project).select_related("variant", "judge").first()
    assert (row.score, row.rationale, row.probability, row.error) == (0.75, "kind", 1.0, "")
    assert row.cost == pytest.approx(20e-6)  # 10 tokens in at 1, 5 out at 2 per million
    slate = judged.slates().get(pk=row.generation_id)
    assert (row.unit_id, row.variant_id) == (slate.unit_id, slate.variant_id)
    request = next(one for one in provider.requests if one["model"] == "judge")
    (message,) = request["messages"]
    for part in ("Is it kind?", "Where is my order?", "Hello there.", "to 5 (best)"):
        assert part in message["content"]
    assert "u0" not in message["content"]


def test_a_share_is_judged_and_the_day_has_a_budget(judged):
    changed = plan(judged, judge_share=0.0, label_share=0.0)
    assert judge_answers(surface=judged.surface) == 0
    changed = plan(judged, judge_share=1.0, daily_cost=30e-6)
    assert judge_answers(surface=judged.surface) == 2  # the second goes over, the third is not asked
    assert judge_answers(surface=judged.surface) == 0
    assert spent_today(changed) == pytest.approx(40e-6)


def test_what_cannot_be_read_is_asked_for_again_and_then_a_failure(judged, provider):
    provider.by_model["judge"] = says("I like it")
    judge_answers(surface=judged.surface)
    assert scores(judged) == [None] * 4
    row = Judgement.objects.filter(project=judged.project).first()
    assert row.error == "answer == 'I like it', must be a JSON object."
    assert row.cost == pytest.approx(40e-6)
    assert len([one for one in provider.requests if one["model"] == "judge"]) == 8


@pytest.mark.parametrize("behaviour", [refuses(500, KEY), is_silent()])
def test_a_provider_that_gives_nothing_leaves_no_row(judged, provider, behaviour, monkeypatch):
    monkeypatch.setattr("inference.judging.completion.PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("experiments.actions.judge_answers.MAX_SILENT", 1)
    provider.by_model["judge"] = behaviour
    assert judge_answers(surface=judged.surface) == 0
    assert scores(judged) == []
    provider.by_model["judge"] = says('{"score": 1}')
    judge_answers(surface=judged.surface)
    assert scores(judged) == [0.0] * 4


def test_a_judge_must_generate_and_take_an_answer(judged):
    other = add_prompt(
        surface=create_surface(
            project=judged.project, key="other", values={"kind": "generate"}, by="a test"
        ),
        data={"provider": "test", "model": "judge", "messages": [{"role": "user", "content": "Hello"}]},
        by="a test",
    )
    plan(judged, judge=f"other/{other.label}")
    with pytest.raises(NoPromptError, match="variables must have 'answer'"):
        judge_answers(surface=judged.surface)
