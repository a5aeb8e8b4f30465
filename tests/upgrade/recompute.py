"""Run in the upgraded home: hashes, looks and artifacts of the old version, computed by this one."""

# ruff: noqa: E402  Django is set up before its models are imported
from __future__ import annotations

import hashlib
import json
import sys

import django

django.setup()

from django.conf import settings

from experiments.actions.record_decision import hash_of
from experiments.metrics.freeze import spec_of
from experiments.models import Decision, Experiment, Look
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from inference.models import ModelVersion
from inference.serving.models import open_model


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


json.dump(
    {
        "decisions": [
            [d.action, hash_of(d), d.previous_sha256] for d in Decision.objects.order_by("id")
        ],
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
    },
    sys.stdout,
)
