from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bakeoff_client import BakeoffError, Client, Events, Flags
from bakeoff_client.openfeature import BakeoffProvider
from openfeature import api as openfeature
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

from experiments.actions.stop_experiment import ship_experiment
from experiments.actions.switch_experiment import switch
from experiments.models import Event, Exposure, Feedback, Unit
from tests.support import builders
from tests.support.receiver import Receiver


def test_it_asks_and_tells(lane, shop):
    client = Client(lane.url, shop.public)
    slate = client.recommend("home-feed", unit_id="u1", k=2)
    recommendation = slate["recommendation_id"]
    client.track("click", unit_id="u1", item_id="i0", recommendation_id=recommendation)
    client.feedback(recommendation, unit_id="u1", kind="thumb", value=1)
    assert str(Event.objects.get(project=shop.project).recommendation_id) == recommendation
    assert Feedback.objects.get(project=shop.project).value == 1


def test_it_compares_and_says_words(lane, shop):
    shop.run_experiment()
    lane.refresh()
    client = Client(lane.url, shop.public)
    pair = client.compare("home-feed", unit_id="u1", k=1)
    client.feedback(pair["recommendation_id"], unit_id="u1", kind="pairwise", value="tie")
    client.feedback(pair["recommendation_id"], unit_id="u1", kind="text", value="from a@b.de")
    texts = Feedback.objects.filter(project=shop.project).order_by("id").values_list("text", flat=True)
    assert list(texts) == ["tie", "from [email]"]


def test_a_refusal_names_its_reason(lane, shop):
    with pytest.raises(BakeoffError, match="Did you mean 'home-feed'") as refused:
        Client(lane.url, shop.public).recommend("home-fed", unit_id="u1")
    assert (refused.value.status, refused.value.code) == (404, "unknown_surface")


def test_nobody_answers():
    with pytest.raises(BakeoffError) as refused:
        Client("http://127.0.0.1:9", "pk_x").recommend("home-feed", unit_id="u1")
    assert refused.value.status == 0


def test_flags_are_evaluated_here_as_there(lane, shop, page):
    condition = {"country": {"$in": ["DE", "FR"]}}
    builders.experiment(shop, page, condition=condition, values=(1, 2))
    builders.experiment(shop, page, "theirs", hashing="growthbook_v2", allocation=0.5)
    builders.experiment(
        shop, page, "child", prerequisites=[{"experiment": "button", "variants": ["control"]}]
    )
    ship_experiment(
        experiment=builders.experiment(shop, page, "done"), variant="treatment", by="a test"
    )
    lane.refresh()
    client = Client(lane.url, shop.public)
    flags = Flags(client, poll_seconds=0)
    for n in range(40):
        context = {"country": "DE" if n % 2 else "US"}
        for key in ("button", "theirs", "child", "done", "nobody"):
            mine = flags.evaluate(key, unit_id=f"u{n}", attributes=context)
            there = lane.post(
                f"/ofrep/v1/evaluate/flags/{key}",
                {"context": {"targetingKey": f"u{n}", **context}},
                shop.public,
            ).json()
            assert (mine.variant or "") == there.get("variant", "")
            assert mine.value == there.get("value")
    flags.close()


def test_rules_are_read_again_only_when_they_changed(lane, shop, page):
    experiment = builders.experiment(shop, page)
    lane.refresh()
    client = Client(lane.url, shop.public)
    flags = Flags(client, poll_seconds=0)
    assert client.get("/v1/flags", etag=flags._etag)[0] == 304
    switch(experiment=experiment, enabled=False, by="a test")
    lane.refresh()
    assert flags.variant("button", unit_id="u1") is not None
    flags.refresh()
    assert flags.evaluate("button", unit_id="u1").reason == "DISABLED"


def test_what_only_the_platform_knows_is_asked_of_it(lane, shop, page):
    Unit.objects.create(project=shop.project, unit_id="u1", attributes={"plan": "pro"})
    builders.experiment(shop, page, condition={"unit.plan": "pro"})
    lane.refresh()
    flags = Flags(Client(lane.url, shop.public), poll_seconds=0)
    assert flags.variant("button", unit_id="u1") is not None
    assert flags.evaluate("button", unit_id="u2").reason == "DEFAULT"


def test_exposures_and_events_arrive_in_batches(lane, shop, page, tmp_path):
    experiment = builders.experiment(shop, page)
    lane.refresh()
    client = Client(lane.url, shop.public)
    with Events(client, spool=tmp_path / "spool", flush_seconds=0.05) as events:
        flags = Flags(client, poll_seconds=0, on_exposure=events.exposure)
        for n in range(30):
            flags.variant("button", unit_id=f"u{n % 10}")
            events.track("click", unit_id=f"u{n % 10}")
        events.track("", unit_id="u1")
    assert Exposure.objects.filter(experiment=experiment).count() == 10
    assert Event.objects.filter(project=shop.project, name="click").count() == 30
    assert [one["code"] for one in events.refused] == ["invalid_value"]
    assert (tmp_path / "spool").read_text() == ""


