"""The planner in every mode: page, API and agents' tool ask one function, and refuse at the field."""

from __future__ import annotations

import re
from copy import copy
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from bakeoff.dashboard.templatetags.numbers import share as shown_share
from experiments.ingest.rows import Rows
from experiments.scorecards.change_plan import plan_change
from experiments.scorecards.cluster_plan import plan_clusters, read_clusters
from experiments.scorecards.interleaving_plan import plan_lists
from experiments.scorecards.mode_plan import PlanRequest, plan_in_mode
from experiments.scorecards.mode_preview import preview_clusters, preview_lists
from experiments.scorecards.plan import PlanQuestion, plan
from experiments.scorecards.plan_words import clusters_in_words
from experiments.scorecards.traffic_plan import Design, NoTrafficError, read_week
from experiments.stats.intracluster import clustered_users, intracluster_correlation
from experiments.stats.totals import StatisticsError
from tests.support import builders
from tests.support.browser import Visit
from tests.support.dashboard import make_user, plan_address, sign_in
from tests.support.dashboard_pages import PHONE
from tests.support.form_reader import read_form

STORES, USERS, DAYS = 60, 8, 4
LIKES = 49  # with the mean of 49 of 481 users, a lift of 2 % of the baseline over the baseline is less


@pytest.fixture(scope="module")
def busy(shared_lane):
    """A shop of 60 stores: of 8 users each, those of a store click as often, and one once more."""
    shop = builders.make_shop()
    rows, now = Rows(), builders.now()
    for number in range(STORES * USERS):
        store, user = divmod(number, USERS)
        # The windows of all are closed.
        at = now - timedelta(days=(DAYS - 1) * number / (STORES * USERS) + 1, minutes=5)
        rows.slates.append(
            builders.slate(
                shop,
                f"u{number}",
                served_at=at.isoformat(),
                context={"store": f"s{store}", "account": f"a{number}", "half": f"h{number // 2}"},
            )
        )
        for click in range(store % 3 + (user == 0)):
            name = f"{number}-{click}"
            click_at = at.isoformat()
            rows.events.append(
                builders.event(shop.project, unit=f"u{number}", event_id=name, at=click_at)
            )
        if number < LIKES:
            rows.events.append(
                builders.event(
                    shop.project, unit=f"u{number}", name="like", event_id=f"like-{number}",
                    at=at.isoformat(),
                )
            )  # fmt: skip
    long_ago = (now - timedelta(days=2)).isoformat()
    rows.slates.append(builders.slate(shop, "nowhere", served_at=long_ago))
    shop.project.metrics.create(key="likes", kind="mean", event="like")
    builders.write(rows)
    shared_lane.refresh()
    return shop


def test_stores_are_read_of_users_who_name_one(busy):
    week = read_clusters(busy.surface, busy.metric, "store")
    assert (len(week.clusters), week.traffic.visitors) == (STORES, STORES * USERS)
    assert {one.users for one in week.clusters} == {USERS}
    assert {one.total for one in week.clusters} == {1.0, 9.0, 17.0}
    everyone = read_week(busy.surface, busy.metric)
    assert week.traffic.active == everyone.active
    assert everyone.users == week.traffic.users + 1
    assert week.traffic.baseline * week.traffic.users == pytest.approx(
        everyone.baseline * everyone.users
    )


def test_a_plan_of_clusters_is_that_of_single_users_times_the_design_effect(busy):
    result = plan_clusters(busy.surface, busy.metric, Design(), lift=0.54, cluster_by="store")
    week = read_clusters(busy.surface, busy.metric, "store")
    question = PlanQuestion(
        kind="mean", baseline=1.125, sd=week.traffic.deviation, mde=0.54, shares=[0.5, 0.5],
        rule="fixed",
    )  # fmt: skip
    correlation = intracluster_correlation(week.clusters)
    assert result.correlation == correlation > 0.5
    assert result.users == clustered_users(plan(question).units, STORES, correlation, 1.0)
    assert result.users > plan(question).units
    assert result.users == pytest.approx(plan(question).units * result.design_effect, rel=0.01)
    large = plan_clusters(busy.surface, busy.metric, Design(), lift=9, cluster_by="store")
    assert (large.users, large.weeks) == (2 * STORES, 1)  # some users of each store
    assert (result.past_clusters, result.clusters, result.advice) == (STORES, STORES, ())
    lifts = [one.lift for one in result.choices]
    assert lifts == sorted(lifts, reverse=True)
    # More users in the same stores help little: what eight weeks find is not far from what one does.
    assert lifts[-1] > 0.8 * lifts[0]


