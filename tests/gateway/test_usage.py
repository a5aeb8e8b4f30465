"""What a project used is what was committed of it; a quota that is used up refuses, and loses nothing."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import bakeoff_client
import pytest
from django.db import IntegrityError, connection
from django.test import Client
from django.utils.translation import override

from bakeoff.accounts.keys import EXPORT, SECRET
from bakeoff.accounts.models import ApiKey, AuditEntry, MonthlyUsage, Quota, UsageEntry
from bakeoff.accounts.set_quota import QuotaRuleError, set_quota
from bakeoff.accounts.usage import read_usage
from bakeoff.accounts.usage_kinds import month_of, next_month
from bakeoff.alerts.models import Alert
from bakeoff.gateway.config.quotas import UsedUp, read_used_up
from experiments.actions.count_usage import count_usage
from experiments.actions.erase_unit import erase_unit
from experiments.ingest.rows import Rows
from experiments.ingest.spill import STREAM, drain
from experiments.ingest.statement import Payload
from experiments.reports.stored_text import is_listed, show_stored
from inference.cache import cache_client
from tests.support import builders
from tests.support.dashboard import sign_in

NOTHING = {"answers": 0, "events": 0, "feedback": 0, "generations": 0, "tokens_in": 0, "tokens_out": 0}
ASK = {"surface": "home-feed", "unit_id": "u1"}
LAST_SECOND = datetime(2031, 1, 31, 23, 59, 59, tzinfo=UTC)
NEXT_MONTH = datetime(2031, 2, 1, tzinfo=UTC)


def events(*names: str):
    return {"events": [{"event_id": name, "name": "click", "unit_id": "u1"} for name in names]}


def used(shop) -> dict[str, int]:
    """What the project used in all months."""
    months = [one.as_json() for one in read_usage(shop.project, builders.now()).months]
    return {name: sum(month[name] for month in months) for name in NOTHING}


def at(moment: datetime, shop, **fields):
    return builders.event(shop.project, at=moment.isoformat(), **fields)


@pytest.fixture
def ask(lane):
    def ask(path: str, key: str):
        return lane.client.get(f"/v1/{path}", headers={"Authorization": f"Bearer {key}"})

    return ask


@pytest.fixture
def limit(lane, shop):
    """Set quotas, count what there is, and let the web process read both."""

    def limit(**quotas: int | None) -> None:
        set_quota(project=shop.project, changes=quotas, by="the operator")
        count_usage(builders.now())
        lane.refresh()

    return limit


def test_what_is_counted_is_what_was_accepted(lane, shop, rows):
    accepted = 0
    for names in (("e1", "e2"), ("e1", "e2"), ("e2", "e3", "e3"), ("e4",)):  # retries and duplicates
        accepted += lane.post("/v1/events", events(*names), shop.public).json()["accepted"]
    mixed = {"events": [*events("e5")["events"], {"event_id": "bad", "name": ""}, 7]}
    accepted += lane.post("/v1/events", mixed, shop.secret).json()["accepted"]
    assert lane.post("/v1/events", {"name": "click"}, shop.public).status_code == 400
    assert lane.post("/v1/events", events("e9"), "pk_nobody").status_code == 401
    slates = [lane.post("/v1/recommend", ASK, shop.public).json() for _ in range(3)]
    no_consent = {**ASK, "consent": {"analytics": False}}
    assert lane.post("/v1/recommend", no_consent, shop.public).json()["recorded"] is False
    assert lane.post("/v1/recommend", {**ASK, "surface": "none"}, shop.public).status_code == 404
    thumb = {
        "feedback_id": "f1", "recommendation_id": slates[0]["recommendation_id"], "unit_id": "u1",
        "kind": "thumb", "value": 1,
    }  # fmt: skip
    taken = [lane.post("/v1/feedback", thumb, shop.public).json()["accepted"] for _ in range(2)]
    assert lane.post("/v1/feedback", {**thumb, "value": 7}, shop.public).status_code == 400
    assert used(shop) == NOTHING | {"answers": 3, "events": accepted, "feedback": sum(taken)}
    assert (accepted, sum(taken)) == (5, 1)
    assert (rows("event", shop.project), rows("slate", shop.project)) == (5, 3)


def test_counting_moves_each_entry_once_and_erasure_takes_nothing_back(shop):
    builders.write(Rows(events=[builders.event(shop.project) for _ in range(3)]))
    builders.write(Rows(events=[builders.event(shop.project, unit="u2")]))
    assert UsageEntry.objects.filter(project=shop.project).count() == 2  # one per commit, not per row
    before = used(shop)
    count_usage(builders.now())
    count_usage(builders.now())
    assert not UsageEntry.objects.filter(project=shop.project).exists()
    assert MonthlyUsage.objects.get(project=shop.project).events == 4
    erase_unit(project_id=shop.project.pk, unit_id="u1", by="a test")
    assert used(shop) == before == NOTHING | {"events": 4}


def test_what_was_spilled_counts_once_however_often_it_is_drained(shop):
    rows = [at(LAST_SECOND, shop), at(NEXT_MONTH, shop)]
    fields = Payload.of(Rows(events=rows)).as_fields()
    for _ in range(2):
        cache_client().xadd(STREAM, fields)
        while drain(cache_client(), connection.connection):
            pass
    # In the month in which the platform took each, however late it reached the database.
    months = {one.month: one.events for one in read_usage(shop.project, NEXT_MONTH).months}
    assert months == {date(2031, 2, 1): 1, date(2031, 1, 1): 1}


def test_entries_of_a_project_that_is_gone_hold_nobody_up(shop):
    gone = builders.make_project()
    builders.write(Rows(events=[builders.event(gone), builders.event(shop.project)]))
    gone_id = gone.pk
    type(gone).objects.filter(pk=gone_id)._raw_delete("default")
    count_usage(builders.now())
    assert not UsageEntry.objects.filter(project_id=gone_id).exists()
    assert used(shop)["events"] == 1


def test_a_rewarded_claim_of_a_secret_key_is_an_event_of_its_own(lane, shop):
    for key in (shop.public, shop.secret, shop.secret):
        lane.post("/v1/events", events("claimed"), key)
    assert used(shop)["events"] == 2  # as both were answered: accepted == 1


def test_a_quota_refuses_until_it_is_raised_and_keeps_what_was_taken(lane, shop, limit, rows):
    limit(events=3)
    assert lane.post("/v1/events", events("e1", "e2", "e3"), shop.public).status_code == 202
    limit()
    refused = lane.post("/v1/events", events("e4"), shop.public)
    error, month = refused.json()["error"], month_of(builders.now())
    assert (refused.status_code, error["code"]) == (429, "quota_used_up")
    assert error["message"] == (
        f"events and feedback of {month:%Y-%m} == 3, must be below 3, the quota of project "
        f"'{shop.project.slug}'; the next month begins on {next_month(month)} (UTC)."
    )
    left = datetime.combine(next_month(month), datetime.min.time(), UTC) - builders.now()
    assert abs(int(refused.headers["retry-after"]) - left.total_seconds()) < 60
    for path, body in (("feedback", {}), ("reward", {}), ("track", {"userId": "u", "event": "e"})):
        answer = lane.post(f"/v1/{path}", body, shop.public)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "quota_used_up"), path
    # Other quotas, other projects and what is not counted go on.
    assert lane.post("/v1/recommend", ASK, shop.public).status_code == 200
    assert lane.client.get(f"/api/features/{shop.public}").status_code == 200
    assert (rows("event", shop.project), used(shop)["events"]) == (3, 3)
    limit(events=4)
    assert lane.post("/v1/events", events("e1", "e4"), shop.public).json()["accepted"] == 1
    limit(events=None)
    assert lane.post("/v1/events", events("e5"), shop.public).status_code == 202


def test_answers_are_refused_and_not_served_worse(lane, shop, limit):
    limit(answers=0)
    for path in ("recommend", "similar", "popular", "search", "classify", "rank", "compare"):
        answer = lane.post(f"/v1/{path}", ASK, shop.secret)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "quota_used_up"), path
    assert lane.post("/v1/events", events("e1"), shop.public).status_code == 202
    # Who may not ask at all hears of that first; flags are evaluated, and count nowhere.
    assert lane.post("/v1/recommend", ASK, "pk_nobody").status_code == 401
    flags = lane.post("/ofrep/v1/evaluate/flags", {"context": {"targetingKey": "u1"}}, shop.public)
    assert flags.status_code == 200
    assert used(shop) == NOTHING | {"events": 1}


def test_a_new_month_begins_with_nothing_used(lane, shop):
    set_quota(project=shop.project, changes={"events": 2}, by="the operator")
    builders.write(Rows(events=[at(LAST_SECOND, shop), at(LAST_SECOND, shop)]))
    count_usage(LAST_SECOND)
    key = (shop.project.pk, "events")
    state = read_used_up(connection.connection, LAST_SECOND)[key]
    assert (state.used, state.limit, state.until) == (2, 2, NEXT_MONTH.timestamp())
    assert key not in read_used_up(connection.connection, NEXT_MONTH)
    assert read_usage(shop.project, NEXT_MONTH).quotas[1].left == 2
    # One that was read before the month's end refuses no longer, though nobody could read it anew.
    old = UsedUp("events", 2, 2, date(2020, 1, 1), datetime(2020, 2, 1, tzinfo=UTC).timestamp())
    config = lane.gateway._config
    config.current = replace(config.current, used_up={key: old})
    assert lane.post("/v1/events", events("e1"), shop.public).status_code == 202


def test_warnings_come_once_each_per_month(shop):
    def warnings() -> list[tuple[str, int, bool]]:
        alerts = Alert.objects.filter(project=shop.project, event="quota").order_by("created_at")
        return [(one.detail["month"], one.detail["percent"], one.resolved_at is None) for one in alerts]

    def use(count: int, moment: datetime) -> None:
        builders.write(Rows(events=[at(moment, shop) for _ in range(count)]))
        count_usage(moment)
        count_usage(moment)

    set_quota(project=shop.project, changes={"events": 10}, by="the operator")
    use(7, LAST_SECOND)
    assert warnings() == []
    use(1, LAST_SECOND)
    assert warnings() == [("2031-01", 80, True)]
    use(3, LAST_SECOND)
    assert warnings() == [("2031-01", 80, True), ("2031-01", 100, True)]
    last = Alert.objects.filter(project=shop.project).latest("created_at")
    assert last.summary == (
        "The quota of events and feedback for 2031-01 is used up: 11 of 10. More are refused until "
        "2031-02-01."
    )
    assert last.path == f"/p/{shop.project.slug}/usage/"
    use(10, NEXT_MONTH)
    assert warnings() == [
        ("2031-01", 80, False), ("2031-01", 100, False), ("2031-02", 100, True),
    ]  # fmt: skip


def test_the_api_shows_the_project_of_its_key(ask, shop, limit):
    builders.write(Rows(events=[at(LAST_SECOND, shop)]))
    limit(answers=5)
    shown = ask("usage", shop.secret).json()
    assert shown["months"] == [NOTHING | {"month": "2031-01", "events": 1}]
    assert shown["quotas"] == [
        {"quota": "answers", "limit": 5, "used": 0, "left": 5},
        {"quota": "events", "limit": None, "used": 0, "left": None},
        {"quota": "tokens", "limit": None, "used": 0, "left": None},
    ]
    month = next_month(month_of(builders.now()))
    assert datetime.fromisoformat(shown["resets_at"]).date() == month
    file = ask("usage.csv", shop.secret)
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert list(csv.DictReader(io.StringIO(file.text))) == [
        {"project": shop.project.slug, "month": "2031-01"}
        | {name: str(count) for name, count in (NOTHING | {"events": 1}).items()}
    ]
    stranger = builders.make_shop()
    assert ask("usage", stranger.secret).json()["months"] == []
    for path in ("usage", "usage.csv"):
        assert ask(path, shop.public).status_code == 401
        _, narrow = ApiKey.make(shop.project, SECRET, name="narrow", scopes=[EXPORT])
        assert ask(path, narrow).json()["error"]["code"] == "scope_needed"


def test_the_operator_sets_quotas_by_the_console(console, shop):
    slug = shop.project.slug
    shown = console("project", "quota", slug, "--events", "10", "--tokens", "0").stdout
    assert "answers: 0 used, no quota" in shown
    assert "events: 0 of 10 used, 10 left" in shown
    assert "tokens: 0 of 0 used, 0 left" in shown
    console("project", "quota", slug, "--tokens", "none", "--answers", "7")
    quota = Quota.objects.get(project=shop.project)
    assert (quota.answers, quota.events, quota.tokens) == (7, 10, None)
    entries = AuditEntry.objects.filter(project=shop.project, action="set quota").order_by("id")
    assert [one.detail for one in entries] == [
        {"events": 10, "tokens": 0},
        {"answers": 7, "tokens": None},
    ]
    wrong = console("project", "quota", slug, "--events", "many", status=2).stderr
    assert "events == 'many', must be a whole number, or none." in wrong
    large = console("project", "quota", slug, "--events", str(10**16), status=2).stderr
    assert f"events == {10**16}, must be a whole number in" in large
    unknown = console("project", "quota", "nowhere", status=2).stderr
    assert "project == 'nowhere', must be one of" in unknown
    assert Quota.objects.get(project=shop.project).events == 10


def test_the_console_shows_usage(console, shop):
    name = ("--project", shop.project.slug)
    assert "No usage yet." in console("usage", *name).stdout
    builders.write(Rows(events=[at(LAST_SECOND, shop), at(NEXT_MONTH, shop)]))
    shown = json.loads(console("usage", *name, "--json").stdout)
    assert [(one["month"], one["events"]) for one in shown["months"]] == [
        ("2031-02", 1),
        ("2031-01", 1),
    ]
    lines = console("usage", *name, "--csv").stdout.splitlines()
    assert lines[0].startswith("project,month,answers,events")
    assert lines[1] == f"{shop.project.slug},2031-01,0,1,0,0,0,0"
    table = console("usage", *name).stdout
    assert "2031-02" in table
    assert "events: 0 used, no quota" in table
    both = console("usage", *name, "--csv", "--json", status=2).stderr
    assert "give one of --csv and --json." in both


def test_the_console_shows_the_usage_of_every_project_to_whoever_bills(console, shop):
    other = builders.make_shop()
    builders.write(Rows(events=[at(NEXT_MONTH, shop), at(NEXT_MONTH, other), at(LAST_SECOND, other)]))
    slugs = sorted((shop.project.slug, other.project.slug))
    shown = json.loads(console("usage", "--all", "--json", BAKEOFF_PROJECT=slugs[0]).stdout)
    months = [(one["project"], one["month"]) for one in shown if one["project"] in slugs]
    assert months == [*((slug, "2031-02") for slug in slugs), (other.project.slug, "2031-01")]
    whole = console("usage", "--all", "--csv").stdout.splitlines()[1:]
    assert (months := [line.split(",")[1] for line in whole]) == sorted(months)
    lines = console("usage", "--all", "--month", "2031-01", "--csv").stdout.splitlines()
    assert lines[0].startswith("project,month,answers,events")
    assert f"{other.project.slug},2031-01,0,1,0,0,0,0" in lines[1:]
    assert all(",2031-01," in line for line in lines[1:])
    assert "No usage yet." in console("usage", "--all", "--month", "1999-01").stdout
    for arguments, sentence in (
        (["--month", "2031-01"], "--month goes with --all."),
        (["--all", "--project", slugs[0]], "give one of --all and --project."),
        (["--all", "--month", "January"], "does not match the format '%Y-%m'"),
    ):
        assert sentence in console("usage", *arguments, status=2).stderr


def test_a_quota_that_cannot_be_is_refused_everywhere(shop):
    for changes, message in (
        ({"events": -1}, "events == -1, must be a whole number in"),
        ({"clicks": 1}, "quota == 'clicks', must be one of"),
    ):
        with pytest.raises(QuotaRuleError, match=message):
            set_quota(project=shop.project, changes=changes, by="a test")
    assert not Quota.objects.filter(project=shop.project).exists()
    with pytest.raises(IntegrityError, match="quotas_are_not_negative"):
        Quota.objects.create(project=shop.project, events=-1)


def test_months_are_of_utc():
    assert month_of(datetime(2026, 12, 31, 23, 30, tzinfo=UTC)) == date(2026, 12, 1)
    east = datetime(2027, 1, 1, 0, 30, tzinfo=UTC) - timedelta(hours=1)
    assert month_of(east) == date(2026, 12, 1)
    assert next_month(date(2026, 12, 1)) == date(2027, 1, 1)
    assert next_month(date(2026, 1, 1)) == date(2026, 2, 1)


def test_the_page_shows_months_and_what_is_left(shop, limit):
    path = f"/p/{shop.project.slug}/usage/"
    viewer = sign_in(shop.project)
    assert "No usage yet." in viewer.get(path).content.decode()
    builders.write(Rows(events=[at(LAST_SECOND, shop), builders.event(shop.project)]))
    limit(events=1, answers=9)
    page = viewer.get(path).content.decode()
    assert re.findall(r'data-month="(.+?)"', page) == [
        "2031-01", f"{month_of(builders.now()):%Y-%m}",
    ]  # fmt: skip
    assert 'data-line="Events"' in page
    assert "Used up: more is refused" in page
    assert (
        'data-quota="answers"><td>Answers</td><td class="number">0</td><td class="number">9</td>'
        in page
    )
    chinese = viewer.get(path, headers={"accept-language": "zh-hans"}).content.decode()
    for words in ("<h1>用量</h1>", "事件与反馈", "已用完：更多请求将被拒绝", 'data-line="事件"'):
        assert words in chinese
    file = viewer.get(f"/p/{shop.project.slug}/usage.csv")
    assert file.headers["Content-Disposition"].endswith(f'"usage-{shop.project.slug}.csv"')
    assert len(file.content.decode().splitlines()) == 3
    assert sign_in().get(path).status_code == 404


def test_a_quota_is_the_operators_on_the_admin_pages_too(shop):
    form = {"project": shop.project.pk, "answers": "5", "events": "", "tokens": ""}
    admin = sign_in(shop.project, role="admin")
    assert admin.post("/admin/accounts/quota/add/", form).status_code == 302
    assert not Quota.objects.filter(project=shop.project).exists()  # it led to a sign-in
    root = Client()
    root.force_login(builders.make_root())
    wrong = root.post("/admin/accounts/quota/add/", form | {"answers": "-5"})
    assert wrong.status_code == 200
    assert not Quota.objects.filter(project=shop.project).exists()
    assert root.post("/admin/accounts/quota/add/", form).status_code == 302
    assert Quota.objects.get(project=shop.project).answers == 5
    assert AuditEntry.objects.filter(project=shop.project, action="add quota").count() == 1


def test_the_python_client_hears_of_it_at_once(lane, shop, limit):
    limit(events=0)
    client = bakeoff_client.Client(lane.url, shop.secret)
    with pytest.raises(bakeoff_client.BakeoffError, match="events and feedback of") as refused:
        client.track("click", unit_id="u1")
    assert (refused.value.status, refused.value.code) == (429, "quota_used_up")
    client.close()


def test_alerts_are_shown_in_the_readers_language(shop):
    set_quota(project=shop.project, changes={"events": 2}, by="the operator")
    builders.write(Rows(events=[at(LAST_SECOND, shop), at(LAST_SECOND, shop)]))
    count_usage(LAST_SECOND)
    summary = Alert.objects.get(project=shop.project, event="quota").summary
    assert is_listed(summary)
    with override("zh-hans"):
        assert show_stored(summary).startswith("2031-01 的事件与反馈配额已用完：2 / 2")
    with override("en"):
        assert show_stored(summary) == summary.removesuffix(".")
