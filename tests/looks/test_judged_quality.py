"""Answers are drawn, rated by two people and judged; the report combines them."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from uuid import uuid4

import orjson
import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils.translation import override
from openpyxl import load_workbook

from bakeoff.accounts.models import AuditEntry, Membership
from experiments.actions import sample_answers as sampling
from experiments.actions.delete_old_answers import delete_old_answers
from experiments.actions.erase_unit import erase_unit
from experiments.actions.exclude_units import exclude_units
from experiments.actions.export_unit import export_unit
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.plan_judging import CannotPlanJudgingError, judging_settings, plan_judging
from experiments.actions.rate_answer import CannotRateError, next_answer_to_rate, rate_answer
from experiments.ingest.rows import Rows
from experiments.models import Judgement, Look, SampledAnswer
from experiments.reports.downloads import csv_of, workbook_of
from experiments.reports.experiment_report import report_for_programs, report_on
from experiments.reports.judged_quality import judged_quality_of
from experiments.reports.stored_quality import current_quality, quality_over_time
from experiments.stats.ppi import MIN_LABELLED_UNITS
from experiments.tasks import sample_answers_to_rate
from inference.models import Surface
from tests.support import builders, rated_answers


def draw_of(generation_id: str) -> float:
    digest = sha256(f"judge:{generation_id}".encode()).digest()
    return (int.from_bytes(digest[:7], "big") >> 3) / 2**53


def test_answers_are_drawn_by_a_hash_of_their_id_alone(shop):
    experiment = shop.run_experiment()
    rated_answers.plan(shop, label_share=0.5, points=2)
    rows = [rated_answers.generation(shop, experiment, f"u{n}") for n in range(40)]
    left_out = [
        rated_answers.generation(shop, experiment, "forced", forced=True),
        rated_answers.generation(shop, experiment, "excluded"),
        rated_answers.generation(shop, experiment, "no-text", context={}),
        rated_answers.generation(shop, experiment, "no-experiment", experiment_id=None),
    ]
    exclude_units(project_id=shop.project.pk, unit_ids=["excluded"], by="a test")
    builders.write(Rows(slates=[*rows, *left_out]))
    for _ in range(2):  # drawn again, an answer is one
        sample_answers_to_rate()
    drawn = {str(one.generation_id): one for one in SampledAnswer.objects.filter(experiment=experiment)}
    expected = {row.recommendation_id for row in rows if draw_of(row.recommendation_id) < 0.5}
    assert set(drawn) == expected
    one = drawn[next(iter(expected))]
    assert (one.draw, one.probability, one.points) == (draw_of(str(one.generation_id)), 0.5, 2)


def test_of_too_many_the_smallest_numbers_stay(shop, monkeypatch):
    monkeypatch.setattr(sampling, "MAX_OPEN", 3)
    experiment = shop.run_experiment()
    rated_answers.plan(shop, label_share=1.0)
    rated_answers.generate(shop, experiment, 8)
    assert sampling.sample_answers(experiment=experiment) == 8
    draws = SampledAnswer.objects.filter(experiment=experiment).values_list("draw", flat=True)
    assert len(draws) == 3
    first = next_answer_to_rate(project=shop.project, reviewer="ann")
    assert first.answer.draw == min(draws)
    assert (first.messages, first.text) == ([("user", rated_answers.QUESTION)], rated_answers.ANSWER)


def test_two_people_rate_on_the_feedback_page(shop):
    experiment = shop.run_experiment()
    rated_answers.plan(shop, label_share=1.0, points=5, rubric="Is it friendly?")
    rated_answers.generate(shop, experiment, 1)
    sampling.sample_answers(experiment=experiment)
    page = reverse("feedback", args=[shop.project.slug])
    clients = []
    for name, role in (("ann", "analyst"), ("bob", "analyst"), ("eve", "viewer")):
        user = User.objects.create_user(f"{name}-{shop.project.pk}")
        Membership.objects.create(project=shop.project, user=user, role=role)
        clients.append(Client())
        clients[-1].force_login(user)
    first, second, viewer = clients
    shown = first.get(page).content.decode()
    assert rated_answers.ANSWER in shown
    assert "Is it friendly?" in shown
    assert rated_answers.ANSWER not in viewer.get(page).content.decode()
    answer = SampledAnswer.objects.get(experiment=experiment)
    body = {"answer": str(answer.pk), "point": "4"}
    assert viewer.post(page, body).status_code == 403
    first.post(page, body)
    assert rated_answers.ANSWER not in first.get(page).content.decode()
    second.post(page, body | {"point": "9"})  # not on the scale: a message, and nothing stored
    second.post(page, body | {"point": "5"})
    answer.refresh_from_db()
    assert (answer.state, answer.score) == ("rated", 0.875)
    with pytest.raises(CannotRateError, match="must be open; it is rated"):
        rate_answer(answer=answer, point=1, by="somebody else")
    with pytest.raises(CannotRateError, match=r"point == 6, must be in \[1, 5\]"):
        rate_answer(answer=answer, point=6, by="somebody else")
    actions = AuditEntry.objects.filter(project=shop.project).values_list("action", flat=True)
    assert list(actions).count("rate answer") == 2


def test_the_report_combines_a_biased_judge_with_people(shop):
    experiment = shop.run_experiment()
    judge = rated_answers.make_judge(shop)
    rated_answers.plan(shop, label_share=1.0, points=5, judge=f"judges/{judge.label}")
    assert judged_quality_of(experiment) is None
    rated_answers.generate(shop, experiment, 120)
    sampling.sample_answers(experiment=experiment)
    rated_answers.judge_all(experiment, judge, bias=0.2)
    quality = judged_quality_of(experiment)
    (row,) = quality.rows
    alone, people, combined = row.estimates
    assert alone.ci[0] > 0.05  # the judge prefers the treatment
    for one in (people, combined):
        assert one.ci[0] < 0 < one.ci[1]  # people do not
        assert one.ci[0] < one.ci_of_one_look[0] < one.ci_of_one_look[1] < one.ci[1]
    assert combined.se < people.se
    assert (people.users, alone.users) == (120, 240)
    assert (quality.judged, quality.rated, quality.waiting) == (240, 120, 0)
    assert 0.3 < quality.agreement.kappa < 1
    assert quality.agreement.interval[0] < quality.agreement.kappa < quality.agreement.interval[1]
    assert quality.between_people.kappa > 0.7
    with override("en"):
        assert judged_quality_of(experiment).rows[0].sentence.startswith("No clear difference")
    names = load_workbook(io.BytesIO(workbook_of(report_on(experiment)))).sheetnames
    assert names == [
        "Verdict", "Metrics", "Variants", "Quality", "Quality over time", "Looks", "Decisions",
    ]  # fmt: skip
    report = report_for_programs(experiment)["quality"]
    assert [one["source"] for one in report["rows"][0]["estimates"]] == ["judge", "people", "combined"]
    page = sign_in(shop).get(reverse("report", args=[shop.project.slug, experiment.key]))
    shown = page.content.decode()
    assert "Judge and people" in shown
    assert "The judge alone decides nothing" in shown
    chinese = sign_in(shop, "reader-zh").get(
        reverse("report", args=[shop.project.slug, experiment.key]),
        headers={"accept-language": "zh-hans"},
    )
    shown = chinese.content.decode()
    assert "评审模型与人工结合" in shown
    assert "People alone" not in shown


def test_looks_keep_the_quality_of_their_time(shop):
    experiment = shop.run_experiment()
    Surface.objects.filter(pk=shop.surface.pk).update(kind=Surface.Kind.GENERATE)
    judge = rated_answers.make_judge(shop)
    rated_answers.plan(shop, label_share=1.0, points=5, judge=f"judges/{judge.label}")
    rated_answers.generate(shop, experiment, 120)
    sampling.sample_answers(experiment=experiment)
    rated_answers.judge_all(experiment, judge, bias=0.2)
    look = look_at_experiment(experiment_id=experiment.pk)
    evidence = orjson.dumps([look.inputs, look.result])
    assert b"quality" not in evidence
    older = Look(number=0, taken_at=look.taken_at)  # as a version before wrote it
    looks = [older, *experiment.looks.all()]
    with override("en"):
        fresh, shown = judged_quality_of(experiment), current_quality(experiment, looks)
    assert orjson.dumps(shown.as_json()) == orjson.dumps(fresh.as_json())
    report = report_on(experiment)
    points = [one for one in report.quality_points if one.source == "combined"]
    assert [(one.look, one.users) for one in points] == [(look.number, 120)]
    assert report.as_json()["quality_over_time"][-1]["source"] == "combined"
    (line,) = [one for one in csv_of(report).splitlines() if one.startswith("answer quality")]
    best = fresh.rows[0].estimates[2]
    assert line.split(",")[:8] == [
        "answer quality", "quality", fresh.rows[0].variant, str(best.control), str(best.treatment),
        str(best.difference), str(best.ci[0]), str(best.ci[1]),
    ]  # fmt: skip
    later = Look(number=2, taken_at=look.taken_at, quality=look.quality)
    followed = replace(report, quality_points=quality_over_time([*looks, later]))
    assert (report.quality_chart, "<svg" in followed.quality_chart.svg) == (None, True)
    Judgement.objects.filter(pk=Judgement.objects.filter(experiment=experiment).first().pk).delete()
    assert current_quality(experiment, looks).judged == fresh.judged - 1  # since the look: made anew


def sign_in(shop, name: str = "reader") -> Client:
    client = Client()
    user = User.objects.create_user(f"{name}-{shop.project.pk}")
    Membership.objects.create(project=shop.project, user=user, role="viewer")
    client.force_login(user)
    return client


def test_without_enough_ratings_or_a_judge_the_report_says_why(shop):
    experiment = shop.run_experiment()
    rated_answers.plan(shop, label_share=1.0, points=5)
    rated_answers.generate(shop, experiment, 20)
    sampling.sample_answers(experiment=experiment)
    rated_answers.judge_all(experiment, rated_answers.make_judge(shop))
    with override("en"):
        (row,) = judged_quality_of(experiment).rows
    assert row.sentence == "Not enough answers are rated yet to compare their quality."
    assert [one.why_not for one in row.estimates] == [
        "no judge is set",
        f"units with a label of the control == 10, must be at least {MIN_LABELLED_UNITS}.",
        "no judge is set",
    ]
    page = sign_in(shop).get(reverse("report", args=[shop.project.slug, experiment.key]))
    assert "Control: 10 users with a rated answer, at least 30 are needed" in page.content.decode()


def test_a_person_is_erased_with_ratings_and_judgements(shop):
    experiment = shop.run_experiment()
    rated_answers.plan(shop, label_share=1.0)
    rated_answers.generate(shop, experiment, 2)
    sampling.sample_answers(experiment=experiment)
    rated_answers.judge_all(experiment, rated_answers.make_judge(shop))
    exported = export_unit(project_id=shop.project.pk, unit_id="u1")
    assert len(exported["sampled_answers"]) == len(exported["judgements"]) == 1
    erase_unit(project_id=shop.project.pk, unit_id="u1", by="a test")
    assert not SampledAnswer.objects.filter(unit_id="u1", experiment=experiment).exists()
    assert not Judgement.objects.filter(unit_id="u1", experiment=experiment).exists()


def test_what_is_older_than_the_project_keeps_goes(shop):
    experiment = shop.run_experiment()
    rated_answers.plan(shop, label_share=1.0)
    rated_answers.generate(shop, experiment, 2)
    sampling.sample_answers(experiment=experiment)
    rated_answers.judge_all(experiment, rated_answers.make_judge(shop))
    delete_old_answers({shop.project.pk: 31}, builders.now() + timedelta(days=30))
    assert SampledAnswer.objects.filter(experiment=experiment).count() == 2
    delete_old_answers({shop.project.pk: 31}, builders.now() + timedelta(days=32))
    assert not SampledAnswer.objects.filter(experiment=experiment).exists()
    assert not Judgement.objects.filter(experiment=experiment).exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": 1}, r"points == 1, must be a whole number in \[2, 10\]"),
        ({"label_share": 1.5}, r"label_share == 1.5, must be in \[0, 1\]"),
        ({"daily_cost": float("nan")}, "daily_cost == nan, must be in"),
        ({"check_margin": 0}, r"check_margin == 0, must be in \[0.0001, 1\]"),
        ({"check_cost_ratio": 0.9}, r"check_cost_ratio == 0.9, must be in \[1, 1000\]"),
        ({"rubric": 7}, "rubric == 7, must be a text of at most 8000 characters"),
        ({"judge": "home-feed/popularity@1"}, "must be a version of another surface"),
        ({"judge": "no-such/judge@x"}, "judge == 'no-such/judge@x', must be a version"),
        ({"wrong": 1}, "setting 'wrong' is unknown"),
    ],
)
def test_settings_that_break_a_rule_are_refused(shop, changes, message):
    with pytest.raises(CannotPlanJudgingError, match=message):
        rated_answers.plan(shop, **changes)


def test_a_plan_is_changed_once_and_audited(shop):
    judge = rated_answers.make_judge(shop)
    for _ in range(2):
        plan = plan_judging(
            surface=shop.surface, changes={"judge": f"judges/{judge.label}", "points": 3}, by="ann"
        )
    assert judging_settings(plan)["judge"] == f"judges/{judge.label}"
    entries = AuditEntry.objects.filter(project=shop.project, action="plan judging")
    assert [entry.detail["changed"]["points"] for entry in entries] == [[5, 3]]


def test_an_answer_below_its_share_alone_is_stored_as_drawn(shop):
    experiment = shop.run_experiment()
    control = experiment.variants.get(is_control=True)
    with pytest.raises(IntegrityError, match="a_sampled_answer_was_drawn"), transaction.atomic():
        SampledAnswer.objects.create(
            generation_id=uuid4(), project=shop.project, experiment=experiment, variant=control,
            unit_id="u1", draw=0.9, probability=0.5, points=5,
        )  # fmt: skip
