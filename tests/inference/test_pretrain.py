"""An encoder adapted to a project's own texts: by consent, better than it was, resumable, and read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from experiments.ingest.load_events import PastEvent, load_events
from experiments.models import ExcludedUnit, Feedback
from experiments.training_data.texts import texts_of
from inference.actions.load_items import ItemDraft, load_items
from inference.actions.queue_training import CannotTrainError
from inference.encoders import item_vectors
from inference.encoders.text_encoder import TextEncoder
from inference.models import ModelVersion, Surface, TrainingRun
from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.training.adapt import adapt_encoder
from inference.training.adapt_params import AdaptParams
from inference.training.data import TrainingData
from inference.training.tsdae import delete_words
from tests.support import builders
from tests.support.fast_lane import test_database_url
from tests.support.learning import train
from tests.support.tiny_bert import make_tiny_bert

SYLLABLES = ["ba", "do", "ki", "lu", "me", "no", "pa", "ri", "su", "ta", "vo", "ze"]
VOCABULARY = [first + second for first in SYLLABLES for second in SYLLABLES[:6]]
TOPICS, PER_TOPIC = 6, 20
BRIEF = {"views": "crop", "steps": 40, "batch": 48, "rate": 1e-3}


def make_texts(seed=0) -> list[str]:
    """Three words of a topic's ten, drowned in six of twelve that any text has."""
    rng = np.random.default_rng(seed)
    words = rng.permutation(VOCABULARY)
    return [
        " ".join(
            rng.permutation(
                [
                    *rng.choice(words[10 * (n % TOPICS) :][:10], 3, replace=False),
                    *rng.choice(words[60:72], 6, replace=False),
                ]
            )
        )
        for n in range(TOPICS * PER_TOPIC)
    ]


@pytest.fixture(scope="module")
def blind_bert(tmp_path_factory):
    """An encoder that knows these words apart, and nothing of what they mean."""
    folder = tmp_path_factory.mktemp("bert") / "encoder"
    make_tiny_bert(folder, VOCABULARY)
    return folder


def forget_encoder() -> None:
    for one in (item_vectors.encoder_path, item_vectors.encoder_sha256, item_vectors.load_encoder):
        one.cache_clear()


@pytest.fixture
def library(tables, blind_bert, settings, monkeypatch) -> Surface:
    """A surface whose units like one topic each, and whose texts are full of phrases for all."""
    monkeypatch.setenv("DATABASE_URL", test_database_url())
    monkeypatch.setenv("BAKEOFF_ENCODER", str(blind_bert))
    settings.BAKEOFF = replace(settings.BAKEOFF, encoder=str(blind_bert))
    forget_encoder()
    project = builders.make_project()
    load_items(
        project_id=project.pk,
        items=[ItemDraft(f"i{n}", text=text) for n, text in enumerate(make_texts())],
    )
    rng, start, events = np.random.default_rng(1), timezone.now() - timedelta(days=1), []
    for unit in range(60):
        mine = np.flatnonzero(np.arange(TOPICS * PER_TOPIC) % TOPICS == unit % TOPICS)
        for at, item in enumerate(rng.permutation(mine)[:6]):
            when = start + timedelta(seconds=60 * at + unit)
            events.append(PastEvent(f"e{unit}-{at}", "rating", f"u{unit}", f"i{item}", 5.0, when))
    connection.ensure_connection()
    load_events(connection.connection, project.pk, events)
    yield Surface.objects.create(project=project, key="home-feed", liked_events=["rating>=4"])
    forget_encoder()


def test_an_adapted_encoder_beats_the_plain_one_and_others_read_by_it(library, client):
    run = train(library, "pretrain", **BRIEF)
    assert run.state == TrainingRun.State.PASSED, run.message
    row, rival = run.version.gate["rows"]["ndcg"], run.version.gate["rival"]
    assert (rival, run.version.alias) == ("the plain encoder", "candidate")  # no experiment waits
    assert row["challenger"] > 1.3 * row["champion"]
    client.force_login(builders.make_root())
    assert "<polyline" in client.get(reverse("run", args=[run.pk])).content.decode()
    reader = train(library, "auto", encoder="pretrain@1", algorithms=["frozen-text"], blend=False)
    assert reader.version is not None, reader.message
    assert reader.version.algorithm == "frozen-text"
    assert reader.version.params == {"encoder": "pretrain@1"}
    assert reader.version.encoder_sha256 != run.version.encoder_sha256
    assert reader.version.gate["rows"]["ndcg"]["challenger"] == pytest.approx(row["challenger"])


def test_a_page_trains_by_an_adapted_encoder(learner, client):
    ModelVersion.objects.create(
        surface=learner, algorithm="pretrain", number=1, artifact_sha256="0" * 64, alias="candidate"
    )
    client.force_login(builders.make_root())
    page = reverse("surface", args=[learner.project.slug, learner.key])
    name = f"{learner.key}/pretrain@1"
    assert f"<option>{name}</option>" in client.get(page).content.decode()
    client.post(f"{page}train/", {"algorithm": "auto", "encoder": name})
    assert TrainingRun.objects.get(surface=learner, algorithm="auto").params == {"encoder": name}


