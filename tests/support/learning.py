"""Behaviour and texts that have something to learn, and training as a worker does it."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from django.db import connection
from django.utils import timezone

from experiments.actions.retrain_surface import retrain_surface
from experiments.ingest.load_events import PastEvent, load_events
from inference.actions.example_draft import ExampleDraft
from inference.actions.load_items import ItemDraft, load_items
from inference.models import Surface, TrainingRun
from inference.tasks import run_training
from inference.training.snapshot import Likes
from tests.support import builders

GROUPS, PER_GROUP = 4, 10
ITEMS = [f"i{n}" for n in range(GROUPS * PER_GROUP)]
QUICK = {"epochs": 8, "hidden": 16, "width": 8, "history": 10}


def make_likes(units=80, each=8, seed=0) -> Likes:
    """Each unit likes items of one group: a taste that popularity cannot see."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"u{unit:03}", f"i{(unit % GROUPS) * PER_GROUP + item}", float(at))
        for unit in range(units)
        for at, item in enumerate(rng.permutation(PER_GROUP)[:each])
    ]
    return Likes(*map(list, zip(*rows, strict=True)))


def make_rated_surface() -> Surface:
    """A surface without a champion, with ratings to learn from."""
    project = builders.make_project()
    names = ["heat", "rain", "sun", "night"]
    load_items(
        project_id=project.pk,
        items=[ItemDraft(i, f"{names[n * GROUPS // len(ITEMS)]} {n}") for n, i in enumerate(ITEMS)],
    )
    likes = make_likes(units=60)
    start = timezone.now() - timedelta(days=1)
    events = [
        PastEvent(f"e{n}", "rating", unit, item, 5.0, start + timedelta(seconds=at))
        for n, (unit, item, at) in enumerate(
            zip(likes.unit_ids, likes.item_ids, likes.liked_at, strict=True)
        )
    ]
    connection.ensure_connection()
    load_events(connection.connection, project.pk, events)
    return Surface.objects.create(project=project, key="home-feed", liked_events=["rating>=4"])


WORDS = {
    "billing": ["heat", "rain", "sun"],
    "delivery": ["night", "toy", "story"],
    "account": ["love", "war", "king"],
}


def make_examples(each=40, seed=0, shuffled=False, features=False) -> list[ExampleDraft]:
    """Texts of words that mostly go with a label."""
    rng = np.random.default_rng(seed)
    drafts = []
    labels = [label for label in WORDS for _ in range(each)]
    for n, label in enumerate(labels):
        words = (
            rng.choice(WORDS[label], 3).tolist()
            + rng.choice([word for words in WORDS.values() for word in words], 1).tolist()
        )
        known = {"amount": float(n % 7), "channel": "web" if label == "billing" else "shop"}
        drafts.append(ExampleDraft(f"e{n}", " ".join(words), label, known if features else {}))
    if shuffled:
        dealt = rng.permutation(labels)
        drafts = [
            ExampleDraft(d.example_id, d.text, str(label))
            for d, label in zip(drafts, dealt, strict=True)
        ]
    return drafts


def train(surface, algorithm, **params) -> TrainingRun:
    run = retrain_surface(surface=surface, algorithm=algorithm, trigger="a test", params=params)
    run_training(run.pk)
    run.refresh_from_db()
    return run