def test_too_few_clusters_for_a_change_say_so(busy):
    result = plan_clusters(busy.surface, busy.metric, Design(), lift=0.01, cluster_by="store")
    assert (result.users, result.weeks) == (None, None)
    assert list(result.advice) == ["larger_change", "more_clusters", "commoner_event"]


def test_a_surface_that_generates_is_planned_as_others_are(busy):
    generates = copy(busy.surface)
    generates.kind = "generate"
    lists, texts = (
        plan_clusters(surface, busy.metric, Design(), lift=0.54, cluster_by="store")
        for surface in (busy.surface, generates)
    )
    assert (texts.users, texts.correlation) == (lists.users, lists.correlation)


def test_a_chinese_reader_reads_which_surfaces_have_clusters(busy):
    flag, _ = busy.project.surfaces.get_or_create(key="switch", kind="flag")
    address = plan_address(busy, mode="cluster", cluster_by="store", surface=flag.pk)
    page = sign_in(busy.project).get(address, headers={"accept-language": "zh-hans"}).content.decode()
    assert "只有推荐、分类或生成的推荐位可以按群组分配" in page
    assert "must be" not in page


def test_clusters_of_last_week_are_not_those_that_take_part(busy, lane):
    address = "/v1/surfaces/home-feed/plan?mode=cluster&cluster_by=store&min_lift=0.9&allocation=0.7"
    answer = lane.client.get(address, headers={"Authorization": f"Bearer {busy.secret}"}).json()
    assert (answer["past_clusters"], answer["clusters"]) == (STORES, 42)
    expected = "Last week 60 clusters by store had users, and 42 of them take part: clicks"
    assert answer["sentences"][0].startswith(expected)


def test_shares_are_counted_without_the_rounding_of_floats(busy):
    """240 pairs of users: 200 take part, of which 1 − 0.9 is a little less than 20."""
    for share in (0.1, 0.9):
        full, fewer = (Design(treatment_share=share, allocation=one / 240) for one in (200, 199.5))
        result = plan_clusters(busy.surface, busy.metric, full, lift=9, cluster_by="half")
        assert result.clusters == 200
        with pytest.raises(StatisticsError, match=r"== 199 of last week's 240, must be at least 200: "):
            plan_clusters(busy.surface, busy.metric, fewer, lift=9, cluster_by="half")


def test_what_alike_users_cost_is_said_only_where_they_are(busy):
    def sentence(lift, **about):
        result = plan_clusters(busy.surface, busy.metric, Design(), lift=lift, cluster_by="store")
        return clusters_in_words(replace(result, **about), busy.metric)[1]

    assert "so it takes" in sentence(0.54)
    assert "times as many" not in sentence(0.54, correlation=0.0, design_effect=1.0)
    assert "hardly more alike" in sentence(0.54, correlation=0.0, design_effect=1.0)
    assert sentence(0.01).endswith("no number of them shows this change.")


def test_a_plan_of_lists_is_that_beside_a_test(busy):
    result = plan_lists(busy.surface, busy.metric, Design(), lift=0.4)
    test = plan_change(busy.surface, busy.metric, Design(), lift=0.4)
    assert (result.users, result.weeks) == (test.interleaved.users, test.interleaved.weeks)
    assert (result.split_users, result.split_weeks) == (test.plan.units, test.weeks)
    # What its users find is what was planned for, whichever side of 10 % it lies.
    for lift in (0.05, 0.4):
        answer = plan_lists(busy.surface, busy.metric, Design(), lift=lift)
        found = {one.weeks: one.lift for one in answer.choices}
        assert found[1] >= found[2] >= found[4] >= found[8] >= 0.02
        for one in answer.choices:
            assert (one.lift <= lift + 1e-9) == (one.units >= answer.users - 1), (lift, one)


def test_the_smallest_change_of_lists_can_be_planned_at_any_baseline(busy, lane):
    """A lift that is multiplied by the baseline, and divided by it, may be less than it was."""
    address = "/v1/surfaces/home-feed/plan?mode=interleave&metric=likes&min_lift=0.02"
    answer = lane.client.get(address, headers={"Authorization": f"Bearer {busy.secret}"})
    assert answer.status_code == 200, answer.text
    baseline = answer.json()["baseline"]
    assert 0.02 * baseline / baseline < 0.02  # this one shows it
    page = sign_in(busy.project).get(
        plan_address(
            busy, mode="interleave", change=2, primary=busy.project.metrics.get(key="likes").pk
        )
    )
    assert page.status_code == 200
    assert "Too long: more than half a year at this traffic." in page.content.decode()


