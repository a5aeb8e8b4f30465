"""Run in the upgraded home: what the old version hashed, looked at, spilled and served, by this one."""

# ruff: noqa: E402  Django is set up before its models are imported
from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import django

django.setup()

import redis
from django.conf import settings
from django.db import connection

from bakeoff.environment import read_environment
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.record_decision import hash_of
from experiments.ingest.spill import REFUSED, STREAM, drain
from experiments.metrics.freeze import spec_of
from experiments.models import Decision, Experiment, Look
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from inference.models import ModelVersion
from inference.serving.models import open_model
from tests.support.fast_lane import FastLane

EXPECTED = json.loads((Path(sys.argv[1]) / "expected.json").read_text())
PUBLIC, SECRET = (f"{kind}_{EXPECTED['keys_without_prefix'][kind]}" for kind in ("pk", "sk"))


def look_again(look: Look) -> bool:
    """Whether the same numbers come out for the same action."""
    again = json.loads(json.dumps(take_look(LookInput.from_json(look.inputs)).as_json()))
    rows = zip(look.result["comparisons"], again["comparisons"], strict=True)
    same = all(
        (old["effect"] or {}).get("estimate") == (new["effect"] or {}).get("estimate")
        for old, new in rows
    )
    return same and again["action"] == look.result["action"]


def policy_hash(experiment: Experiment) -> str:
    return hashlib.sha256(json.dumps(experiment.rule(), sort_keys=True).encode()).hexdigest()


def drain_and_look() -> list[int]:
    """Drain the old entry and look at the second experiment; entries moved and put aside."""
    with redis.Redis.from_url(read_environment().redis_url) as client:
        client.flushdb()
        client.xadd(STREAM, EXPECTED["spilled"])
        connection.ensure_connection()
        moved = [drain(client, connection.connection), client.xlen(REFUSED)]
    look_at_experiment(experiment_id=Experiment.objects.get(key=EXPECTED["second"]).pk)
    return moved


def ask_again() -> dict:
    """Ask both lanes with the old keys for what the old version answered."""
    lane = FastLane(read_environment(), cache_seconds=5)
    click = {"event_id": "live-0", "name": "click", "unit_id": "live0", "item_id": "i1"}

    def read(path: str):
        return lane.client.get(f"/v1/experiments/{path}", headers={"X-API-Key": SECRET}).json()

    try:
        served = [
            lane.post("/v1/recommend", {"surface": "home-feed", "unit_id": f"live{n}"}, PUBLIC).json()
            for n in range(len(EXPECTED["served"]))
        ]
        report = read(f"{EXPECTED['second']}/report.json")
        return {
            "served": [[answer["variant"], answer["model"]] for answer in served],
            "duplicates": lane.post("/v1/events", click, PUBLIC).json()["duplicates"],
            "chain": [
                [row["action"], row["sha256"], row["previous_sha256"]]
                for row in read(f"{EXPECTED['first']}/decisions")
            ],
            "units": sum(row["units"] for row in report["variants"]),
        }
    finally:
        lane.stop()


found = {
    "decisions": [[d.action, hash_of(d), d.previous_sha256] for d in Decision.objects.order_by("id")],
    "looks": [look_again(look) for look in Look.objects.order_by("id")],
    "policies": [e.policy_sha256 == policy_hash(e) for e in Experiment.objects.order_by("id")],
    "directions": [
        spec_of(metric, experiment).direction
        for experiment in Experiment.objects.order_by("id")
        for metric in experiment.metrics.select_related("metric")
    ],
    "versions": [
        open_model(settings.BAKEOFF.artifacts, version.artifact_sha256) is not None
        for version in ModelVersion.objects.order_by("id")
    ],
}
# Last: it adds rows.
found["drained"] = drain_and_look()
json.dump(found | ask_again(), sys.stdout)
