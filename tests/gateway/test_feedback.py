"""What units say: every kind, superseded and withdrawn, redacted, compared, reviewed."""

from __future__ import annotations

import pytest

from experiments.actions.flag_feedback import flag_feedback
from experiments.models import Exposure, Feedback, Slate
from experiments.training_data.signals import likes_of
from tests.support import builders


@pytest.fixture
def say(lane, shop):
    shop.slate = builders.make_slate(shop, "u1", ("i0", "i1"))

    def say(kind="thumb", value=1, expect=202, **fields):
        body = {
            "recommendation_id": shop.slate,
            "unit_id": "u1",
            "kind": kind,
            "value": value,
            **fields,
        }
        answer = lane.post("/v1/feedback", body, shop.public)
        assert answer.status_code == expect, answer.text
        return answer.json()

    return say


def stored(shop, **fields):
    return Feedback.objects.filter(project=shop.project, **fields)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("thumb", -1, {"value": -1.0}),
        ("rating", 5, {"value": 5.0}),
        ("reasons", ["too slow", "seen"], {"tags": ["too slow", "seen"], "value": None}),
        ("text", " fine\nreally ", {"text": "fine\nreally", "state": "pending"}),
        ("hide", None, {"value": 1.0}),
        ("correction", "refund", {"text": "refund"}),
    ],
)
def test_every_kind_is_kept(say, shop, kind, value, expected):
    assert say(kind, value, item_id="i1")["accepted"] == 1
    row = stored(shop).get()
    assert {name: getattr(row, name) for name in expected} == expected
    assert (row.position, row.propensity, row.model_version) == (2, 0.25, shop.champion)


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("thumb", 0, "-1, 1"),
        ("thumb", None, "-1, 1"),
        ("rating", 6, "rating"),
        ("rating", 2.5, "rating"),
        ("reasons", "slow", "list of 1 to 20"),
        ("reasons", [], "list of 1 to 20"),
        ("reasons", ["x" * 65], "64 characters"),
        ("text", "", "1 to 4000"),
        ("text", "   ", "1 to 4000"),
        ("text", "x" * 4001, "4001 characters"),
        ("text", "a\x07b", "U+0007"),
        ("text", "abc\u202edef", "U+202E"),
        ("text", 7, "text of"),
        ("correction", "x" * 201, "1 to 200"),
        ("pairwise", "c", "a, b, tie, neither"),
        ("applause", 1, "thumb, rating, reasons"),
    ],
)
def test_a_wrong_value_is_refused_and_nothing_is_kept(say, shop, kind, value, words):
    assert words in say(kind, value, expect=400)["error"]["message"]
    assert not stored(shop).exists()


def test_a_text_is_redacted_before_it_is_kept(say, shop):
    answer = say("text", "Write to anna@example.com or +49 30 901820 <script>alert(1)</script>")
    assert answer["redacted"] == ["email", "phone"]
    row = stored(shop).get()
    assert row.text == "Write to [email] or [phone] <script>alert(1)</script>"
    assert row.redacted == ["email", "phone"]


def test_the_last_word_stands_until_it_is_withdrawn(say, shop):
    for value in (1, -1):
        say("thumb", value, item_id="i0")
    say("thumb", 1, item_id="i1")
    assert sorted(stored(shop).current().values_list("item_id", "value")) == [("i0", -1.0), ("i1", 1.0)]
    say("thumb", None, item_id="i0", withdrawn=True)
    assert list(stored(shop).current().values_list("item_id", flat=True)) == ["i1"]
    assert stored(shop).count() == 4  # history stays


def test_feedback_of_an_unknown_slate_is_refused(say, shop):
    other = builders.make_shop()
    foreign = builders.make_slate(other, "u1")
    for unknown in (foreign, "01890000-0000-7000-8000-000000000000"):
        assert say(expect=404, recommendation_id=unknown)["error"]["code"] == "unknown_recommendation"
    assert not stored(shop).exists()


def test_without_consent_nothing_is_kept_and_without_training_nothing_is_learnt(say, shop):
    assert say(consent={"analytics": False})["accepted"] == 0
    shop.surface.liked_events = ["feedback.thumb>=1", "feedback.rating>=4"]
    say("rating", 5, item_id="i0")
    say("thumb", 1, item_id="i1", consent={"training": False})
    say("rating", 2, item_id="i2", unit_id="u2")
    assert list(likes_of(shop.surface).item_ids) == ["i0"]


