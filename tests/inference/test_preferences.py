"""What users did with answers, as pairs to learn from; and a training on them that is killed."""

from __future__ import annotations

import signal
import subprocess
from datetime import timedelta

import numpy as np
import psutil
import pytest
from django.conf import settings
from django.utils import timezone

from experiments.actions.retrain_surface import retrain_surface
from experiments.ingest.rows import Rows
from experiments.training_data.preferences import JudgedAnswer, preferences_among, preferences_of
from inference.actions.clean_artifacts import clean_artifacts
from inference.actions.destroy_snapshots import destroy_snapshots
from inference.actions.queue_training import CannotTrainError
from inference.evaluation.gate import GateRule, Rival, Serving, judge
from inference.evaluation.scores import Scores
from inference.generators.protocol import MODEL_FILE
from inference.models import ModelVersion, Surface, TrainingRun
from inference.runs.outcome import Recipe, RunPlan, RunProgress, Workplace
from inference.runs.prefer_and_judge import prefer_and_judge
from inference.serving.artifact import check_artifact
from inference.serving.models import open_model
from inference.tasks import run_training
from inference.training.snapshot import Preferences, read_snapshot
from tests.support import builders
from tests.support.dashboard import sign_in
from tests.support.fast_lane import test_database_url
from tests.support.preferring import QUICK, make_preferences
from tests.support.servers import WARM
from tests.support.waiting import wait_until
from tests.support.warm_python import called_by


def judged(answer, kind, *, unit="u1", value=0.0, text="", at=0.0, question="Where?"):
    messages = [{"role": "system", "content": f"of {answer}"}, {"role": "user", "content": question}]
    return JudgedAnswer(unit, messages, answer, kind, value, text, at)


def pairs_of(rows: Preferences) -> list[tuple[str, str, str]]:
    return list(zip(rows.sources, rows.chosen, rows.rejected, strict=True))


def test_what_was_done_with_an_answer_says_what_is_better():
    rows = preferences_among(
        [
            judged("a b", "edit", text="a c", at=1),
            judged("same", "edit", text=" same\n", at=2),
            judged("wrong", "correction", text="right", at=3),
            judged("good", "accept", at=4),
            judged("", "accept", at=5),
            judged("emptied", "edit", text=" ", at=6),
        ]
    )
    assert pairs_of(rows) == [
        ("edit", "a c", "a b"), ("edit", " same\n", ""), ("correction", "right", "wrong"), ("accept", "good", ""),
    ]  # fmt: skip
    assert rows.notes == ["1 answers were set aside: they have no text, or not text alone."]


def test_thumbs_pair_answers_of_one_conversation_whatever_their_instructions():
    rows = preferences_among(
        [
            judged("short", "thumb", value=1.0, unit="u1", at=1),
            judged("long", "thumb", value=-1.0, unit="u2", at=2),
            judged("long", "thumb", value=1.0, unit="u3", at=3),
            judged("other", "thumb", value=-1.0, question="When?", at=4),
            judged("longer", "thumb", value=-1.0, unit="u1", at=5),
        ]
    )
    assert pairs_of(rows) == [("thumb", "short", "long"), ("thumb", "long", "longer")]
    assert rows.messages[0][0]["content"] == "of short"  # as the better answer's model read it
    assert list(rows.rejected_unit_ids) == ["u2", "u1"]


@pytest.fixture
def chats(tables, monkeypatch):
    """A project with a surface that generates, and what writes answers and feedback."""
    monkeypatch.setenv("DATABASE_URL", test_database_url())
    monkeypatch.setenv("BAKEOFF_LOCAL_LLM", "127.0.0.1:9")
    shop = builders.make_shop()
    shop.surface = Surface.objects.create(project=shop.project, key="support", kind="generate")
    return shop


def answered(shop, unit, answer, *, question="Where?", kind="edit", trainable=True, **fields):
    """An answer with feedback, as rows."""
    messages = [{"role": "user", "content": question}]
    context = {"messages": messages, "answer": {"role": "assistant", "content": answer}}
    slate = builders.slate(shop, unit, (), slots=[], context=context, trainable=trainable)
    author = {"unit_id": unit, "kind": kind, "trusted": True, **fields}
    return slate, builders.feedback(shop, slate.recommendation_id, **author)


def write(*rows):
    builders.write(Rows(slates=[slate for slate, _ in rows]))
    builders.write(Rows(feedback=[row for _, row in rows]))


def test_only_what_may_be_learnt_from_is_read(chats):
    mine = answered(chats, "u1", "kept", text="better")
    write(
        mine,
        answered(chats, "u2", "no consent", text="x", trainable=False),
        answered(chats, "u3", "anybody's", text="x", trusted=False),
        answered(chats, "u4", "withdrawn", text="x", withdrawn=True),
        answered(chats, "u5", "other feedback", kind="rating", value=5.0),
    )
    again = builders.feedback(chats, mine[0].recommendation_id, unit_id="u1", kind="thumb", value=-1.0)
    builders.write(Rows(feedback=[again]))  # an edit counts before a thumb
    rows = preferences_of(chats.surface)
    assert pairs_of(rows) == [("edit", "better", "kept")]
    assert rows.messages == [[{"role": "user", "content": "Where?"}]]


