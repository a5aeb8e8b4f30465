"""Every operation of the management API that changes something writes one audit entry."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

import numpy as np
import pytest
from safetensors.numpy import save

from bakeoff.accounts.models import AuditEntry
from bakeoff.api.application import api
from experiments.actions.add_prompt import add_prompt
from experiments.actions.load_data_set import DataSetRowDraft, load_data_set
from experiments.models import DataSet, Feedback, RuleVersion
from inference.models import Snapshot, Surface, TrainingRun
from tests.support import alerts, builders
from tests.support.comment_verbs import make_comment

FAST_LANE = {"fast lane", "Segment", "flags"}  # what visitors do is recorded as rows of its own
# What they read is large or private, so it is asked for in a body; nothing is changed.
READS = {
    ("post", "/v1/units/export"),
    ("post", "/v1/units/assignments"),
    ("post", "/v1/experiments/{key}/links"),  # a signed token; nothing is stored
}
# Data, not configuration: rows that a product sends by the thousand, each with its time.
DATA = {
    ("put", "/v1/items"),
    ("post", "/v1/items/bulk"),
    ("post", "/v1/items/delete"),
    ("patch", "/v1/items/{item_id}"),
    ("delete", "/v1/items/{item_id}"),
    ("put", "/v1/item-images/{item_id}"),
    ("delete", "/v1/item-images/{item_id}"),
}


def draft(shop):
    challenger = builders.make_version(shop.surface, list(range(1, 11)))
    return shop.define(challenger)


def commented(shop):
    experiment, key = draft(shop), shop.project.api_keys.get(name="secret")
    comment = make_comment(experiment, by=f"key {key.prefix}…")
    return f"/v1/experiments/{experiment.key}/comments/{comment.pk}"


def run_for(shop, **fields):
    return TrainingRun.objects.create(
        surface=shop.surface, algorithm="popularity", trigger="a test", **fields
    )


def parent(shop):
    snapshot = Snapshot.objects.create(surface=shop.surface, sha256="0" * 64, rows=1, units=1)
    version = builders.make_version(shop.surface, list(range(1, 11)), snapshot=snapshot)
    return f"/v1/surfaces/home-feed/models/{version.algorithm}/{version.number}"


def generating(shop):
    Surface.objects.create(project=shop.project, key="chat", kind="generate")
    return "/v1/surfaces/chat/data-sets"


def checked(shop):
    DataSet.objects.create(
        project=shop.project, surface=shop.surface, key="typical", created_by="a test"
    )
    return f"/v1/surfaces/home-feed/models/{shop.champion.algorithm}/{shop.champion.number}/checks"


def liked(shop):
    builders.write(
        builders.Rows(
            events=[
                builders.event(shop.project, unit=f"u{n}", name="click", item_id=f"i{n % 5}")
                for n in range(40)
            ]
        )
    )
    shop.surface.liked_events = ["click"]
    shop.surface.save()
    return "/v1/surfaces/home-feed/training-runs", {"algorithm": "popularity"}


def feedback(shop):
    slate = builders.make_slate(shop, "u1")
    row = builders.feedback(shop, slate, kind="text", text="good")
    builders.write(builders.Rows(feedback=[row]))
    return Feedback.objects.get(project=shop.project).feedback_id


def to_label(shop):
    Surface.objects.create(project=shop.project, key="desk", kind="classify")
    return "/v1/surfaces/desk/label-tasks", {"feedback": [feedback(shop)]}


def survey(shop):
    shop.project.surveys.create(surface=shop.surface, key="liked", kind="rating", question="Good?")
    return "/v1/surfaces/home-feed/surveys/liked", {"enabled": False}


def promoted(shop):
    version = builders.make_version(shop.surface, list(range(1, 11)))
    return f"/v1/surfaces/home-feed/models/{version.algorithm}/{version.number}/promote", {}


HOOK = "https://hooks.example/bakeoff"


def subscription(shop):
    return f"/v1/alerts/subscriptions/{alerts.subscribe(shop.project, HOOK).pk}"


def waiting(shop, verb):
    version = builders.make_version(shop.surface, [1] * 10, algorithm="ease")
    return f"/v1/surfaces/home-feed/autopilot/queue/{version.label}/{verb}"


def ramping(shop, verb):
    builders.start_ramp(shop)
    return f"/v1/surfaces/home-feed/autopilot/ramp/{verb}"


def proposed(shop, verb):
    builders.set_programme(shop, holdback_share=0)
    proposal = builders.propose_treatment(shop.run_experiment())
    return f"/v1/surfaces/home-feed/autopilot/proposals/{proposal.pk}/{verb}"


def prompted(shop):
    Surface.objects.create(project=shop.project, key="support", kind="generate")
    return "/v1/surfaces/support/prompts"


def searched(shop):
    address = prompted(shop)
    surface = Surface.objects.get(project=shop.project, key="support")
    messages = [{"role": "system", "content": "You help."}]
    add_prompt(
        surface=surface,
        data={"provider": "test", "model": "small", "messages": messages},
        by="a test",
    )
    load_data_set(
        surface=surface,
        key="typical",
        rows=[DataSetRowDraft([{"role": "user", "content": "Where?"}])],
        assertions=[{"type": "contains", "value": "order"}],
        by="a test",
    )
    return address.replace("prompts", "prompt-searches"), {"provider": "test", "model": "strong"}


def imported(shop):
    address, _ = liked(shop)
    content = save({"item_vectors": np.eye(10, dtype=np.float32)})
    return address.replace("training-runs", "model-imports"), {
        "file": b64encode(content).decode(),
        "sha256": sha256(content).hexdigest(),
        "item_ids": shop.items,
    }


def saved_rules(shop):
    RuleVersion.objects.create(surface=shop.surface, number=1, rules={"caps": {"labels": 1}})
    return "/v1/surfaces/home-feed/rules/1/serve", {}


EXPERIMENT = {
    "key": "trial", "surface": "home-feed", "metrics": [{"metric": "clicks"}],
    "variants": [
        {"key": "a", "model": "popularity@1", "weight": 0.5, "is_control": True},
        {"key": "b", "model": "popularity@1", "weight": 0.5},
    ],
}  # fmt: skip


def at(address, body=None):
    """The same for every shop."""
    return lambda _shop: (address, body)


# Operation → what makes its address and body.
def labelled(shop):
    shop.surface.examples.create(example_id="e1", text="too dear", label="price")
    return "/v1/surfaces/home-feed/examples"


def put_away(kind, act):
    """An unused surface or metric, archived where the act is of such."""

    def prepare(shop):
        is_archived = act == "restore" or (kind, act) == ("surfaces", "delete")
        at = builders.now() if is_archived else None
        rows = getattr(shop.project, kind)
        fields = {"kind": "mean", "event": "buy"} if kind == "metrics" else {}
        rows.create(key="unused", archived_at=at, **fields)
        address = f"/v1/{kind}/unused"
        return address if act == "delete" else f"{address}/{act}", None

    return prepare


CALLS = {
    ("put", "/v1/surfaces"): at("/v1/surfaces", {"key": "sidebar"}),
    ("post", "/v1/surfaces/{key}/orders"): at("/v1/surfaces/home-feed/orders", {"list": "latest"}),
    ("post", "/v1/surfaces/{key}/prompts"): lambda s: (
        prompted(s),
        {"prompt": {"provider": "test", "model": "small"}},
    ),
    ("post", "/v1/surfaces/{key}/rules"): at(
        "/v1/surfaces/home-feed/rules", {"rules": {"caps": {"labels": 1}}}
    ),
    ("post", "/v1/surfaces/{key}/rules/{number}/serve"): saved_rules,
    ("patch", "/v1/surfaces/{key}"): at("/v1/surfaces/home-feed", {"candidates": 50}),
    ("patch", "/v1/surfaces/{key}/judging"): at("/v1/surfaces/home-feed/judging", {"points": 3}),
    ("post", "/v1/surfaces/{key}/data-sets"): lambda s: (
        generating(s),
        {"key": "typical", "rows": [{"variables": {"name": "Ann"}}]},
    ),
    ("post", "/v1/surfaces/{key}/models/{name}/{number}/checks"): lambda s: (
        checked(s),
        {"data_set": "typical"},
    ),
    ("patch", "/v1/surfaces/{key}/autopilot"): at(
        "/v1/surfaces/home-feed/autopilot", {"primary_metric": "clicks"}
    ),
    ("post", "/v1/surfaces/{key}/autopilot/queue/{version}/hold"): lambda s: (waiting(s, "hold"), {}),
    ("post", "/v1/surfaces/{key}/autopilot/queue/{version}/release"): lambda s: (
        waiting(s, "release"),
        {},
    ),
    ("post", "/v1/surfaces/{key}/autopilot/queue/{version}/drop"): lambda s: (waiting(s, "drop"), {}),
    ("post", "/v1/surfaces/{key}/autopilot/queue/{version}/priority"): lambda s: (
        waiting(s, "priority"),
        {"priority": 1},
    ),
    ("post", "/v1/surfaces/{key}/autopilot/ramp/continue"): lambda s: (ramping(s, "continue"), {}),
    ("post", "/v1/surfaces/{key}/autopilot/ramp/stay"): lambda s: (ramping(s, "stay"), {}),
    ("post", "/v1/surfaces/{key}/autopilot/ramp/roll-back"): lambda s: (ramping(s, "roll-back"), {}),
    ("post", "/v1/surfaces/{key}/autopilot/proposals/{proposal_id}/approve"): lambda s: (
        proposed(s, "approve"),
        {},
    ),
    ("post", "/v1/surfaces/{key}/autopilot/proposals/{proposal_id}/decline"): lambda s: (
        proposed(s, "decline"),
        {},
    ),
    ("post", "/v1/metrics"): at("/v1/metrics", {"key": "buys", "kind": "mean", "event": "buy"}),
    **{
        ("post", f"/v1/{kind}/{{key}}/{act}"): put_away(kind, act)
        for kind in ("surfaces", "metrics")
        for act in ("archive", "restore")
    },
    **{("delete", f"/v1/{kind}/{{key}}"): put_away(kind, "delete") for kind in ("surfaces", "metrics")},
    ("patch", "/v1/metrics/{key}"): at("/v1/metrics/clicks", {"owner": "Discovery"}),
    ("post", "/v1/experiments"): at("/v1/experiments", EXPERIMENT),
    ("patch", "/v1/experiments/{key}"): lambda s: (
        f"/v1/experiments/{draft(s).key}",
        {"hypothesis": "x"},
    ),
    ("delete", "/v1/experiments/{key}"): lambda s: (f"/v1/experiments/{draft(s).key}", None),
    ("post", "/v1/experiments/{key}/comments"): lambda s: (
        f"/v1/experiments/{draft(s).key}/comments",
        {"text": "Why?"},
    ),
    ("patch", "/v1/experiments/{key}/comments/{comment_id}"): lambda s: (
        commented(s),
        {"text": "How?"},
    ),
    ("delete", "/v1/experiments/{key}/comments/{comment_id}"): lambda s: (commented(s), None),
    ("post", "/v1/experiments/{key}/start"): lambda s: (f"/v1/experiments/{draft(s).key}/start", None),
    ("post", "/v1/experiments/{key}/ramp"): lambda s: (
        f"/v1/experiments/{s.run_experiment().key}/ramp",
        {"block_earlier": True},
    ),
    ("post", "/v1/experiments/{key}/switch"): lambda s: (
        f"/v1/experiments/{s.run_experiment().key}/switch",
        {"enabled": False},
    ),
    ("post", "/v1/experiments/{key}/stop"): lambda s: (
        f"/v1/experiments/{s.run_experiment().key}/stop",
        {},
    ),
    ("post", "/v1/experiments/{key}/ship"): lambda s: (
        f"/v1/experiments/{s.run_experiment().key}/ship",
        {"variant": "treatment"},
    ),
    ("delete", "/v1/surfaces/{key}/examples"): lambda s: (f"{labelled(s)}?every=true", None),
    ("delete", "/v1/surfaces/{key}/examples/{example_id}"): lambda s: (f"{labelled(s)}/e1", None),
    ("post", "/v1/surfaces/{key}/training-runs"): liked,
    ("post", "/v1/surfaces/{key}/model-imports"): imported,
    ("post", "/v1/surfaces/{key}/prompt-searches"): searched,
    ("post", "/v1/training-runs/{run_id}/cancel"): lambda s: (
        f"/v1/training-runs/{run_for(s).pk}/cancel",
        None,
    ),
    ("post", "/v1/surfaces/{key}/models/{name}/{number}/compress"): lambda s: (
        f"{parent(s)}/compress",
        {"how": "project", "size": 8},
    ),
    ("post", "/v1/surfaces/{key}/models/{name}/{number}/shadow"): lambda s: (
        f"{parent(s)}/shadow",
        {},
    ),
    ("post", "/v1/surfaces/{key}/models/{name}/{number}/promote"): promoted,
    ("post", "/v1/surfaces/{key}/surveys"): at(
        "/v1/surfaces/home-feed/surveys", {"key": "liked", "kind": "nps", "question": "Good?"}
    ),
    ("patch", "/v1/surfaces/{key}/surveys/{survey}"): survey,
    ("post", "/v1/surfaces/{key}/label-tasks"): to_label,
    ("patch", "/v1/feedback/{feedback_id}"): lambda s: (f"/v1/feedback/{feedback(s)}", {"state": "ok"}),
    ("post", "/v1/units/exclude"): at("/v1/units/exclude", {"unit_ids": ["u1"]}),
    ("post", "/v1/units/erase"): at("/v1/units/erase", {"unit_id": "u1"}),
    ("patch", "/v1/project"): at("/v1/project", {"timezone": "Europe/Berlin"}),
    ("put", "/v1/layers"): at("/v1/layers", {"key": "home"}),
    ("put", "/v1/holdout"): at("/v1/holdout", {"share": 0.1}),
    ("post", "/v1/keys"): at("/v1/keys", {"kind": "pk", "name": "a test"}),
    ("patch", "/v1/keys/{key_id}"): lambda s: (
        f"/v1/keys/{s.project.api_keys.get(kind='pk').pk}",
        {"allowed_origins": ["https://shop.example"]},
    ),
    ("post", "/v1/keys/{key_id}/revoke"): lambda s: (
        f"/v1/keys/{s.project.api_keys.get(kind='pk').pk}/revoke",
        None,
    ),
    ("post", "/v1/alerts/subscriptions"): at(
        "/v1/alerts/subscriptions", {"name": "ops", "kind": "webhook", "target": HOOK}
    ),
    ("patch", "/v1/alerts/subscriptions/{subscription_id}"): lambda s: (
        subscription(s),
        {"enabled": False},
    ),
    ("delete", "/v1/alerts/subscriptions/{subscription_id}"): lambda s: (subscription(s), None),
    ("post", "/v1/alerts/subscriptions/{subscription_id}/rotate"): lambda s: (
        f"{subscription(s)}/rotate",
        None,
    ),
    ("post", "/v1/alerts/subscriptions/{subscription_id}/test"): lambda s: (
        f"{subscription(s)}/test",
        None,
    ),
    ("post", "/v1/alerts/subscriptions/{subscription_id}/resend"): lambda s: (
        f"{subscription(s)}/resend",
        None,
    ),
    ("post", "/v1/alerts/deliveries/{delivery_id}/resend"): lambda s: (
        f"/v1/alerts/deliveries/{alerts.dead_delivery(s.project).pk}/resend",
        None,
    ),
    ("put", "/v1/groups"): at("/v1/groups", {"key": "staff", "values": ["u1"]}),
}


def operations():
    for path, methods in api.get_openapi_schema()["paths"].items():
        for method, about in methods.items():
            if method != "get" and not FAST_LANE & set(about["tags"]):
                yield method, path


def test_the_table_names_every_operation_that_changes_something():
    assert set(operations()) == set(CALLS) | READS | DATA


@pytest.mark.parametrize("operation", CALLS, ids=" ".join)
def test_one_audit_entry_each(lane, shop, operation, declared_provider):
    method, _ = operation
    address, body = CALLS[operation](shop)
    lane.refresh()
    before = set(AuditEntry.objects.filter(project=shop.project).values_list("pk", flat=True))
    headers = {"Authorization": f"Bearer {shop.secret}"}
    answer = lane.client.request(method, address, json=body, headers=headers)
    assert answer.status_code < 300, answer.text
    (entry,) = AuditEntry.objects.filter(project=shop.project).exclude(pk__in=before)
    assert entry.actor.startswith("key sk_")
