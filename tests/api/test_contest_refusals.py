"""What interleaving and clusters refuse by the API: 422, the value and the rule, and nothing is stored."""

from __future__ import annotations

from experiments.models import Experiment
from inference.actions.load_items import ItemDraft, load_items
from inference.models import ModelVersion, Surface
from tests.support import builders

CLUSTERS = {"cluster_by": "store", "planned_units": 1000}
NOT_STORED = (
    "mode == 'cluster' on a surface of kind 'flag', must be on one of ['recommend', 'classify', 'rank', "
    "'generate']: their requests name the cluster, and are stored."
)


def make_stranger(shop, ids, **fields):
    """A version of the shop's surface that ranks items of its own."""
    other = builders.make_project()
    load_items(project_id=other.pk, items=[ItemDraft(one, one, "") for one in ids])
    digest = builders.make_popularity(ids, list(range(len(ids), 0, -1)))
    return ModelVersion.objects.create(
        surface=shop.surface, algorithm="popularity", number=9, alias="challenger",
        artifact_sha256=digest, gate={"passed": True, "rows": {}}, **fields,
    )  # fmt: skip


def interleaved(treatment, **changes):
    return {
        "key": "lists", "surface": "home-feed", "mode": "interleave",
        "variants": [
            {"key": "control", "model": "popularity@1", "weight": 0.5, "is_control": True},
            {"key": "treatment", "model": treatment, "weight": 0.5},
        ],
        "metrics": [{"metric": "clicks"}],
    } | changes  # fmt: skip


def refused(lane, shop, body, sentence):
    answer = lane.post("/v1/experiments", body, shop.secret)
    assert answer.status_code == 422
    assert sentence in answer.json()["error"]["message"]
    assert not Experiment.objects.filter(project=shop.project).exists()


def test_versions_that_share_no_item_are_refused(lane, shop):
    make_stranger(shop, [f"z{n}" for n in range(5)])
    refused(
        lane, shop, interleaved("popularity@9"),
        "items that popularity@9 shares with popularity@1 == 0, must be at least 1: versions of different "
        "catalogues cannot share a list.",
    )  # fmt: skip


def test_versions_that_share_one_item_are_interleaved(lane, shop):
    make_stranger(shop, ["i3", *(f"z{n}" for n in range(5))])
    answer = lane.post("/v1/experiments", interleaved("popularity@9"), shop.secret)
    assert (answer.status_code, answer.json()["mode"]) == (201, "interleave")


def test_one_of_three_versions_that_shares_no_item_is_refused(lane, shop):
    builders.make_version(shop.surface, list(range(1, 11)), algorithm="ease")
    make_stranger(shop, [f"z{n}" for n in range(5)])
    third = {"key": "third", "model": "popularity@9", "weight": 1 / 3}
    body = interleaved("ease@1")
    body["variants"] = [*({**one, "weight": 1 / 3} for one in body["variants"]), third]
    refused(
        lane, shop, body, "items that popularity@9 shares with popularity@1 == 0, must be at least 1"
    )


def test_a_surface_without_lists_is_refused(lane, shop, page):
    body = interleaved("popularity@1") | {
        "surface": "page",
        "variants": [
            {"key": "control", "value": "blue", "weight": 0.5, "is_control": True},
            {"key": "treatment", "value": "green", "weight": 0.5},
        ],
    }
    refused(
        lane, shop, body,
        "mode == 'interleave' on a surface of kind 'flag', must be on one of kind 'recommend'.",
    )  # fmt: skip


def test_clusters_are_refused_on_flags(lane, shop, page):
    body = interleaved("popularity@1") | {
        "surface": "page", "mode": "cluster", "policy": CLUSTERS,
        "variants": [
            {"key": "control", "value": "blue", "weight": 0.5, "is_control": True},
            {"key": "treatment", "value": "green", "weight": 0.5},
        ],
    }  # fmt: skip
    refused(lane, shop, body, NOT_STORED)


def test_clusters_of_a_surface_that_generates_have_a_name_that_texts_leave_free(lane, shop):
    builders.make_version(shop.surface, list(range(1, 11)), algorithm="ease")
    Surface.objects.filter(pk=shop.surface.pk).update(kind=Surface.Kind.GENERATE)
    body = interleaved("ease@1", mode="cluster", policy=CLUSTERS)
    refused(
        lane, shop, body | {"policy": CLUSTERS | {"cluster_by": "answer"}},
        "cluster_by == 'answer' on a surface of kind 'generate', must be none of ['messages', ",
    )  # fmt: skip
    answer = lane.post("/v1/experiments", body, shop.secret)
    assert (answer.status_code, answer.json()["mode"]) == (201, "cluster")
