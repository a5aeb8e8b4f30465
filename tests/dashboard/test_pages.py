from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from uuid_utils import uuid7

from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.review_feedback import review_feedback
from experiments.ingest.rows import Rows
from experiments.models import Experiment, Feedback
from inference.models import ModelVersion, Surface
from tests.support import builders
from tests.support.builders import QUICK_POLICY, visits
from tests.support.dashboard import report_path, sign_in


def test_the_report_says_the_verdict_in_words_and_draws_the_path(shop, decided):
    page = sign_in(shop.project).get(report_path(decided)).content.decode()
    assert "Shipped popularity@2. It raised clicks per user by 67%" in page
    assert "<svg" in page
    assert "anytime-valid p = 1" in page
    assert "popularity@1 → popularity@2" in page


def test_the_json_holds_the_same_numbers(shop, decided):
    data = sign_in(shop.project).get(report_path(decided, "report.json")).json()
    assert data["verdict"]["action"] == "ship"
    assert data["verdict"]["effect"] == pytest.approx(2 / 3, rel=1e-6)
    assert [row["units"] for row in data["variants"]] == [200, 200]
    assert data["decisions"][0]["promoted"] == "popularity@2"


def test_the_json_is_english_whatever_the_reader_reads(shop, decided):
    path = report_path(decided, "report.json")
    data = sign_in(shop.project).get(path, headers={"accept-language": "zh-hans"}).json()
    assert data["verdict"]["sentence"].startswith("Shipped popularity@2. It raised clicks per user by")
    assert "Significant: z = " in data["verdict"]["details"]


def test_an_experiment_without_looks_says_what_comes_next(shop):
    experiment = shop.run_experiment()
    page = sign_in(shop.project).get(report_path(experiment)).content.decode()
    assert "No analysis yet. While the experiment runs, it is analysed every 60 s" in page


def test_an_unhealthy_experiment_is_greyed(shop):
    experiment = shop.run_experiment(**{**QUICK_POLICY, "most_doubled": 0.0})
    visits(experiment, {"control": 1, "treatment": 2})
    experiment.exposure_totals.all()
    from experiments.models import ExposureTotal

    variant = experiment.variants.first()
    ExposureTotal.objects.create(
        experiment=experiment, variant=variant, epoch=1, units=0, crossover_units=5
    )
    look_at_experiment(experiment_id=experiment.pk)
    page = sign_in(shop.project).get(report_path(experiment)).content.decode()
    assert 'role="alert"' in page
    assert "seen in both variants" in page


def test_home_lists_what_is_mine(shop, decided):
    page = sign_in(shop.project).get("/").content.decode()
    assert decided.key in page
    assert "popularity@2" in page


def test_home_of_a_newcomer_says_what_to_do(tables):
    page = sign_in(builders.make_project()).get("/").content.decode()
    assert "bakeoff load items FILE" in page
    assert "No surfaces yet" in page


@pytest.mark.parametrize("tail", ["", "report.json"])
def test_a_strangers_experiment_is_not_found(shop, decided, tail):
    assert sign_in(builders.make_project()).get(report_path(decided, tail)).status_code == 404


def test_pages_want_a_login(shop, decided):
    for path in ("/", report_path(decided), "/demo/"):
        answer = Client().get(path)
        assert answer.status_code == 302
        assert "/sign-in/" in answer["Location"]


def test_pages_are_read_only(shop, decided):
    assert sign_in(shop.project).post(report_path(decided)).status_code == 405


def test_the_film_site_asks_for_a_key_and_embeds(shop):
    client = sign_in(shop.project)
    assert "Paste a public key" in client.get("/demo/").content.decode()
    page = client.get(
        f"/demo/?surface={shop.project.slug}/home-feed&key={shop.public}"
    ).content.decode()
    assert f'data-key="{shop.public}"' in page
    assert 'data-surface="home-feed"' in page


def test_a_name_stands_before_the_key(shop):
    experiment = shop.run_experiment()
    Experiment.objects.filter(pk=experiment.pk).update(name="Bolder <covers>")
    client = sign_in(shop.project)
    listed = reverse("experiments", args=[shop.project.slug])
    for address in ("/", listed, f"{listed}?q=bolder"):
        row = client.get(address).content.decode().partition(f'data-experiment="{experiment.key}"')[2]
        assert f'>Bolder &lt;covers&gt;</a> <span class="meta">{experiment.key}</span>' in row
    report = client.get(report_path(experiment)).content.decode()
    assert "<h1>Bolder &lt;covers&gt;</h1>" in report
    assert f"{experiment.key} · " in report.partition("<h1>")[2]