def test_a_plan_of_lists_reads_the_week_once(busy, django_assert_num_queries):
    with django_assert_num_queries(2):  # visitors, and what they did
        plan_lists(busy.surface, busy.metric, Design(), lift=0.4)


MODES = [
    ("interleave", {}, "About {users:,} users"),
    ("cluster", {"cluster_by": "store", "change": 150}, "{users:,} users of 60 clusters"),
]


@pytest.mark.parametrize(("mode", "fields", "amount"), MODES)
def test_page_api_and_form_say_the_same(busy, lane, mode, fields, amount):
    client = sign_in(busy.project, role="analyst")
    page = client.get(plan_address(busy, mode=mode, **fields)).content.decode()
    lift = fields.get("change", 40) / 100
    request = PlanRequest(mode=mode, lift=lift, cluster_by=fields.get("cluster_by", ""))
    result = plan_in_mode(busy.surface, busy.metric, request)
    assert f'data-weeks="{result.weeks}"' in page
    assert amount.format(users=result.users) in page
    query = f"mode={mode}&min_lift={lift}&cluster_by={fields.get('cluster_by', '')}"
    headers = {"Authorization": f"Bearer {busy.secret}"}
    answer = lane.client.get(f"/v1/surfaces/home-feed/plan?{query}", headers=headers).json()
    assert (answer["mode"], answer["planned_units"]) == (mode, result.users)
    assert answer["weeks"] == result.weeks
    assert answer["sentences"][0] in page
    link = re.search(r'href="([^"]*experiments/new/[^"]*)"', page)[1].replace("&amp;", "&")
    assert parse_qs(urlsplit(link).query)["planned_units"] == [str(result.users)]
    form = read_form(client.get(link).content.decode(), "definition")
    assert form["mode"] == [mode]
    assert form["planned_units"] == [str(result.users)]
    assert form["cluster_by"] == [fields.get("cluster_by", "")]


def test_a_mode_does_not_read_the_fields_of_another(busy):
    """They are not shown in it: what was typed into them before must not be in the way."""
    client = sign_in(busy.project, role="analyst")
    page = client.get(
        plan_address(busy, mode="interleave", treatment_share="x", cluster_by="a", block_minutes="2")
    ).content.decode()
    assert "data-weeks" in page
    assert "problem" not in page


