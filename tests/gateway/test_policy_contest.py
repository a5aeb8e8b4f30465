"""Two policies in an experiment, over HTTP as a product has it: split, rewarded, judged, promoted."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from django.conf import settings
from uuid_utils import uuid7

from experiments.actions.look_at_experiment import look_at_experiment
from experiments.models import Experiment, Exposure, Observation, Slate
from experiments.sql import TOTALED
from experiments.stats.look import take_look
from experiments.stats.look_input import LookInput
from inference.models import ModelVersion
from inference.options import FitOptions
from inference.policies import POLICIES
from inference.serving.artifact import save_artifact
from tests.support import builders
from tests.support.ranking import TASTES, best_of, decide, make_decisions, make_rank_surface, reward

FEATURES = [{"size": 0.0, "brand": "x"}, {"size": 1.0, "brand": "y"}, {"size": 2.0, "brand": "y"}]
THREE = [{"id": one, "features": features} for one, features in zip("abc", FEATURES, strict=True)]
METRIC = {"key": "earned", "kind": "mean", "event": "slate.reward", "value": "sum"}
POLICY = builders.QUICK_POLICY | {"planned_units": 100, "window_seconds": 600.0}
LATER = timedelta(minutes=11)  # than a decision's window, and its time for rewards


def learn(surface, algorithm, *, taste_turned=False, alias="challenger"):
    """Register a policy that has learnt what is best, or the opposite."""
    rows = make_decisions(600, turned_from=0 if taste_turned else None)
    draft = POLICIES[algorithm].fit(rows, FitOptions())
    number = surface.versions.filter(algorithm=algorithm).count() + 1
    draft.about["version"] = f"{algorithm}@{number}"
    return ModelVersion.objects.create(
        surface=surface, algorithm=algorithm, number=number, alias=alias,
        artifact_sha256=save_artifact(settings.BAKEOFF.artifacts, draft),
        gate={"passed": True, "rows": {}},
    )  # fmt: skip


class Contest:
    """An experiment of a surface's champion against a challenger."""

    def __init__(self, shop, lane, *, champion, challenger, starts=True):
        self.shop, self.lane = shop, lane
        shop.surface = make_rank_surface(shop.project)
        self.champion = learn(shop.surface, **champion, alias="champion")
        self.challenger = learn(shop.surface, **challenger)
        self.call("POST", "/v1/metrics", METRIC)
        variants = [
            {"key": "control", "model": self.champion.label, "weight": 0.5, "is_control": True},
            {"key": "treatment", "model": self.challenger.label, "weight": 0.5},
        ]
        self.call("POST", "/v1/experiments", {
            "key": "policies", "surface": "offers", "variants": variants, "policy": POLICY,
            "metrics": [{"metric": "earned", "role": "primary"}],
        })  # fmt: skip
        self.experiment = Experiment.objects.get(project=shop.project, key="policies")
        lane.refresh()
        if starts:
            self.start()

    def start(self):
        self.call("POST", "/v1/experiments/policies/start")
        self.lane.refresh()

    def call(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.shop.secret}"}
        answer = self.lane.client.request(method, path, json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def ask(self, n):
        """Decide for user n; return the decision and what it earns."""
        context = TASTES[n % 2]
        answer = decide(
            self.lane, self.shop, unit=f"u{n}", actions=THREE, default="b", features=context
        )
        return answer, float(answer["action"] == best_of(context))

    def send(self, answer, value):
        return reward(self.lane, self.shop, answer, value)

    def serve(self, users):
        """Decide and reward for users; return their variants."""
        variants = {}
        for n in range(users):
            answer, earned = self.ask(n)
            assert self.send(answer, earned).json()["accepted"] == 1
            variants[f"u{n}"] = answer["variant"]
        return variants

    def look(self):
        taken = look_at_experiment(experiment_id=self.experiment.pk, now=builders.now() + LATER)
        self.experiment.refresh_from_db()
        return taken

    def counted(self):
        """Reward per unit, as the last roll-up has it."""
        rows = Observation.objects.filter(experiment=self.experiment)
        return dict(rows.values_list("unit_id", "value"))


GOOD = {"algorithm": "linucb"}
BAD = {"algorithm": "linear-thompson", "taste_turned": True}


def test_the_better_policy_is_promoted_by_its_rewards(shop, lane):
    contest = Contest(shop, lane, champion=BAD, challenger=GOOD)
    variants = contest.serve(110)
    assert set(variants.values()) == {"control", "treatment"}
    assert {f"u{n}": contest.ask(n)[0]["variant"] for n in range(20)} == dict(
        list(variants.items())[:20]
    )
    exposed = Exposure.objects.filter(experiment=contest.experiment)
    assert Counter(exposed.values_list("variant__key", flat=True)) == Counter(variants.values())
    look = contest.look()
    assert (look.action, look.parsed_result.variant) == ("ship", "treatment"), look.reason
    assert {one.variant: one.slates for one in look.served_variants} == {
        key: Slate.objects.filter(experiment_id=contest.experiment.pk, variant_id=pk).count()
        for key, pk in contest.experiment.variants.values_list("key", "pk")
    }
    contest.challenger.refresh_from_db()
    contest.champion.refresh_from_db()
    assert (contest.challenger.alias, contest.champion.alias) == ("champion", "retired")
    decision = contest.experiment.decisions.get()
    again = take_look(LookInput.from_json(decision.evidence["inputs"])).as_json()
    assert again["action"] == decision.evidence["result"]["action"] == "ship"
    lane.refresh()
    after = contest.ask(500)[0]
    assert (after["model"], after["experiment"]) == (contest.challenger.label, None)
    report = contest.call("GET", "/v1/experiments/policies/report.json")
    assert report["state"] == "ended"


def test_a_worse_policy_is_rolled_back(shop, lane):
    contest = Contest(shop, lane, champion=GOOD, challenger=BAD)
    contest.serve(110)
    look = contest.look()
    assert (look.action, look.parsed_result.variant) == ("roll_back", "treatment"), look.reason
    contest.challenger.refresh_from_db()
    contest.champion.refresh_from_db()
    assert (contest.challenger.alias, contest.champion.alias) == ("rejected", "champion")


def test_a_deferred_event_is_exposed_by_its_activation_and_once(shop, lane):
    contest = Contest(shop, lane, champion=GOOD, challenger=BAD)
    headers = {"Ocp-Apim-Subscription-Key": shop.public}
    path = "/personalizer/v1.0"
    actions = [one | {"features": [one["features"]]} for one in THREE]
    exposed = Exposure.objects.filter(experiment=contest.experiment)
    body = {"actions": actions, "contextFeatures": [TASTES[0]], "deferActivation": True}
    for name in ("first", "second"):
        ranked = lane.client.post(f"{path}/rank", json=body | {"eventId": name}, headers=headers)
        assert ranked.status_code == 201, ranked.text
    assert not exposed.exists()
    for _ in range(2):  # the second activation changes nothing
        done = lane.client.post(f"{path}/events/first/activate", headers=headers)
        assert done.status_code == 204
    seen = exposed.get()  # what was never activated has none
    slate = Slate.objects.get(surface=shop.surface)
    assert (seen.unit_id, seen.variant_id) == (slate.unit_id, slate.variant_id)
    assert lane.client.post(
        f"{path}/events/first/reward", json={"value": 1}, headers=headers
    ).is_success
    contest.look()
    assert contest.counted() == {slate.unit_id: 1}


def test_nothing_is_counted_twice_late_or_out_of_range(shop, lane):
    contest = Contest(shop, lane, champion=GOOD, challenger=BAD)
    answers = [contest.ask(n)[0] for n in range(6)]
    assert (
        contest.send({"recommendation_id": str(uuid7())}, 1).status_code == 404
    )  # before its decision
    assert contest.send(answers[0], 0.5).json()["accepted"] == 1
    assert contest.send(answers[0], 1).json()["duplicates"] == 1
    assert contest.send(answers[1], 1.5).status_code == 400
    late = answers[2]["recommendation_id"]
    served_at = builders.now() - timedelta(seconds=700)
    Slate.objects.filter(recommendation_id=late).update(served_at=served_at)
    assert contest.send(answers[2], 1).status_code == 409
    # A product's own event of that name, about the same decision, is no second reward.
    own = {"name": "reward", "unit_id": "u0", "value": 1, "recommendation_id": answers[0]["recommendation_id"]}  # fmt: skip
    sent = lane.post("/v1/events", {"events": [own]}, shop.public)
    assert (sent.status_code, sent.json()["accepted"]) == (202, 1)
    second = contest.ask(3)[0]  # two decisions of one user, one reward each
    assert {contest.send(one, 1).json()["accepted"] for one in (answers[3], second)} == {1}
    contest.look()
    assert contest.counted() == {"u0": 0.5, "u1": 0, "u2": 0, "u3": 2, "u4": 0, "u5": 0}
    before = totals(contest.experiment)
    assert before[:2] == (6, 2.5)
    # After its window has closed, and after another roll-up, the same rewards are still the same.
    assert contest.send(answers[0], 1).json()["duplicates"] == 1
    contest.look()
    assert totals(contest.experiment) == before


def totals(experiment):
    rows = experiment.totals.filter(segment="")
    columns = ("n", TOTALED["sum_y"], TOTALED["sum_yy"])
    return tuple(sum(getattr(row, column) for row in rows) for column in columns)


def test_a_reward_of_a_decision_before_the_start_counts_in_none(shop, lane):
    contest = Contest(shop, lane, champion=GOOD, challenger=BAD, starts=False)
    early, _ = contest.ask(0)
    contest.start()
    in_it, _ = contest.ask(0)
    assert (early["experiment"], in_it["experiment"]) == (None, "policies")
    assert {contest.send(one, 1).json()["accepted"] for one in (early, in_it)} == {1}
    contest.look()
    assert contest.counted() == {"u0": 1}
