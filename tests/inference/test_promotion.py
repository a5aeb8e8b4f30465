"""Promotion and rollback: nothing moves before every web process has loaded the version and answered."""

from __future__ import annotations

import asyncio
import re
from functools import partial

import numpy as np
import orjson
import psycopg
import pytest
from click.testing import CliRunner
from django.conf import settings
from django.test import Client

from bakeoff.accounts.models import AuditEntry
from bakeoff.cli import main
from bakeoff.commands.doctor import check_champions
from bakeoff.gateway.config.config_watcher import ServingConfigWatcher
from bakeoff.gateway.slates.probing import probe
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.actions.start_experiment import CannotStartError
from experiments.models import Decision, Experiment
from inference.cache import cache_client
from inference.models import ModelVersion
from inference.serving.artifact import ArtifactDraft, save_artifact
from inference.serving.keys import SERVING, serving_key
from inference.serving.probes import CannotServeError, probe_version
from inference.supervision import Supervisor
from tests.support import builders
from tests.support.builders import QUICK_POLICY, visits
from tests.support.fast_lane import test_database_url


@pytest.fixture
def rival(shop) -> ModelVersion:
    """A version of its own artifact, which a test may damage."""
    version = builders.make_version(shop.surface, list(range(1, 11)))
    digest = builders.make_popularity(shop.items, list(range(1, 11)), project=shop.project.slug)
    version.artifact_sha256 = digest
    version.save()
    return version


def folder_of(version):
    return settings.BAKEOFF.artifacts / version.artifact_sha256


def lose(version) -> None:
    folder_of(version).rename(folder_of(version).with_name(f"lost-{version.pk}"))


def damage(version) -> None:
    (folder_of(version) / "bias.npy").write_bytes(b"\x80\x04pickled")


def promote(lane, shop, version):
    path = f"/v1/surfaces/home-feed/models/{version.algorithm}/{version.number}/promote"
    return lane.post(path, {"reason": "a test"}, shop.secret)


def test_a_promotion_is_confirmed_by_processes_that_answered(lane, shop, rival):
    answer = promote(lane, shop, rival).json()
    assert (answer["alias"], answer["confirmed"], answer["promoted_against"]) == ("champion", True, "")
    decision = Decision.objects.get(promoted=rival)
    assert set(decision.evidence["answered_ms"]) == {lane.gateway._config.process}
    assert all(milliseconds > 0 for milliseconds in decision.evidence["answered_ms"].values())
    served = lane.post("/v1/recommend", {"surface": "home-feed", "unit_id": "u1"}, shop.public).json()
    assert (served["model"], served["fallback"]) == (rival.label, "default_list")


@pytest.mark.parametrize(("harm", "says"), [(lose, "is missing from"), (damage, "was changed")])
def test_a_version_that_cannot_be_loaded_is_refused_in_a_sentence(lane, shop, rival, harm, says):
    harm(rival)
    refused = promote(lane, shop, rival)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "cannot_promote")
    assert refused.json()["error"]["message"].startswith("popularity@2 cannot be served: ")
    assert says in refused.json()["error"]["message"]
    assert shop.surface.versions.champions().get() == shop.champion
    assert not Decision.objects.filter(project=shop.project).exists()
    assert not AuditEntry.objects.filter(project=shop.project).exists()


def test_a_champion_that_is_lost_is_seen_by_health_and_doctor(lane, shop, rival):
    promote(lane, shop, rival)
    lose(rival)
    ModelVersion.objects.filter(pk=rival.pk).update(artifact_sha256=f"{rival.pk:064}")
    lane.refresh()
    try:
        ready = lane.client.get("/readyz").json()
        assert (ready["ready"], ready["models"]) == (True, False)
        with psycopg.connect(test_database_url()) as connection:
            lines = list(check_champions(connection))
        assert lines[0][0] is False
        mine = [line for well, line in lines[1:] if not well and "is missing" in line]
        assert any(line.startswith(f"{rival.label} of surface 'home-feed'") for line in mine)
    finally:
        ModelVersion.objects.filter(pk=rival.pk).update(alias="rejected")


def test_a_process_without_the_artifact_refuses_for_all(lane, shop, rival, tmp_path):
    """Its disk is another one, as in a second machine."""

    async def start() -> ServingConfigWatcher:
        mine = lane.gateway
        other = ServingConfigWatcher(
            test_database_url(), mine._store, mine._listening, tmp_path, Supervisor()
        )
        other.process = "other:1"
        other.prober = partial(probe, remote=lane.gateway._remote)
        await other.start()
        return other

    def on_the_loop(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, lane.loop).result(30)

    other = on_the_loop(start())
    try:
        refused = promote(lane, shop, rival)
        assert refused.status_code == 409
        assert "web process other:1 says: artifact" in refused.json()["error"]["message"]
        assert shop.surface.versions.champions().get() == shop.champion
        # Nor does it say that it serves a champion that it has not loaded.
        heartbeat = orjson.loads(cache_client().get(serving_key("other:1")))
        assert str(shop.surface.pk) not in heartbeat["champion"]
        assert shop.champion.pk in heartbeat["unserved"]
    finally:
        on_the_loop(other.stop())
    assert promote(lane, shop, rival).status_code == 200


