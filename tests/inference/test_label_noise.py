"""Label noise: examples with a wrong label are listed, first of all, and by row alone."""

from __future__ import annotations

import csv
import io

import numpy as np
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from inference.actions.example_draft import ExampleDraft
from inference.actions.load_examples import load_examples
from inference.models import Example, Surface
from inference.runs.label_noise import FOLDS, find_noise, folds_of
from inference.training.snapshot_files import snapshot_file
from tests.support import builders
from tests.support.learning import WORDS, train

WRONG = 6


def load_with_errors(surface) -> None:
    """Texts of one label's words; the first of each label have another's name."""
    Example.objects.filter(surface=surface).delete()
    rng, drafts, names = np.random.default_rng(0), [], list(WORDS)
    for n in range(240):
        label = names[n % 3]
        stated = names[(n + 1) % 3] if n < WRONG else label
        words = " ".join(rng.permutation(WORDS[label]))
        text = f"{words} =cmd ann@example.com" if n == 0 else f"{words} {n}"
        drafts.append(ExampleDraft(f"e{n}", text, stated))
    load_examples(surface_id=surface.pk, examples=drafts)


def test_wrong_labels_come_first_on_the_page_and_in_the_file(desk):
    load_with_errors(desk.surface)
    run = train(desk.surface, "tfidf")
    view = run.version.gate["about"]["label_noise"]
    assert view["examined"] == 240
    assert view["count"] == WRONG
    assert set(view["rows"][0]) == {"row", "stated", "likely", "probability", "stated_probability"}
    client = Client()
    client.force_login(builders.make_root())
    page = client.get(f"/runs/{run.pk}/").content.decode()
    assert "Labels to check" in page
    assert "ann@example.com" not in page
    answer = client.get(f"/runs/{run.pk}/label-noise.csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    worst = rows[:WRONG]
    for row in worst:
        true = next(label for label, words in WORDS.items() if row["text"].split()[0] in words)
        assert row["likely"] == true
        assert row["stated"] != true
        assert float(row["probability"]) > float(row["stated_probability"])
    snapshot_file(settings.BAKEOFF.snapshots, run.snapshot.sha256).unlink()
    page = client.get(f"/runs/{run.pk}/").content.decode()
    assert "Their texts are gone" in page
    stranger = Client()
    stranger.force_login(User.objects.create_user(f"stranger-{run.pk}", password="x"))
    assert stranger.get(f"/runs/{run.pk}/label-noise.csv").status_code == 404


def test_a_refused_version_says_that_labels_look_wrong(desk):
    load_with_errors(desk.surface)
    Surface.objects.filter(pk=desk.surface.pk).update(slices=["nothing"], max_gap=0.5)
    desk.surface.refresh_from_db()
    run = train(desk.surface, "tfidf")
    assert run.state == "refused"
    (note,) = [one for one in run.notes if "look wrong" in one]
    assert note.startswith(f"{WRONG} of 240 labels look wrong, which may be why: 'Labels to check'")
    client = Client()
    client.force_login(builders.make_root())
    page = client.get(f"/runs/{run.pk}/").content.decode()
    assert "6 of 240 labels look wrong" in page
    assert "Nothing was compared: no held-out example has “nothing”." in page


def test_clean_labels_are_not_listed_and_rare_ones_not_judged():
    probabilities = np.array([[0.9, 0.1, 0], [0.8, 0.2, 0], [0.1, 0.9, 0], [0.2, 0.8, 0]], np.float32)
    everything = np.ones(4, bool)
    assert find_noise(probabilities, np.array([0, 0, 1, 1]), everything) == []
    flipped = find_noise(probabilities, np.array([0, 1, 1, 1]), everything)
    assert flipped == []  # 0.8 is not above what label 0 has of its own, 0.9
    probabilities[1] = [0.95, 0.05, 0]
    assert find_noise(probabilities, np.array([0, 1, 1, 1]), everything) == [(1, 0)]
    assert find_noise(probabilities, np.array([0, 1, 1, 1]), np.array([1, 0, 1, 1], bool)) == []


def test_folds_spread_each_label():
    truth = np.repeat([0, 1, 2], [50, FOLDS, FOLDS - 1])
    fold = folds_of(truth, seed=0)
    assert (np.bincount(fold[:50]) == 10).all()
    assert sorted(fold[50 : 50 + FOLDS]) == list(range(FOLDS))
    assert (fold[50 + FOLDS :] == -1).all()