def test_events_survive_an_outage_and_a_restart(lane, shop, tmp_path):
    spool = tmp_path / "spool"
    away = Client("http://127.0.0.1:9", shop.public, timeout_seconds=0.2)
    events = Events(away, spool=spool, flush_seconds=0.01)
    for n in range(600):
        events.track("click", unit_id=f"u{n}")
    assert events.close(timeout_seconds=1) == 600
    with spool.open("a", encoding="utf-8") as file:
        file.write('{"event_id": "cut in tw')  # a crash in the middle of a line
    with Events(Client(lane.url, shop.public), spool=spool, flush_seconds=0.01):
        pass
    assert Event.objects.filter(project=shop.project, name="click").count() == 600
    assert spool.read_text() == ""


def test_our_openfeature_provider_evaluates_here(lane, shop, page):
    builders.experiment(shop, page, "rate", values=(10.0, 12.5))
    lane.refresh()
    openfeature.set_provider(BakeoffProvider(Flags(Client(lane.url, shop.public), poll_seconds=0)))
    client = openfeature.get_client()
    context = EvaluationContext("u1")
    assert client.get_float_value("rate", 1.0, context) in {10.0, 12.5}
    assert client.get_float_details("rate", 1.0).error_code == ErrorCode.TARGETING_KEY_MISSING
    assert client.get_boolean_details("rate", True, context).error_code == ErrorCode.TYPE_MISMATCH
    assert client.get_boolean_details("nobody", True, context).error_code == ErrorCode.FLAG_NOT_FOUND
    openfeature.shutdown()


def test_it_installs_alone(tmp_path):
    """Its wheel holds the rules of assignment, and imports nothing of the platform."""
    folder = Path(__file__).parents[2] / "clients" / "python"
    build = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        str(tmp_path),
        str(folder),
    ]
    subprocess.run(build, check=True, capture_output=True)
    code = (
        "import sys, bakeoff_client; from bakeoff_client.assignment import buckets_of; "
        "print(buckets_of('salt', 'u42')[0], sorted(m for m in sys.modules if m.split('.')[0] in "
        "('django', 'experiments', 'inference', 'bakeoff', 'numpy')))"
    )
    environment = {"PYTHONPATH": str(tmp_path), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split(" ", 1)[1].strip() == "[]"


def test_a_bad_event_does_not_take_its_batch_along(lane, shop):
    with Events(Client(lane.url, shop.public), flush_seconds=60) as events:
        events.track("click", unit_id="u1", properties={"text": "cut \ud83d"})
        events.track("click", unit_id="u2", value=float("nan"))
        events.track("click", unit_id="u3", properties={"text": "界" * 10_000})
    units = Event.objects.filter(project=shop.project).values_list("unit_id", flat=True)
    assert set(units) == {"u1", "u3"}
    assert Event.objects.get(unit_id="u1", project=shop.project).properties == {"text": "cut \ufffd"}
    assert [one["code"] for one in events.refused] == ["not_json"]


def test_events_too_large_for_one_request_go_in_several(lane, shop):
    with Events(Client(lane.url, shop.public), flush_seconds=60) as events:
        for n in range(100):
            events.track("click", unit_id=f"u{n}", properties={"text": "界" * 10_000})
    assert Event.objects.filter(project=shop.project).count() == 100
    assert events.refused == []


def test_what_is_refused_whole_is_halved(lane, shop):
    """As by a platform of before, or somebody on the way, who answers 400 for the whole."""

    class Picky(Client):
        def post(self, path, body):
            if any(one.get("item_id") == "poison" for one in body.get("events", ())):
                raise BakeoffError(400, "refused", "no")
            return super().post(path, body)

    with Events(Picky(lane.url, shop.public), flush_seconds=60) as events:
        for n in range(50):
            events.track("click", unit_id=f"u{n}", item_id="poison" if n == 31 else "i1")
    assert Event.objects.filter(project=shop.project).count() == 49
    assert [one["event"]["unit_id"] for one in events.refused] == ["u31"]


def test_a_quota_that_is_used_up_is_not_asked_again():
    """Though the next month is a second away: it may have no quota either."""

    def refuse(handler):
        body = json.dumps({"error": {"code": "quota_used_up", "message": "used up"}}).encode()
        handler.send_response(429)
        for name, value in (("retry-after", "1"), ("content-length", str(len(body)))):
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    platform = Receiver(answers={"/v1/events": refuse})
    with Client(platform.url, "sk_x") as client, pytest.raises(BakeoffError) as refused:
        client.track("click", unit_id="u1")
    platform.close()
    assert (refused.value.code, len(platform.of("/v1/events"))) == ("quota_used_up", 1)
