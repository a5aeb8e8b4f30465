"""Our Python client's management side, and its asynchronous twins, against a real server."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from bakeoff_client import Admin, AsyncAdmin, AsyncClient, BakeoffError, Client, WaitTimeoutError

from experiments.models import Event, Link
from inference.models import Surface, TrainingRun
from tests.support import builders

# Where `python -c` finds the client: it is installed nowhere here.
CLIENT = Path(__file__).parents[2] / "clients" / "python"

SIDES = [{"key": "control", "weight": 0.5, "is_control": True}, {"key": "treatment", "weight": 0.5}]


@pytest.fixture
def admin(shop, lane):
    with Admin(lane.url, shop.secret) as admin:
        yield admin


def test_it_defines_starts_waits_and_stops(admin, shop, lane):
    rival = builders.make_version(shop.surface, [1] * 10).label
    sides = [
        side | {"model": model} for side, model in zip(SIDES, (shop.champion.label, rival), strict=True)
    ]
    draft = admin.define("trial", surface="home-feed", variants=sides, metrics=[{"metric": "clicks"}])
    assert draft["state"] == "draft"
    with pytest.raises(WaitTimeoutError, match="experiment 'trial' is draft, not running after 0 s"):
        admin.wait_for_experiment("trial", "running", timeout_seconds=0)
    assert admin.start("trial")["confirmed"]
    assert admin.wait_for_experiment("trial", "running", timeout_seconds=60)["key"] == "trial"
    assert [one["key"] for one in admin.experiments(state="running")] == ["trial"]
    assert {one["label"] for one in admin.versions("home-feed")} == {shop.champion.label, rival}
    report = admin.report("trial")
    assert (report["verdict"]["units"], report["surface"]) == (0, "home-feed")
    frame = admin.report_frame("trial")
    assert list(frame.columns) == list(report["metrics"][0]) if report["metrics"] else frame.empty
    assert admin.stop("trial", reason="a test")["reason"] == "a test"
    assert admin.wait_for_experiment("trial", timeout_seconds=60)["state"] == "ended"


def test_lists_are_read_page_by_page(admin, shop):
    Surface.objects.bulk_create(
        Surface(project=shop.project, key=f"s{number:03}", kind="flag") for number in range(200)
    )
    assert [one["key"] for one in admin.surfaces()][-1] == "s199"
    assert len(list(admin.surfaces())) == 201


def test_it_waits_for_a_run_and_refuses_by_name(admin, shop):
    run = TrainingRun.objects.create(
        surface=shop.surface,
        algorithm="popularity",
        trigger="a test",
        state="failed",
        message="no rows",
    )
    assert admin.wait_for_run("home-feed", run.pk, timeout_seconds=60)["message"] == "no rows"
    with pytest.raises(WaitTimeoutError, match="run 0 of 'home-feed' is unknown"):
        admin.wait_for_run("home-feed", 0, timeout_seconds=0)
    with pytest.raises(BakeoffError, match="Did you mean 'home-feed'") as refused:
        admin.surface("home-fed")
    assert refused.value.status == 404
    with pytest.raises(BakeoffError) as refused:
        admin.patch_surface("home-feed", candidates=0)
    assert refused.value.field == "candidates"


def test_connections_are_used_again_and_opened_anew(shop, lane):
    with Client(lane.url, shop.public) as client:
        client.recommend("home-feed", anonymous_id="a1", k=1)
        (first,) = client._transport._idle
        client.recommend("home-feed", anonymous_id="a1", k=1)
        (second,) = client._transport._idle
        assert first[1] is second[1]
        second[1].sock.shutdown(socket.SHUT_RDWR)  # as a balancer does with one that was idle for long
        assert client.recommend("home-feed", unit_id="u1", k=1)["items"]
        client._transport._idle = [(0.0, second[1])]
        assert client.recommend("home-feed", unit_id="u1", k=1)["items"]
        with pytest.raises(ValueError, match="one of them must name the visitor"):
            client.recommend("home-feed")


def test_anonymous_visitors_and_who_they_are(shop, lane):
    client = Client(lane.url, shop.public)
    slate = client.recommend("home-feed", anonymous_id="a1")
    client.track("click", anonymous_id="a1", item_id="i0", recommendation_id=slate["recommendation_id"])
    client.identify("u1", anonymous_id="a1")
    assert Event.objects.get(project=shop.project).unit_id == "a1"
    assert Link.objects.get(project=shop.project).user_id == "u1"
    Surface.objects.create(project=shop.project, key="desk", kind="classify")
    Surface.objects.create(project=shop.project, key="support", kind="generate")
    lane.refresh()
    assert "labels" in client.classify("desk", "my card is lost", anonymous_id="a1")
    with pytest.raises(BakeoffError, match="surface 'support' is not public"):
        client.chat("support", [{"role": "user", "content": "Hi"}], user="u1")


def test_the_asynchronous_clients_do_the_same(shop, lane):
    async def use() -> list[dict]:
        async with (
            AsyncClient(lane.url, shop.public) as client,
            AsyncAdmin(lane.url, shop.secret) as admin,
        ):
            slates = await asyncio.gather(
                *(client.recommend("home-feed", unit_id=f"u{n}", k=1) for n in range(8))
            )
            assert (await admin.surface("home-feed"))["key"] == "home-feed"
            assert [one["key"] for one in await admin.surfaces()] == ["home-feed"]
            with pytest.raises(BakeoffError):
                await client.recommend("nowhere", unit_id="u1")
            with pytest.raises(AttributeError, match="no method 'recomend'"):
                await client.recomend("home-feed")
        return slates

    assert all(slate["items"] for slate in asyncio.run(use()))


def test_its_import_brings_no_library_along():
    code = "import sys, bakeoff_client; print({'pandas', 'httpx2', 'requests'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CLIENT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
