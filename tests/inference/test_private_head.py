"""Classifiers under differential privacy: what bounds a user, what it costs, what refuses it."""

from __future__ import annotations

import numpy as np
import pytest
from django.test import Client

from experiments.actions.retrain_surface import retrain_surface
from inference.actions.load_examples import load_examples
from inference.actions.queue_training import CannotTrainError
from inference.models import Example
from inference.options import FitOptions
from inference.training.private_sgd import PrivateParams, UserRows, clipped_sum, fit_private_head
from tests.support import builders
from tests.support.learning import make_examples, train

USERS, LABELS, WIDTH = 200, 4, 8
QUICK = {"epochs": 6, "batch": 64}


def rows_of(users=USERS, seed=0):
    """Rows of length 1 that lie near their label's direction; one for each user."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(LABELS, size=users)
    rows = np.eye(WIDTH)[truth] + 0.2 * rng.normal(size=(users, WIDTH))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), truth


def fit(rows, truth, users=None, **params):
    users = np.arange(len(truth)) if users is None else users
    return fit_private_head(
        rows, truth, LABELS, users, params=PrivateParams(**{**QUICK, **params}), options=FitOptions()
    )


def accuracy_of(head) -> float:
    rows, truth = rows_of(seed=1)
    return float(((rows @ head.weights + head.offset).argmax(1) == truth).mean())


def test_less_privacy_is_less_noise_and_more_accuracy():
    rows, truth = rows_of()
    loose, tight = fit(rows, truth, epsilon=50.0), fit(rows, truth, epsilon=0.05)
    assert loose.noise < tight.noise
    assert loose.epsilon <= 50.05
    assert tight.epsilon <= 0.0505
    assert (loose.users, loose.delta) == (USERS, 0.1 / USERS)
    assert accuracy_of(loose) > 0.9
    assert accuracy_of(tight) < accuracy_of(loose)


def test_a_user_with_many_examples_counts_as_one():
    rows, truth = rows_of()
    # One user says of a thousand texts of the first label that they are of the last.
    many = np.repeat(np.eye(WIDTH, dtype=np.float32)[:1], 1000, axis=0)
    users = np.concatenate([np.arange(USERS), np.full(1000, USERS)])
    head = fit(
        np.concatenate([rows, many]), np.concatenate([truth, np.full(1000, LABELS - 1)]), users, epsilon=50.0
    )  # fmt: skip
    assert head.users == USERS + 1
    assert accuracy_of(head) > 0.9


@pytest.mark.parametrize("clip", [0.3, 100.0])
def test_each_user_is_clipped_by_itself_as_if_its_gradient_were_written_out(clip):
    rng = np.random.default_rng(0)
    users, m = 9, 4
    rows = rng.normal(size=(users, m, WIDTH)).astype(np.float32)
    truth = rng.integers(LABELS, size=(users, m))
    shares = (rng.random((users, m)) < 0.7).astype(np.float32)
    shares[:, 0] = 1
    shares /= shares.sum(1, keepdims=True)
    weights = rng.normal(size=(WIDTH, LABELS)).astype(np.float32)
    wanted, norms = np.zeros_like(weights), []
    for user in range(users):
        logits = rows[user] @ weights
        stated = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        residuals = (stated - np.eye(LABELS)[truth[user]]) * shares[user][:, None]
        gradient = rows[user].T @ residuals
        norms.append(np.linalg.norm(gradient))
        wanted += gradient * min(1.0, clip / norms[-1])
    assert (min(norms) < clip) or clip < 1
    total, loss = clipped_sum(UserRows(rows, truth, shares), weights, clip=clip)
    assert total == pytest.approx(wanted, abs=1e-5)
    assert loss > 0
    nobody = UserRows(rows[:0], truth[:0], shares[:0])
    assert not clipped_sum(nobody, weights, clip=clip)[0].any()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"epsilon": 0.0}, "epsilon == 0, must be above 0"),
        ({"epsilon": float("nan")}, "must be above 0"),
        ({"delta": 0.5}, "one over the users"),
        ({"batch": 0}, "batch == 0, must be at least 1"),
        ({"clip": -1.0}, "clip == -1"),
    ],
)
def test_what_bounds_nothing_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        fit(*rows_of(), **params)


def test_recommenders_have_no_epsilon(learner):
    for algorithm, params in (("private-head", {}), ("two-tower", {"epsilon": 1.0})):
        with pytest.raises(CannotTrainError, match="no gradient is of one user alone"):
            retrain_surface(surface=learner, algorithm=algorithm, trigger="a test", params=params)


def test_a_run_shows_what_was_spent_and_what_it_costs(desk):
    Example.objects.filter(surface=desk.surface).delete()
    load_examples(surface_id=desk.surface.pk, examples=make_examples(each=60))
    run = train(desk.surface, "private-head", epsilon=8.0, **QUICK)
    assert run.state in {"passed", "refused"}, run.message
    privacy = run.version.gate["about"]["privacy"]
    assert 7 < privacy["epsilon"] <= 8.01
    assert privacy["users"] == 180  # of the export, which has learnt from all
    assert 0 <= privacy["accuracy"] <= 1
    assert privacy["accuracy_without"] > 0.5
    assert "temperature" not in run.version.gate["about"]["temperature"]
    client = Client()
    client.force_login(builders.make_root())
    page = client.get(f"/runs/{run.pk}/").content.decode()
    for words in ("<h2>Differential privacy</h2>", "Accuracy without privacy"):
        assert words in page
    load_examples(surface_id=desk.surface.pk, examples=make_examples(each=60, features=True))
    run = train(desk.surface, "private-head", **QUICK)
    assert "must be none for 'private-head'" in run.message