@pytest.mark.parametrize(
    ("fields", "label", "sentence"),
    [
        ({"mode": "cluster"}, "Cluster: attribute of the context", "Name the attribute of the context"),
        ({"mode": "cluster", "cluster_by": "town"}, "Cluster: attribute of the context",
         "0 of the 0 clusters that had users last week take part: at least 40 are needed"),
        ({"mode": "cluster", "cluster_by": "account"}, "Cluster: attribute of the context",
         "480 clusters had 480 users last week: name an attribute that several users share"),
        ({"mode": "cluster", "cluster_by": "store", "allocation": 50}, "Cluster: attribute of the context",
         "30 of the 60 clusters that had users last week take part: at least 40 are needed"),
        ({"mode": "interleave", "change": 1}, "Smallest change worth shipping", "at least 2%"),
        ({"mode": "switchback"}, "Switchback: minutes of a block", "at least 5 minutes"),
        ({"mode": "switchback", "block_minutes": 5, "carry_over_minutes": 4},
         "Switchback: minutes of carry-over", "at most half"),
        ({"mode": "switchback", "block_minutes": 2000, "carry_over_minutes": 4},
         "Switchback: minutes of a block", "Not enough traffic"),
        ({"mode": "bandit"}, "Method", "Select a valid choice"),
    ],
)  # fmt: skip
def test_a_refusal_stands_at_its_field_and_the_others_stay(busy, fields, label, sentence):
    page = sign_in(busy.project).get(plan_address(busy, **fields)).content.decode()
    (wrong,) = re.findall(r'<div class="field wrong".*?</div>', page, re.DOTALL)
    assert label in wrong
    assert sentence in wrong.replace("&#x27;", "'")
    assert "data-weeks" not in page
    fields_now = read_form(page, "planner")
    assert fields_now["treatment_share"] == ["50"]
    assert fields_now["change"] == [str(fields.get("change", 40))]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("mode=interleave&min_lift=0.01", "min_lift == 0.01, must be at least 0.02 by interleaved lists: of "
         "closer versions they do not tell reliably which is better."),
        ("mode=interleave&rule=fixed", "rule == 'fixed', must be absent by interleaved lists: they are judged "
         "at any time."),
        ("mode=interleave&treatment_share=0.3", "treatment_share == 0.3, must be 0.5 by interleaved lists: "
         "both versions fill them alike."),
        ("mode=interleave&cluster_by=store", "cluster_by == 'store', must be empty: mode == 'interleave', and "
         "only mode 'cluster' has one."),
        ("mode=cluster", "cluster_by == '', must name the attribute of the request's context that is "
         "randomised, such as 'store'."),
        ("mode=cluster&cluster_by=store&rule=exact", "rule == 'exact', must be 'fixed' by clusters: they are "
         "judged once, at the planned number of users."),
        ("mode=cluster&cluster_by=store&block_seconds=300", "block_seconds == 300, must be 0: mode == "
         "'cluster', and only mode 'switchback' has blocks of time."),
        ("mode=cluster&cluster_by=%00", "cluster_by == '\\x00', must name the attribute of the request's "
         "context that is randomised, such as 'store'."),
        ("mode=cluster&cluster_by=town", "clusters that take part == 0 of last week's 0, must be at least 40: "
         "20 for each variant."),
        ("mode=cluster&cluster_by=account", "clusters == 480 with 480 users, must be at least two, some with "
         "several users."),
        *((f"mode=cluster&cluster_by=store&allocation={value}", f"allocation == {value}, must be in (0, 1].")
          for value in ("nan", "inf", "-1", "0")),
        *((f"mode=cluster&cluster_by=store&treatment_share={value}",
           f"treatment_share == {value}, must be in (0, 1).") for value in ("nan", "inf", "1.5", "0")),
        *((f"mode={mode}&{name}=1e-200", f"{name} == 1e-200, must be at least 1e-06.")
          for mode in ("split", "interleave", "cluster&cluster_by=store", "switchback")
          for name in ("min_lift", "allocation", "treatment_share")),
        ("mode=cluster&cluster_by=store&min_lift=0", "min_lift == 0, must be above 0."),
    ],
)  # fmt: skip
def test_the_api_refuses_what_breaks_a_rule(busy, lane, query, message):
    headers = {"Authorization": f"Bearer {busy.secret}"}
    answer = lane.client.get(f"/v1/surfaces/home-feed/plan?{query}", headers=headers)
    assert (answer.status_code, answer.json()["error"]["message"]) == (422, message)