def test_an_encoder_is_refused_where_nothing_reads_it(learner):
    ModelVersion.objects.create(
        surface=learner, algorithm="pretrain", number=1, artifact_sha256="0" * 64, alias="candidate"
    )
    with pytest.raises(CannotTrainError, match="'popularity' reads none"):
        train(learner, "popularity", encoder="pretrain@1")


def test_an_encoder_that_is_none_is_refused(learner):
    with pytest.raises(CannotTrainError, match="encoder == 'pretrain@7', must be a version that"):
        train(learner, "two-tower", encoder="pretrain@7")


def test_feedback_is_read_with_consent_alone(project):
    texts = {
        "u1": {"text": "these shoes are narrow"},
        "u2": {"text": "never learn from this", "trainable": False},
        "u3": {"text": "taken back", "withdrawn": True},
        "u4": {"text": "spam spam", "state": Feedback.State.SPAM},
        "u5": {"text": "of an excluded unit"},
        "u6": {"text": "a label", "kind": Feedback.Kind.CORRECTION},
    }
    for unit, fields in texts.items():
        Feedback.objects.create(
            **{
                "project": project,
                "feedback_id": f"f-{unit}",
                "recommendation_id": "00000000-0000-7000-8000-000000000000",
                "unit_id": unit,
                "kind": Feedback.Kind.TEXT,
                **fields,
            }
        )
    ExcludedUnit.objects.create(project=project, unit_id="u5")
    assert list(texts_of(project.pk).texts) == ["these shoes are narrow"]


def neighbours_of_the_topic(vectors) -> float:
    """Return the share of each text's ten nearest that are of its topic."""
    cosines, topic = vectors @ vectors.T, np.arange(len(vectors)) % TOPICS
    np.fill_diagonal(cosines, -1)
    return float((topic[np.argsort(-cosines)[:, :10]] == topic[:, None]).mean())


def test_who_writes_damaged_texts_anew_learns_what_they_are_about(blind_bert):
    texts, losses = make_texts(), []
    options = FitOptions(
        encoder=str(blind_bert), device="cpu", curve=lambda _step, loss: losses.append(loss)
    )
    params = AdaptParams(objective="tsdae", steps=50, batch=32, rate=2e-3)
    adapted = adapt_encoder(texts, params, options).encode(texts)
    plain = TextEncoder(str(blind_bert)).encode(texts)
    assert losses[-1] < 0.85 * losses[0]
    assert neighbours_of_the_topic(adapted) > neighbours_of_the_topic(plain) + 0.05
    with pytest.raises(ValueError, match="objective == 'guess', must be one of"):
        adapt_encoder(texts, AdaptParams(objective="guess"), options)


def test_most_words_are_deleted_and_never_all():
    rng = np.random.default_rng(0)
    text = [1, *range(10, 60), 2]
    left = [delete_words(text, rng) for _ in range(200)]
    assert {(one[0], one[-1]) for one in left} == {(1, 2)}
    assert all(one == [*sorted(one[:-1]), 2] for one in left)  # in their order
    assert 0.35 < np.mean([(len(one) - 2) / 50 for one in left]) < 0.45
    assert all(len(delete_words([1, 7, 8, 2], rng)) >= 3 for _ in range(50))
    assert delete_words([1, 7, 2], rng) == [1, 7, 2]


@pytest.mark.parametrize("objective", ["simcse", "tsdae"])
def test_a_killed_adaptation_resumes_and_ends_the_same(tmp_path, blind_bert, objective):
    class KilledError(Exception):
        pass

    def killed(share, _line):
        if share >= 0.5:
            raise KilledError

    params = AdaptParams(objective=objective, steps=10, batch=8, rate=1e-3)
    texts, options = make_texts()[:30], FitOptions(encoder=str(blind_bert), device="cpu")
    whole = adapt_encoder(texts, params, options).encode(texts)
    from inference.training import tune

    every = pytest.MonkeyPatch()
    every.setattr(tune, "CHECKPOINT_SECONDS", 0.0)
    folder = tmp_path / "checkpoint"
    with every.context(), pytest.raises(KilledError):
        adapt_encoder(texts, params, replace(options, checkpoint=folder, report=killed))
    every.undo()
    resumed = adapt_encoder(texts, params, replace(options, checkpoint=folder))
    assert (resumed.encode(texts) == whole).all()
    assert (whole != TextEncoder(str(blind_bert)).encode(texts)).any()


@pytest.mark.parametrize(
    ("params", "message"),
    [({"views": "mirror"}, "views == 'mirror', must be"), ({}, "distinct texts to learn from == 1")],
)
def test_what_cannot_be_adapted_is_refused(blind_bert, params, message):
    texts = ["the same"] * 40
    data = TrainingData([f"i{n}" for n in range(40)], None, [], item_texts=texts)
    options = FitOptions(encoder=str(blind_bert), params=params)
    with pytest.raises(ValueError, match=message):
        RECOMMENDERS["pretrain"].fit(data, options)