def test_what_a_user_wrote_is_escaped(shop):
    experiment = shop.run_experiment()
    experiment.hypothesis = "<script>alert(1)</script>"
    experiment.save()
    page = sign_in(shop.project).get(report_path(experiment)).content.decode()
    assert "<script>alert" not in page


def test_no_page_asks_another_host(shop, decided, lane):
    client = sign_in(shop.project)
    for path in ("/", report_path(decided), "/demo/"):
        page = client.get(path).content.decode()
        for link in re.findall(r'(?:src|href)="([^"]+)"', page):
            assert not link.startswith(("http:", "https:", "//")), link
    assert lane.client.get("/static/dashboard/page.css").status_code == 200
    assert lane.client.get("/static/dashboard/demo.js").status_code == 200
    embed = lane.client.get("/sdk/v1.js")
    assert embed.headers["content-type"].startswith("text/javascript")


def test_every_table_has_its_admin_pages(tables, shop, decided):
    from django.contrib import admin
    from django.urls import reverse

    root = Client()
    root.force_login(User.objects.create_superuser(f"root-{uuid7()}"))
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        assert root.get(reverse(f"{name}_changelist")).status_code == 200, name
        row = model.objects.first()
        if row is not None:
            assert root.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200, name


def test_the_admin_starts_and_stops(shop):
    root = Client()
    root.force_login(User.objects.create_superuser(f"root-{uuid7()}"))
    experiment = shop.define(builders.make_version(shop.surface, [1] * 10))
    for action, state in (("start", "running"), ("stop", "ended")):
        root.post(
            "/admin/experiments/experiment/",
            {"action": action, "_selected_action": [experiment.pk]},
        )
        experiment.refresh_from_db()
        assert experiment.state == state


def test_the_calculator_plans_from_last_weeks_traffic(shop):
    for n in range(40):
        builders.make_slate(shop, f"u{n}")
        rows = [builders.event(shop.project, unit=f"u{n}", item_id="i1") for _ in range(n % 3)]
        if rows:
            builders.write(Rows(events=rows))
    client = sign_in(shop.project, role="analyst")
    fields = {"surface": shop.surface.pk, "primary": shop.metric.pk, "planned_units": "5000"}
    page = client.post(f"/p/{shop.project.slug}/experiments/plan/", fields).content.decode()
    assert "about 18 weeks" in page
    assert "<dd>5,000</dd>" in page
    assert "<dd>40</dd>" in page  # visitors a day: the surface is that young
    fields["planned_units"] = "50000"
    page = client.post(f"/p/{shop.project.slug}/experiments/plan/", fields).content.decode()
    assert "more than half a year" in page


def test_unequal_fallbacks_and_old_numbers_are_said(shop, decided):
    experiment = shop.run_experiment()
    look = decided.looks.last()
    look.pk, look.experiment, look.taken_at = None, experiment, builders.now() - timedelta(days=2)
    row = {"slates": 100, "latency_p95_ms": 1.0, "errors": 0.0, "items": 9, "samples": [["i1", "i2"]]}
    look.serving = {"control": {**row, "fallback": 0.01}, "treatment": {**row, "fallback": 0.4}}
    look.save()
    page = sign_in(shop.project).get(report_path(experiment)).content.decode()
    assert "&#x27;treatment&#x27; used a fallback in 40% of its answers" in page
    assert "no new data for 2 days" in page
    assert "Item i1" in page


def test_the_report_of_an_ended_experiment_adds_up_how_all_was_served(shop, decided):
    """The first analysis saw fallbacks, the last one none: they are not forgotten at the end."""
    looks = list(decided.looks.all())
    row = {"latency_p95_ms": 1.0, "errors": 0.0, "items": 9, "samples": [["i1"]]}
    quiet = {
        "control": {**row, "slates": 30, "fallback": 0.0},
        "treatment": {**row, "slates": 33, "fallback": 0.0},
    }
    first, last = looks[-1], decided.looks.last()
    first.serving = {
        "control": {**row, "slates": 170, "fallback": 0.0},
        "treatment": {**row, "slates": 189, "fallback": 112 / 189, "latency_p95_ms": 7.5, "items": 12},
    }
    first.save()
    last.pk, last.number, last.serving = None, first.number + 1, quiet
    last.save()
    client = sign_in(shop.project)
    report = client.get(report_path(decided, "report.json")).json()
    served = {one["variant"]: one for one in report["serving"]}
    assert (served["control"]["slates"], served["treatment"]["slates"]) == (200, 222)
    assert served["treatment"]["fallback"] == pytest.approx(112 / 222)
    assert (served["treatment"]["latency_p95_ms"], served["treatment"]["items"]) == (7.5, 12)
    assert "'treatment' used a fallback in 50% of its answers" in report["warnings"][0]
    page = client.get(report_path(decided)).content.decode()
    assert (
        "used a fallback in 50% of its answers"
        in page.partition('data-tile="health"')[2].partition("</div>")[0]
    )
    assert "Of all analyses together" in page