def test_a_surface_of_no_possible_name_is_none(busy, lane):
    headers = {"Authorization": f"Bearer {busy.secret}"}
    answer = lane.client.get("/v1/surfaces/%00/plan", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_a_chinese_reader_reads_why_users_are_no_clusters(busy):
    client = sign_in(busy.project)
    page = client.get(
        plan_address(busy, mode="cluster", cluster_by="account"), headers={"accept-language": "zh-hans"}
    ).content.decode()
    assert "请填写由多名用户共享的属性" in page
    assert "must be" not in page


def test_what_a_mode_cannot_do_is_refused(busy):
    flag = busy.project.surfaces.create(key="button", kind="flag")
    for mode in ("interleave", "cluster"):
        with pytest.raises(
            StatisticsError, match=f"mode == '{mode}' on a surface of kind 'flag', must be"
        ):
            plan_in_mode(
                flag, busy.metric, PlanRequest(mode=mode, cluster_by="s" * (mode == "cluster"))
            )
    fewer = busy.project.metrics.create(key="fewer", kind="mean", event="click", direction="decrease")
    with pytest.raises(StatisticsError, match="metric == 'fewer', must count events of items, more of"):
        plan_in_mode(busy.surface, fewer, PlanRequest(mode="interleave"))
    middle = busy.project.metrics.create(key="middle", kind="quantile", event="click", quantile=0.5)
    with pytest.raises(StatisticsError, match="metric == 'middle', must be no quantile by clusters"):
        plan_in_mode(busy.surface, middle, PlanRequest(mode="cluster", cluster_by="store"))
    never = busy.project.metrics.create(key="never", kind="mean", event="never")
    for request in (PlanRequest(mode="interleave"), PlanRequest(mode="cluster", cluster_by="store")):
        with pytest.raises(NoTrafficError, match=r"events of metric 'never' == 0, must be at least 1"):
            plan_in_mode(busy.surface, never, request)


SHOWN = {
    "split": {"Traffic (%)", "Treatment split (%)", "Decision rule"},
    "interleave": {"Traffic (%)"},
    "cluster": {"Traffic (%)", "Treatment split (%)", "Cluster: attribute of the context"},
    "switchback": {
        "Treatment split (%)", "Switchback: minutes of a block", "Switchback: minutes of carry-over",
    },
}  # fmt: skip


@pytest.mark.parametrize("script", [True, False])
def test_a_person_chooses_a_mode_and_reads_the_answer(chromium, lane, busy, script):
    """On a phone, with and without JavaScript: only the mode's fields, and the answer in one line."""
    seen = Visit(
        chromium,
        lane,
        make_user(busy.project, role="analyst"),
        viewport=PHONE,
        java_script_enabled=script,
    )
    page = seen.page
    page.goto(f"/p/{busy.project.slug}/plan/")
    page.get_by_label("Surface").select_option(label="home-feed")
    every = set().union(*SHOWN.values())
    for mode, expected in SHOWN.items():
        page.get_by_label("Method").select_option(mode)
        shown = {one for one in every if page.get_by_label(one, exact=True).is_visible()}
        assert shown == expected, mode
    page.get_by_label("Method").select_option("cluster")
    page.get_by_label("Smallest change worth shipping").fill("150")
    page.get_by_role("button", name="Calculate").click()
    assert page.get_by_role("alert").inner_text().startswith("Name the attribute of the context")
    page.get_by_label("Cluster: attribute of the context").fill("store")
    page.get_by_role("button", name="Calculate").click()
    answer = page.locator("[data-weeks]").inner_text()
    assert re.fullmatch(r"\d+ users of 60 clusters · 1 week", answer)
    page.get_by_role("link", name="Use this plan").click()
    assert page.get_by_label("Attribute of the context").input_value() == "store"
    assert seen.elsewhere == []
    seen.close()


def test_the_planner_beside_follows_the_method(chromium, lane, busy):
    seen = Visit(chromium, lane, make_user(busy.project, role="analyst"))
    page = seen.page
    page.goto(
        f"/p/{busy.project.slug}/experiments/new/?surface={busy.surface.pk}&primary={busy.metric.pk}"
    )
    assert page.locator("#plan").get_by_text("Power", exact=True).is_visible()
    for mode, sign in (
        ("interleave", "[data-mode-plan]"),
        ("bandit", "[data-bandit-plan]"),
        ("switchback", "text=Enter the minutes of a block and of its carry-over."),
        ("cluster", "text=Name the attribute of the context by which clusters are drawn."),
    ):
        page.get_by_label("Method").select_option(mode)
        page.locator("#plan").locator(sign).wait_for()
    assert seen.errors == []
    seen.close()


def test_the_previews_beside_are_those_of_the_plans(busy):
    """As many users as a plan asks for find the change that it was asked for."""
    client = sign_in(busy.project, role="analyst")
    sent = {"surface": busy.surface.pk, "primary": busy.metric.pk}

    def ask(**fields):
        page = client.post(f"/p/{busy.project.slug}/experiments/plan/", sent | fields)
        return page.content.decode()

    lists = plan_lists(busy.surface, busy.metric, Design(), lift=0.2)
    preview = preview_lists(busy.surface, busy.metric, Design(planned_units=lists.users))
    assert preview.lift == pytest.approx(0.2, rel=0.01)
    assert f"<dd>{shown_share(preview.lift)} of" in ask(mode="interleave", planned_units=lists.users)
    stores = plan_clusters(busy.surface, busy.metric, Design(), lift=0.54, cluster_by="store")
    design = Design(planned_units=stores.users)
    preview = preview_clusters(busy.surface, busy.metric, design, cluster_by="store")
    assert (preview.lift, preview.clusters) == (pytest.approx(0.54, rel=0.02), STORES)
    fields = {"mode": "cluster", "planned_units": stores.users}
    assert f"<dd>{shown_share(preview.lift)} of" in ask(**fields, cluster_by="store")
    assert "0 of the 0 clusters that had users last week take part" in ask(**fields, cluster_by="town")
    assert "none with so few users" in ask(mode="cluster", planned_units=2, cluster_by="store")
    flag = busy.project.surfaces.create(key="aside", kind="flag")
    assert "Only recommendations are interleaved" in ask(mode="interleave", surface=flag.pk)
