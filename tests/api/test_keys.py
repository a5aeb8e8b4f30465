"""Keys over the API: what each may do, from where, and when it was last used."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from bakeoff.accounts.models import ApiKey, AuditEntry
from inference.models import Surface
from tests.support.commands import run
from tests.support.dashboard import sign_in
from tests.support.waiting import wait_until

ASK = {"surface": "home-feed", "unit_id": "u1"}
EVENT = {"name": "click", "unit_id": "u1"}
# Scope, method, path, body: each answers 403 without its scope; test_operations.py has the management API's.
OPERATIONS = [
    ("serve", "POST", "/v1/recommend", ASK),
    ("serve", "GET", "/v1/flags", None),
    ("serve", "POST", "/ofrep/v1/evaluate/flags", {"context": {"targetingKey": "u1"}}),
    ("ingest", "POST", "/v1/events", EVENT),
    ("ingest", "POST", "/v1/track", {"userId": "u1", "event": "click"}),
]


def call(lane, key, method, path, body=None, **headers):
    headers = {"Authorization": f"Bearer {key}", **headers}
    return lane.client.request(method, path, json=body, headers=headers)


def make(lane, shop, **body):
    answer = call(lane, shop.secret, "POST", "/v1/keys", {"kind": "sk", "name": "a test", **body})
    lane.refresh()
    return answer


@pytest.mark.parametrize(("scope", "method", "path", "body"), OPERATIONS)
def test_a_key_does_what_its_scopes_say_and_nothing_else(lane, shop, scope, method, path, body):
    others = [one for one in ("serve", "ingest", "read", "manage", "export", "admin") if one != scope]
    without = make(lane, shop, scopes=others).json()["key"]
    refused = call(lane, without, method, path, body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "scope_needed")
    alone = make(lane, shop, scopes=[scope]).json()["key"]
    assert call(lane, alone, method, path, body).status_code not in {401, 403}


def test_keys_of_before_keep_what_they_could_do(lane, shop):
    ApiKey.objects.filter(project=shop.project).update(scopes=[])
    lane.refresh()
    assert call(lane, shop.public, "POST", "/v1/events", EVENT).status_code == 202
    assert call(lane, shop.secret, "GET", "/v1/keys").status_code == 200


def test_a_public_key_never_manages(lane, shop):
    answer = make(lane, shop, kind="pk", scopes=["serve", "manage"])
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "scopes")
    assert "scope == 'manage', must be one of" in answer.json()["error"]["message"]
    key = shop.project.api_keys.filter(kind="pk").first()
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiKey.objects.filter(pk=key.pk).update(scopes=["manage"])


def test_origins_of_a_key_are_changed_and_hold_at_once(lane, shop):
    created = make(lane, shop, kind="pk", allowed_origins=["https://Shop.example:443/"]).json()
    assert created["allowed_origins"] == ["https://shop.example"]
    origin = {"Origin": "https://other.example"}
    assert call(lane, created["key"], "POST", "/v1/events", EVENT, **origin).status_code == 403
    changed = call(
        lane, shop.secret, "PATCH", f"/v1/keys/{created['id']}", {"allowed_origins": [origin["Origin"]]}
    )
    assert changed.json()["allowed_origins"] == [origin["Origin"]]
    assert changed.json()["scopes"] == ["serve", "ingest"]
    lane.refresh()
    assert call(lane, created["key"], "POST", "/v1/events", EVENT, **origin).status_code == 202


@pytest.mark.parametrize(
    "origin", ["shop.example", "https://a/path", "ftp://a", "https://u@a", "*", ""]
)
def test_what_is_no_origin_is_named(lane, shop, origin):
    answer = make(lane, shop, allowed_origins=[origin])
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "allowed_origins")


def test_a_revoked_key_answers_nobody_and_its_stream_ends(lane, shop):
    created = make(lane, shop, kind="pk").json()
    with lane.client.stream("GET", f"/ofrep/v1/stream?key={created['key']}") as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": hello"
        assert call(lane, shop.secret, "POST", f"/v1/keys/{created['id']}/revoke").json()["revoked_at"]
        lane.refresh()
        assert not [line for line in lines if line.startswith("data")]  # it comes to its end
    assert call(lane, created["key"], "POST", "/v1/events", EVENT).status_code == 401


def in_seconds(seconds):
    return (timezone.now() + timedelta(seconds=seconds)).isoformat()


def test_a_key_past_its_date_answers_nobody_and_says_so(lane, shop):
    """Also while the configuration is not read anew: the web process itself looks at the clock."""
    public = make(lane, shop, kind="pk", expires_at=in_seconds(60)).json()
    secret = make(lane, shop, expires_at=in_seconds(60)).json()
    calls = [(public, "POST", "/v1/events", EVENT), (secret, "GET", "/v1/experiments", None)]
    assert [call(lane, one["key"], *what).status_code for one, *what in calls] == [202, 200]
    with lane.client.stream("GET", f"/ofrep/v1/stream?key={public['key']}") as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": hello"
        soon = timezone.now() + timedelta(seconds=1)
        ApiKey.objects.filter(pk__in=[public["id"], secret["id"]]).update(expires_at=soon)
        lane.refresh()
        for one, *what in calls:
            wait_until(lambda one=one, what=what: call(lane, one["key"], *what).status_code == 401)
        lane.refresh()
        assert not [line for line in lines if line.startswith("data")]  # it comes to its end
    for one, *what in calls:
        refused = call(lane, one["key"], *what)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "key_expired")
        assert refused.json()["error"]["message"].startswith("The key expired at 20")
    page = sign_in(shop.project, role="viewer").get(f"/p/{shop.project.slug}/team/")
    assert page.content.decode().count("expired 20") == 2


def test_the_end_of_a_key_is_set_moved_and_taken_away(lane, shop):
    created = make(lane, shop, expires_at="2999-01-31T12:00:00+01:00").json()
    assert created["expires_at"] == "2999-01-31T11:00:00Z"
    address = f"/v1/keys/{created['id']}"
    for body, expected in (
        ({"scopes": ["serve"]}, "2999-01-31T11:00:00Z"),  # what is not named stays
        ({"expires_at": "2998-01-01T00:00:00Z"}, "2998-01-01T00:00:00Z"),
        ({"expires_at": None}, None),
    ):
        assert call(lane, shop.secret, "PATCH", address, body).json()["expires_at"] == expected
    entry = AuditEntry.objects.filter(project=shop.project, action="change key").order_by("id")[1]
    assert entry.detail["expires_at"] == "2998-01-01T00:00:00+00:00"
    lifted = AuditEntry.objects.filter(project=shop.project, action="change key").order_by("id")[2]
    assert lifted.detail["expires_at"] is None
    for bad, status in (("2020-01-01T00:00:00Z", 422), ("2999-01-01T00:00:00", 400), ("soon", 400)):
        answer = call(lane, shop.secret, "PATCH", address, {"expires_at": bad})
        assert (answer.status_code, answer.json()["error"]["field"]) == (status, "expires_at"), bad
    past = call(lane, shop.secret, "PATCH", address, {"expires_at": "2020-01-01T00:00:00Z"})
    message = "expires_at == 2020-01-01T00:00:00+00:00, must be a time to come."
    assert past.json()["error"]["message"] == message
    assert shop.project.api_keys.get(pk=created["id"]).expires_at is None


def test_a_day_that_is_typed_is_the_keys_last(shop):
    page = f"/p/{shop.project.slug}/team/keys/"
    client = sign_in(shop.project, role="admin")
    client.post(page, {"kind": "sk", "name": "typed", "expires": "2999-01-31"})
    key = shop.project.api_keys.get(name="typed")
    assert f"{key.expires_at}" == "2999-01-31 23:59:59+00:00"
    noon = key.expires_at.replace(hour=12)
    ApiKey.objects.filter(pk=key.pk).update(expires_at=noon)
    for day in ("2999-01-31", "no day", "2020-01-01"):  # saved as it was, or refused
        client.post(f"{page}{key.pk}/", {"scopes": ["serve"], "expires": day})
        key.refresh_from_db()
        assert (key.scopes, key.expires_at) == (["serve"], noon), day
    assert "must be" not in client.get(f"/p/{shop.project.slug}/team/").content.decode()
    client.post(f"{page}{key.pk}/", {"scopes": ["serve"], "expires": ""})
    key.refresh_from_db()
    assert key.expires_at is None


def test_another_projects_keys_are_not_there(lane, shop):
    from tests.support import builders

    other = builders.make_shop()
    key = other.project.api_keys.first()
    for method, path in (("PATCH", f"/v1/keys/{key.pk}"), ("POST", f"/v1/keys/{key.pk}/revoke")):
        assert call(lane, shop.secret, method, path, {}).status_code == 404
    listed = call(lane, shop.secret, "GET", "/v1/keys").json()
    assert {one["id"] for one in listed} == set(shop.project.api_keys.values_list("pk", flat=True))
    assert "key" not in listed[0]


def last_use(shop, kind):
    return shop.project.api_keys.get(kind=kind, name__in=("public", "secret")).last_used_at


def write_use(lane):
    asyncio.run_coroutine_threadsafe(lane.gateway._key_use.write(), lane.loop).result(20)


def test_the_last_use_is_written_at_most_once_a_minute(lane, shop):
    call(lane, shop.public, "POST", "/v1/events", EVENT)
    call(lane, shop.secret, "GET", "/v1/experiments")
    write_use(lane)
    first = {kind: last_use(shop, kind) for kind in ("pk", "sk")}
    assert all(timezone.now() - at < timedelta(minutes=1) for at in first.values())
    call(lane, shop.public, "POST", "/v1/events", EVENT)
    call(lane, shop.secret, "GET", "/v1/experiments")
    write_use(lane)
    assert {kind: last_use(shop, kind) for kind in ("pk", "sk")} == first
    old = timezone.now() - timedelta(minutes=2)
    ApiKey.objects.filter(project=shop.project).update(last_used_at=old)
    call(lane, shop.public, "POST", "/v1/events", EVENT)
    call(lane, shop.secret, "GET", "/v1/experiments")
    write_use(lane)
    assert all(last_use(shop, kind) > old for kind in ("pk", "sk"))


def test_lists_come_in_pages(lane, shop):
    Surface.objects.bulk_create(
        Surface(project=shop.project, key=f"s{n:03}", static_list=[]) for n in range(120)
    )
    names = []
    for offset in (0, 100):
        page = call(lane, shop.secret, "GET", f"/v1/surfaces?offset={offset}").json()
        names += [one["key"] for one in page]
    assert len(names) == len(set(names)) == 121
    assert len(call(lane, shop.secret, "GET", "/v1/surfaces?limit=7").json()) == 7
    for bad in ("limit=0", "limit=1001", "offset=-1", "limit=x"):
        assert call(lane, shop.secret, "GET", f"/v1/surfaces?{bad}").status_code == 400


@pytest.mark.parametrize("path", ["/v1/experiments", "/v1/keys", "/", "/sign-in/", "/v1/nowhere"])
def test_nobody_else_keeps_a_copy(lane, shop, path):
    answer = call(lane, shop.secret, "GET", path)
    assert "no-store" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/healthz", "/v1/flags", "/v1/nothing/of/it"])
def test_no_answer_is_sniffed(lane, shop, path):
    assert call(lane, shop.public, "GET", path).headers["x-content-type-options"] == "nosniff"


def test_a_key_that_reads_changes_nothing(lane, shop):
    experiment = shop.run_experiment(promote=False)
    path = f"/v1/experiments/{experiment.key}"
    name = ["--name", "agent", "--kind", "secret", "--project", shop.project.slug]
    printed = run("keys", "make", *name, "--scope", "read")
    reads = next(word for word in printed.split() if word.startswith("sk_"))
    for shown in ("/v1/experiments", path, f"{path}/report.json", "/v1/surfaces", "/v1/metrics"):
        assert call(lane, reads, "GET", shown).status_code == 200, shown
    for method, act in (("POST", f"{path}/stop"), ("PATCH", "/v1/surfaces/home-feed")):
        refused = call(lane, reads, method, act, {}).json()["error"]
        assert (refused["code"], "must hold 'manage'" in refused["message"]) == ("scope_needed", True)
    assert call(lane, reads, "GET", "/v1/keys").status_code == 403
    experiment.refresh_from_db()
    assert experiment.state == "running"


def test_a_key_that_stops_an_experiment_is_named(lane, shop):
    experiment = shop.run_experiment(promote=False)
    decided = call(lane, shop.secret, "POST", f"/v1/experiments/{experiment.key}/stop", {})
    assert decided.json()["reason"] == f"stopped by key {shop.secret[:8]}…"
    page = sign_in(shop.project, role="viewer").get(
        f"/experiments/{shop.project.slug}/{experiment.key}/"
    )
    assert f"Stopped by API key {shop.secret[:8]}…" in page.content.decode()