def test_health_names_open_breakers_and_lags(lane, shop):
    experiment = shop.run_experiment()
    breaker = lane.gateway._remote.breaker(shop.champion.pk)
    try:
        for _ in range(3):
            breaker.failed()
        lane.refresh()
        page = sign_in(shop.project).get("/health/").content.decode()
        assert f"{shop.surface}: {shop.champion.label}" in page
        assert experiment.key in page
    finally:
        breaker.succeeded()
        lane.gateway._remote._breakers.clear()


def test_home_counts_what_the_queue_of_feedback_shows(shop):
    """A flagged thumb has no review; a flagged text has two, and waits for each person once."""
    slate = builders.make_slate(shop, "u1")
    rows = [
        builders.feedback(shop, slate, kind=kind, text=text, state=state, item_id=f"i{n}")
        for n, (kind, text, state) in enumerate(
            [("thumb", "", "ok"), ("text", "buy now", "pending"), ("text", "buy here", "pending"),
             ("text", "gone", "spam")]
        )
    ]  # fmt: skip
    builders.write(Rows(feedback=rows))
    Feedback.objects.filter(project=shop.project).update(flags=["burst"])
    analyst = sign_in(shop.project, role="analyst")
    name = User.objects.get(pk=analyst.session["_auth_user_id"]).get_username()
    home = f"/?project={shop.project.slug}"
    assert analyst.get(home).context["flagged"] == 2
    assert analyst.get(reverse("feedback", args=[shop.project.slug])).context["waiting"] == 2
    queue = reverse("feedback", args=[shop.project.slug])
    assert "2 waiting, 2 of them flagged" in " ".join(analyst.get(queue).content.decode().split())
    text = Feedback.objects.get(project=shop.project, text="buy now")
    review_feedback(feedback=text, state="ok", reason="", by=name)
    page = analyst.get(home)
    assert page.context["flagged"] == 1  # the other person's turn
    assert "(of 2 to review)" in page.content.decode()
    assert "2 waiting, 1 of them flagged" in " ".join(analyst.get(queue).content.decode().split())


def test_a_form_makes_a_surface_of_an_order(shop):
    client, slug = sign_in(shop.project, role="operator"), shop.project.slug
    fields = {
        "key": "trending-now", "kind": "recommend", "list": "trending",
        "exploration": "0", "retrain_algorithm": "",
        "retrain_every_seconds": "86400", "shadow_first": "0",
    }  # fmt: skip
    page = client.post(reverse("surfaces", args=[slug]), fields, follow=True).content.decode()
    assert "Call it with /v1/trending." in page
    assert "trending@1" in page
    version = ModelVersion.objects.get(surface__project=shop.project, algorithm="trending")
    address = reverse("version", args=[slug, version.pk])
    assert "an order of items, which learns nothing" in client.get(address).content.decode()
    refused = client.post(reverse("surfaces", args=[slug]), {**fields, "key": "other", "list": "odd"})
    assert refused.status_code == 422
    # Of a flag no list is read.
    flag = client.post(reverse("surfaces", args=[slug]), {**fields, "key": "other", "kind": "flag"})
    assert flag.status_code == 302
    assert not ModelVersion.objects.filter(surface__project=shop.project, surface__key="other").exists()


def test_whatever_the_form_offers_to_train_is_trained(shop):
    """Models of elsewhere need what the form does not ask for: none is offered, and then refused."""
    clicks = [builders.event(shop.project, unit=f"u{n}", name="click", item_id="i1") for n in range(9)]
    builders.write(Rows(events=clicks))
    Surface.objects.filter(pk=shop.surface.pk).update(liked_events=["click"])
    browser, path = (
        sign_in(shop.project, role="operator"),
        f"/p/{shop.project.slug}/surfaces/home-feed/",
    )
    form = re.search(r'<select id="algorithm".*?</select>', browser.get(path).content.decode()).group()
    offered = re.findall(r"<option[^>]*>([^<]+)</option>", form)
    assert {"auto", "popularity", "two-tower"} <= set(offered)
    assert not {"imported", "endpoint", "python"} & set(offered)
    for name in offered:
        answer = browser.post(f"{path}train/", {"algorithm": name})
        assert answer.headers["location"].startswith("/runs/"), name
    assert shop.surface.training_runs.filter(state="queued").count() == len(offered)
    refused = browser.post(f"{path}train/", {"algorithm": "endpoint"}, follow=True)
    assert "must begin with http" in refused.content.decode()