def test_a_process_that_is_silent_is_waited_for_and_named(lane, shop, rival):
    cache_client().sadd(SERVING, "frozen:1")
    cache_client().set(serving_key("frozen:1"), b"{}", ex=60)
    try:
        with pytest.raises(CannotServeError, match="web process frozen:1 did not load it and answer"):
            probe_version(cache_client(), rival.pk, rival.label, seconds=1)
    finally:
        cache_client().delete(serving_key("frozen:1"))


def test_a_model_elsewhere_must_answer_before_it_serves(lane, shop, endpoint):
    draft = ArtifactDraft(
        form="endpoint",
        arrays={"default_order": np.arange(10, dtype=np.int32)},
        item_ids=shop.items,
        about={"url": endpoint.url, "protocol": "json", "deadline_ms": 300},
    )
    version = ModelVersion.objects.create(
        surface=shop.surface,
        algorithm="endpoint",
        number=1,
        artifact_sha256=save_artifact(settings.BAKEOFF.artifacts, draft),
        gate={"passed": True},
    )
    endpoint.behave = lambda _request: {"scores": [1.0]}
    with pytest.raises(CannotServeError, match=r"gave no answer: a wrong answer: scores == 1"):
        probe_version(cache_client(), version.pk, version.label, seconds=1)
    endpoint.behave = lambda request: {"scores": [0.0] * len(request["candidates"])}
    assert promote(lane, shop, version).json()["confirmed"] is True


def test_a_winner_that_cannot_be_served_is_not_shipped(lane, shop):
    experiment = shop.run_experiment(**QUICK_POLICY)
    visits(experiment, {"control": 1, "treatment": 2})
    winner = experiment.variants.get(key="treatment").model_version
    digest = builders.make_popularity(shop.items, list(range(1, 11)), project=shop.project.slug)
    ModelVersion.objects.filter(pk=winner.pk).update(artifact_sha256=digest)
    winner.refresh_from_db()
    lose(winner)
    assert look_at_experiment(experiment_id=experiment.pk).action == "ship"
    experiment.refresh_from_db()
    assert experiment.state == Experiment.State.RUNNING
    assert not experiment.decisions.exists()
    path = f"/v1/experiments/{experiment.key}/ship"
    refused = lane.post(path, {"variant": "treatment"}, shop.secret)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "cannot_promote")
    assert shop.surface.versions.champions().get() == shop.champion


def test_an_experiment_with_a_lost_version_does_not_start(shop, rival):
    lose(rival)
    from experiments.actions.start_experiment import start_experiment

    with pytest.raises(CannotStartError, match="is missing from"):
        start_experiment(experiment=shop.define(rival), by="a test")


def test_a_promotion_against_the_gate_says_so_everywhere(lane, shop):
    refused = builders.make_version(shop.surface, [1] * 10, alias="rejected")
    refused.gate = {"passed": False, "reasons": ["ndcg may be as low as 0.1, must be at least 0.2"]}
    refused.save()
    client = Client()
    client.force_login(builders.make_root())
    page = f"/p/{shop.project.slug}/models/{refused.pk}/"
    warned = client.get(f"{page}promote/").content.decode()
    assert "rejected by its gate: ndcg may be as low as 0.1" in warned
    assert promote(lane, shop, refused).json()["promoted_against"].startswith("was refused by its gate")
    move = refused.moves.get(after="champion")
    assert "against the gate" in move.reason
    entry = AuditEntry.objects.get(project=shop.project, action="promote")
    assert "ndcg may be as low as" in entry.detail["gate_refusal"]
    assert "Promoted against its gate" in client.get(page).content.decode()


def test_the_shell_and_the_page_refuse_alike(lane, shop, rival):
    lose(rival)
    for verb in ("promote", "rollback"):
        arguments = [verb, "home-feed", rival.label, "--project", shop.project.slug]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 1
        assert f"{rival.label} cannot be served: artifact" in " ".join(result.output.split())
    client = Client()
    client.force_login(builders.make_root())
    page = client.post(f"/p/{shop.project.slug}/models/{rival.pk}/promote/", {"reason": "why not"})
    assert page.status_code == 409
    shown = re.sub(r"</?code>", "", page.content.decode())  # what a program says is set apart
    assert f"{rival.label} cannot be served: artifact" in shown
    assert 'name="reason" value="why not"' in shown
    assert shop.surface.versions.champions().get() == shop.champion


def test_the_shell_says_what_it_promotes_against(lane, shop):
    refused = builders.make_version(shop.surface, [1] * 10, alias="rejected")
    result = CliRunner().invoke(
        main, ["promote", "home-feed", refused.label, "--project", shop.project.slug]
    )
    output = " ".join(result.output.split())
    assert result.exit_code == 0, output
    assert f"Against the gate: {refused.label} was refused by its gate" in output
    assert "serving confirmed: it answered in every web process" in output
