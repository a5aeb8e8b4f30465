"""Our Python client's management side, and its asynchronous twins, against a real server."""

from __future__ import annotations

import asyncio
import inspect
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from bakeoff_client import Admin, AsyncAdmin, AsyncClient, BakeoffError, Client, WaitTimeoutError

from experiments.models import Event, Link
from inference.models import Surface, TrainingRun
from tests.support import builders
from tests.support.generating import ASK
from tests.support.provider import breaks_off

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


def test_it_comments_and_changes_its_mind(admin, shop):
    draft = shop.define(builders.make_version(shop.surface, [1] * 10))
    first = admin.comment(draft.key, "Look at Sunday.")
    second = admin.comment(draft.key, "And at Monday.")
    changed = admin.edit_comment(draft.key, first["id"], "Look at Saturday.")
    assert (changed["text"], changed["edited_at"] is None) == ("Look at Saturday.", False)
    assert admin.delete_comment(draft.key, second["id"]) is None
    assert list(admin.comments(draft.key)) == [changed]
    with pytest.raises(BakeoffError, match=f"No comment '{second['id']}' in this project") as refused:
        admin.delete_comment(draft.key, second["id"])
    assert refused.value.status == 404


def test_it_waits_for_a_run_and_refuses_by_name(admin, shop, monkeypatch):
    run = TrainingRun.objects.create(
        surface=shop.surface,
        algorithm="popularity",
        trigger="a test",
        state="failed",
        message="no rows",
    )
    assert admin.wait_for_run("home-feed", run.pk, timeout_seconds=60)["message"] == "no rows"
    assert (admin.run(run.pk)["surface"], admin.run(run.pk)["gate"]) == ("home-feed", None)
    with pytest.raises(BakeoffError, match="No training run '0' in this project"):
        admin.wait_for_run("home-feed", 0, timeout_seconds=0)
    with monkeypatch.context() as older:

        def refuse(_run_id):
            raise BakeoffError(404, "not_found", "No such path.")

        older.setattr(admin, "run", refuse)  # a platform without the operation
        assert admin.wait_for_run("home-feed", run.pk, timeout_seconds=60)["message"] == "no rows"
        with pytest.raises(BakeoffError, match="No such path"):
            admin.wait_for_run("home-feed", 0, timeout_seconds=0)
    run.state = TrainingRun.State.QUEUED
    run.save()
    with pytest.raises(WaitTimeoutError, match=f"run {run.pk} of 'home-feed' is queued after 0 s"):
        admin.wait_for_run("home-feed", run.pk, timeout_seconds=0)
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
    Surface.objects.create(project=shop.project, key="offers", kind="rank")
    lane.refresh()
    actions = [
        {"id": "none", "features": {"discount": 0}},
        {"id": "half", "features": {"discount": 0.5}},
    ]
    decision = client.rank("offers", actions, anonymous_id="a1", features={"hour": 9})
    assert decision["action"] in {"none", "half"}
    assert client.reward(decision["recommendation_id"], 0.5, part="click")["accepted"] == 1
    assert client.reward(decision["recommendation_id"], 0.5, part="click")["duplicates"] == 1
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
            assert (await client.identify("u1", anonymous_id="a1"))["success"]
        return slates

    assert all(slate["items"] for slate in asyncio.run(use()))


@pytest.mark.parametrize(("plain", "twin"), [(Client, AsyncClient), (Admin, AsyncAdmin)])
def test_an_asynchronous_client_has_every_method(plain, twin):
    methods = {name for name in dir(plain) if not name.startswith("_") and name != "close"}
    client = twin("http://127.0.0.1:9", "pk_x")
    assert {name for name in methods if inspect.iscoroutinefunction(getattr(client, name))} | {
        name for name in methods if inspect.isasyncgenfunction(getattr(client, name))
    } == methods
    assert inspect.signature(client.__class__.__init__) == inspect.signature(plain.__init__)


TYPED = """
from typing import Any, assert_type
from bakeoff_client import AsyncAdmin, AsyncClient
from bakeoff_client.admin import Experiment, Run

async def use(client: AsyncClient, admin: AsyncAdmin) -> None:
    assert_type(await client.recommend("home-feed", unit_id="u1", k=3), dict[str, Any])
    assert_type(await admin.experiments(state="running"), list[Experiment])
    assert_type(await admin.train("home-feed", "als"), Run)
    async for chunk in client.chat_stream("support"):
        assert_type(chunk, dict[str, Any])
    await client.recommend(7)  # type: ignore[arg-type]
    await client.recomend("home-feed")  # type: ignore[attr-defined]
    await client.classify("desk")  # type: ignore[call-arg]
    await admin.experiments(state="runing")  # type: ignore[arg-type]
"""
# Packages without types of their own.
UNTYPED = "[mypy-re2.*,pandas.*]\nignore_missing_imports = true\n"


def test_both_clients_are_typed(tmp_path):
    """Strictly, and so that a wrong call is an error: an ignored line without one would be unused."""
    (tmp_path / "typed.py").write_text(TYPED)
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nstrict = true\nmypy_path = {CLIENT}\n{UNTYPED}")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", tmp_path / "cache", "typed.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert (CLIENT / "bakeoff_client/py.typed").exists()


def test_an_answer_comes_in_parts(chat):
    with Client(chat.lane.url, chat.secret) as client:
        whole = client.chat("support", ASK, user="u1")
        chunks = list(client.chat_stream("support", ASK, user="u1"))
        with pytest.raises(ValueError, match="stream == True, must be left out"):
            client.chat("support", ASK, stream=True)
        with pytest.raises(BakeoffError, match="surface == 'suport', not found"):
            next(client.chat_stream("suport", ASK, user="u1"))
    texts = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks]
    assert len(chunks) > 2
    assert "".join(texts) == whole["choices"][0]["message"]["content"] == "Hello there."
    assert chunks[0]["bakeoff"]["version"] == "prompt@1"

    async def read() -> list[str]:
        async with AsyncClient(chat.lane.url, chat.secret) as client:
            parts = [part async for part in client.chat_stream("support", ASK, user="u1")]
        return [part["choices"][0]["delta"].get("content") or "" for part in parts]

    assert "".join(asyncio.run(read())) == "Hello there."


def test_an_answer_that_breaks_off_says_so(chat):
    chat.provider.behave = breaks_off("Half of")
    with Client(chat.lane.url, chat.secret) as client:
        chunks = client.chat_stream("support", ASK, user="u1")
        assert "bakeoff" in next(chunks)
        with pytest.raises(BakeoffError) as refused:
            list(chunks)
    assert refused.value.status == 0


def test_its_import_brings_no_library_along():
    code = "import sys, bakeoff_client; print({'pandas', 'httpx2', 'requests'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CLIENT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
