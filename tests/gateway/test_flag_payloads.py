"""Rules for clients: GrowthBook's payload, rules for our own, and streams that say when they change."""

from __future__ import annotations

from experiments.actions.stop_experiment import ship_experiment
from experiments.models import SavedGroup
from tests.support import builders


def test_streams_say_when_flags_change(lane, shop, page):
    headers = {"Authorization": f"Bearer {shop.public}"}
    with (
        lane.client.stream("GET", "/ofrep/v1/stream", headers=headers) as refetches,
        lane.client.stream("GET", f"/sub/{shop.public}") as payloads,
    ):
        lines, sent = refetches.iter_lines(), payloads.iter_lines()
        assert next(lines) == ": hello"
        builders.experiment(shop, page, hashing="growthbook_v2")
        lane.refresh()
        assert any("refetchEvaluation" in next(lines) for _ in range(6))
        # As many reloads as it takes until the experiment runs: each sends a payload, or a heartbeat.
        data = [""]
        while '"button"' not in data[-1]:
            data.append(next(line for line in sent if line.startswith("data: ")))
    assert len(data) == 3  # nothing, the payload without the flag, and the one with it


def test_the_payload_holds_what_growthbooks_clients_can_follow(lane, shop, page):
    builders.experiment(shop, page)
    builders.experiment(shop, page, "theirs", hashing="growthbook_v2")
    ship_experiment(
        experiment=builders.experiment(shop, page, "done"), variant="treatment", by="a test"
    )
    lane.refresh()
    answer = lane.client.get(f"/api/features/{shop.public}")
    assert answer.headers["x-sse-support"] == "enabled"
    features = answer.json()["features"]
    assert set(features) == {"theirs", "done"}
    assert features["done"]["rules"] == [{"force": "green"}]
    assert lane.client.get("/api/features/pk_nobody").status_code == 401
    assert lane.client.get(f"/api/features/{shop.secret}").status_code == 401


def test_no_public_payload_names_people(lane, shop, page):
    values = ["ann-0042", "ben-0043"]
    SavedGroup.objects.create(project=shop.project, key="staff", attribute="id", values=values)
    theirs = {"hashing": "growthbook_v2"}
    salts = [
        builders.experiment(shop, page, "forced", forced_units={"qa-0041": "treatment"}, **theirs).salt,
        builders.experiment(
            shop, page, "grouped", condition={"$savedGroup": {"id": "staff"}}, **theirs
        ).salt,
        builders.experiment(
            shop, page, "listed", condition={"email": {"$in": ["eve@example.com"]}}
        ).salt,
    ]
    builders.experiment(
        shop, page, "child", prerequisites=[{"experiment": "forced", "variants": ["treatment"]}]
    )
    builders.experiment(shop, page, "plain", **theirs)
    targeted = builders.experiment(
        shop, page, "targeted", condition={"country": "DE"}
    )  # beside a group, not with it
    lane.refresh()

    def read(path, key=shop.public):
        headers = {"Authorization": f"Bearer {key}"}
        return lane.client.get(path, headers=headers)

    secrets = [*values, "qa-0041", "eve@example.com", "staff", *salts]
    for answer in (read("/v1/flags"), read(f"/api/features/{shop.public}")):
        assert answer.status_code == 200
        assert not [secret for secret in secrets if secret in answer.text]
    rules = {rule["key"]: rule for rule in read("/v1/flags").json()["running"]}
    assert [key for key, rule in rules.items() if rule == {"key": key, "remote": True}] == [
        "forced", "grouped", "listed", "child",
    ]  # fmt: skip
    assert rules["targeted"]["salt"] == targeted.salt
    features = read(f"/api/features/{shop.public}").json()["features"]
    assert features["forced"] == {"defaultValue": None}
    assert features["plain"]["rules"]
    whole = read("/v1/flags", shop.secret)
    assert all(secret in whole.text for secret in secrets)
    assert whole.headers["etag"] != read("/v1/flags").headers["etag"]