def test_a_comparison_hides_the_sides_and_counts_for_the_treatment(lane, shop):
    shop.run_experiment()
    lane.refresh()
    ask = {"surface": "home-feed", "k": 3}
    first_items = set()
    for n in range(24):
        answer = lane.post("/v1/compare", ask | {"unit_id": f"u{n}"}, shop.public).json()
        assert set(answer) == {"recommendation_id", "surface", "a", "b"}
        first_items.add(answer["a"]["items"][0]["item_id"])
        slate = Slate.objects.get(recommendation_id=answer["recommendation_id"])
        treatment = slate.pair["treatment"]
        choice = treatment if n % 3 else ("tie" if n % 2 else treatment)
        body = {"recommendation_id": answer["recommendation_id"], "unit_id": f"u{n}", "kind": "pairwise", "value": choice}  # fmt: skip
        assert lane.post("/v1/feedback", body, shop.public).status_code == 202
    assert first_items == {"i0", "i9"}  # each model stood on side a at times
    assert not Exposure.objects.filter(project=shop.project).exists()
    experiment = shop.surface.experiments.get()
    report = lane.client.get(
        f"/v1/experiments/{experiment.key}/feedback", headers={"X-API-Key": shop.secret}
    ).json()["preference"]
    assert [report[name] for name in ("units", "wins", "losses", "ties")] == [24, 20, 0, 4]
    assert report["treatment_win_rate"] == 1.0
    assert report["interval"] == pytest.approx([0.025 ** (1 / 20), 1.0])
    assert report["p_value"] == pytest.approx(2 * 0.5**20)


def test_a_comparison_needs_an_experiment(lane, shop):
    answer = lane.post("/v1/compare", {"surface": "home-feed", "unit_id": "u"}, shop.public)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "nothing_to_compare")


def test_a_pairwise_answer_to_an_ordinary_slate_prefers_nobody(say, shop):
    say("pairwise", "a")
    assert stored(shop).get().value is None


def headers(shop):
    return {"X-API-Key": shop.secret}


def test_the_queue_and_a_review(say, shop, lane):
    for n in range(3):
        say("text", f"words {n}", unit_id=f"u{n}", feedback_id=f"f{n}")
    page = lane.client.get("/v1/feedback?state=pending&limit=2", headers=headers(shop)).json()
    assert [row["feedback_id"] for row in page["items"]] == ["f2", "f1"]
    rest = lane.client.get(f"/v1/feedback?before={page['next']}", headers=headers(shop)).json()
    assert [row["feedback_id"] for row in rest["items"]] == ["f0"]
    hidden = lane.client.patch(
        "/v1/feedback/f1", json={"state": "spam", "reason": "ads"}, headers=headers(shop)
    )
    assert (hidden.json()["state"], hidden.json()["state_reason"]) == ("spam", "ads")
    assert stored(shop).counted().count() == 2
    assert shop.project.audit_entries.get(action="review").detail["to"] == "spam"


@pytest.mark.parametrize(("body", "status"), [({"state": "spam"}, 422), ({"state": "odd"}, 400)])
def test_a_review_is_refused(say, shop, lane, body, status):
    say("text", "words", feedback_id="f1")
    answer = lane.client.patch("/v1/feedback/f1", json=body, headers=headers(shop))
    assert answer.status_code == status
    assert stored(shop).get().state == "pending"


def test_another_projects_feedback_is_not_found(say, shop, lane):
    say("text", "words", feedback_id="f1")
    other = builders.make_shop()
    lane.refresh()
    answer = lane.client.patch(
        "/v1/feedback/f1", json={"state": "ok"}, headers={"X-API-Key": other.secret}
    )
    assert answer.status_code == 404


def test_copies_and_bursts_are_flagged(say, shop):
    for n in range(3):
        say("text", "Buy  cheap!" if n else "buy  CHEAP!", unit_id=f"c{n}")
    say("text", "I like it", unit_id="honest")
    for n in range(21):
        say("thumb", 1, unit_id="loud", item_id=f"i{n}")
    flag_feedback()
    flag_feedback()
    assert stored(shop, flags=["duplicate"]).count() == 3
    assert set(stored(shop, flags=["burst"]).values_list("unit_id", flat=True)) == {"loud"}
    assert stored(shop, flags=[]).get().unit_id == "honest"


def test_the_response_rate_of_each_variant(lane, shop):
    experiment = shop.run_experiment()
    control = experiment.control
    lane.refresh()
    for n in range(4):
        slate = builders.make_slate(shop, f"u{n}", experiment_id=experiment.pk, variant_id=control.pk)
        names = ["prompt_shown", "prompt_shown", "prompt_answered" if n else "prompt_dismissed"]
        events = [{"name": name, "unit_id": f"u{n}", "recommendation_id": slate} for name in names]
        assert lane.post("/v1/events", {"events": events}, shop.public).json()["accepted"] == 3
        body = {
            "recommendation_id": slate,
            "unit_id": f"u{n}",
            "kind": "thumb",
            "value": 1 if n else -1,
        }
        lane.post("/v1/feedback", body, shop.public)
    url = f"/v1/experiments/{experiment.key}/feedback"
    counts = lane.client.get(url, headers={"X-API-Key": shop.secret}).json()["variants"]["control"]
    assert (counts["prompts"]["shown"], counts["prompts"]["dismissed"], counts["prompts"]["response_rate"]) == (4, 1, 0.75)  # fmt: skip
    assert (counts["feedback"]["thumb"]["count"], counts["feedback"]["thumb"]["up"]) == (4, 3)