def test_a_unit_is_erased_from_either_side_of_a_pair(chats):
    write(
        answered(chats, "u1", "good", kind="thumb", value=1.0),
        answered(chats, "u2", "bad", kind="thumb", value=-1.0),
    )
    run = retrain_surface(surface=chats.surface, algorithm="dpo", trigger="a test")
    folder, digest = settings.BAKEOFF.snapshots, run.snapshot.sha256
    assert pairs_of(read_snapshot(folder, digest, Preferences)) == [("thumb", "good", "bad")]
    erase = {"project_id": chats.project.pk, "folder": folder}
    assert destroy_snapshots(unit_ids=["u3"], **erase) == 0
    assert destroy_snapshots(unit_ids=["u2"], **erase) == 1


def test_what_cannot_be_trained_is_refused_in_one_sentence(chats, monkeypatch):
    ask = {"surface": chats.surface, "trigger": "a test"}
    with pytest.raises(CannotTrainError, match="has no answers to learn from: users must accept"):
        retrain_surface(algorithm="sft", **ask)
    with pytest.raises(CannotTrainError, match=r"must be one of \['dpo', 'sft'\]"):
        retrain_surface(algorithm="tfidf", **ask)
    monkeypatch.setenv("BAKEOFF_LOCAL_LLM", "")
    with pytest.raises(CannotTrainError, match="set BAKEOFF_LOCAL_LLM"):
        retrain_surface(algorithm="sft", **ask)


def test_a_training_that_is_killed_ends_in_a_version_of_the_same_file(
    chats, tiny_causal, tiny_base, monkeypatch, tmp_path
):
    monkeypatch.setenv("BAKEOFF_LOCAL_MODELS", f"tiny={tiny_causal}")
    monkeypatch.setenv("BAKEOFF_CHECKPOINT_SECONDS", "0.01")
    params = {**QUICK, "most_steps": 40}
    pairs = make_preferences()
    write(
        *(
            answered(chats, unit, rejected, question=messages[0]["content"], text=chosen)
            for unit, messages, chosen, rejected in zip(
                pairs.unit_ids, pairs.messages, pairs.chosen, pairs.rejected, strict=True
            )
        )
    )
    run = retrain_surface(surface=chats.surface, algorithm="dpo", trigger="a test", params=params)
    rows = read_snapshot(settings.BAKEOFF.snapshots, run.snapshot.sha256, Preferences)

    TrainingRun.objects.filter(pk=run.pk).update(state="running", lease=1, heartbeat_at=timezone.now())
    process = subprocess.Popen([WARM, "-m", "inference.training_process", str(run.pk), "1"])
    checkpoints = settings.BAKEOFF.home / "checkpoints" / f"run-{run.pk}"
    wait_until(lambda: process.poll() is not None or list(checkpoints.glob("*/checkpoint.safetensors")))
    called_by(psutil.Process(process.pid)).kill()
    assert process.wait() == -signal.SIGKILL
    stale = timezone.now() - timedelta(minutes=5)
    TrainingRun.objects.filter(pk=run.pk).update(heartbeat_at=stale)
    run_training(run.pk)
    run.refresh_from_db()

    assert run.version is not None, run.message
    assert (run.version.label, run.version.alias) == ("dpo@1", "challenger")
    assert run.version.gate["rows"]["preference_accuracy"]["challenger"] > 0.8
    assert run.version.snapshot == run.snapshot
    prompt = open_model(settings.BAKEOFF.artifacts, run.version.artifact_sha256).prompt
    _, manifest = check_artifact(settings.BAKEOFF.artifacts, prompt.model)
    place = Workplace(tmp_path, language_model=str(tiny_base))
    plan = RunPlan(Recipe("dpo", params), None, GateRule(), place)
    whole = open_model(tmp_path, prefer_and_judge(plan, rows, RunProgress()).artifact_sha256).prompt
    _, expected = check_artifact(tmp_path, whole.model)
    assert manifest["files"] == expected["files"]
    _stays_while_a_version_asks_it(prompt.model, monkeypatch)


def _stays_while_a_version_asks_it(model, monkeypatch):
    monkeypatch.setattr("inference.actions.clean_artifacts.GRACE", -timedelta(days=1))
    none = settings.BAKEOFF.home / "none"
    clean_artifacts(artifacts=settings.BAKEOFF.artifacts, checkpoints=none, snapshots=none)
    assert (settings.BAKEOFF.artifacts / model / MODEL_FILE).is_file()


@pytest.mark.parametrize(
    ("language", "words"), [("en", "Preference accuracy"), ("zh-hans", "偏好准确率")]
)
def test_the_page_of_a_run_shows_its_gate(chats, language, words):
    scores = Scores({name: np.ones(30) for name in ("preference_accuracy", "log_likelihood")})
    rival = Rival("the base model", scores, beaten="preference_accuracy")
    rule = GateRule(primary="preference_accuracy", guardrails=("log_likelihood",))
    about = {"window": {"learnt": 90, "held_out": 30}, "base": {"preference_accuracy": 1.0}}
    gate = judge(rival, [scores], Serving(20.0, 1000), rule, random_seed=0, about=about)
    version = ModelVersion.objects.create(
        surface=chats.surface, algorithm="dpo", number=1, alias="rejected", artifact_sha256="0" * 64,
        gate=gate.as_json(), metrics=gate.rows,
    )  # fmt: skip
    run = TrainingRun.objects.create(
        surface=chats.surface, algorithm="dpo", trigger="a test", state="rejected", version=version
    )
    page = sign_in(chats.project).get(f"/runs/{run.pk}/", headers={"accept-language": language})
    assert page.status_code == 200
    assert words in page.content.decode()
