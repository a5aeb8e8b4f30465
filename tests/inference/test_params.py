"""Hyper-parameters: what each algorithm declares of them, and what is refused before a run is queued."""

from __future__ import annotations

import subprocess
import sys

import pytest

from experiments.actions.retrain_surface import retrain_surface
from experiments.reports.param_words import PARAM_NAMES
from inference.actions.queue_training import CannotTrainError
from inference.algorithms import ENCODER, check_trainable, params_of, startable
from inference.options import Bounds, ParamError, read_params, specs_of
from inference.recommenders.ease import EaseParams
from inference.training.head_params import HeadParams

KINDS = ("recommend", "classify", "generate", "rank")
DECLARED = [
    (kind, name, cls)
    for kind in KINDS
    for name in startable(kind)
    if (cls := params_of(kind, name)) is not None
]


@pytest.mark.parametrize(("kind", "name", "cls"), DECLARED)
def test_defaults_are_allowed_and_numbers_are_bounded(kind, name, cls):
    specs = specs_of(cls)
    check_trainable(kind, name, {spec.name: spec.default for spec in specs if spec.name != ENCODER})
    for spec in specs:
        if spec.type in {int, float}:
            assert spec.bounds.high is not None, spec.name
            assert (spec.bounds.low is None) != (spec.bounds.above is None), spec.name
        assert spec.name in PARAM_NAMES or spec.name in {ENCODER, "parts", "weights"}


def test_what_learns_declares_its_parameters():
    names = {name for _kind, name, _cls in DECLARED}
    assert names >= {
        "auto", "als", "ease", "item-knn", "popularity", "two-tower", "sasrec", "tuned-two-tower", "bert",
        "pretrain", "tfidf", "frozen-head", "private-head", "sft", "dpo", "linear-thompson", "linucb",
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "cls"), DECLARED)
def test_a_search_draws_what_is_allowed(kind, name, cls):
    for spec in specs_of(cls):
        for end in (spec.drawn.low, spec.drawn.high) if spec.drawn else ():
            spec.check(spec.type(end))


@pytest.mark.parametrize(
    ("params", "name", "message"),
    [
        ({"l2": 0}, "l2", "parameter l2 == 0, must be above 0 and at most 1,000,000,000."),
        ({"l2": float("inf")}, "l2", "parameter l2 == inf, must be above 0 and at most 1,000,000,000."),
        ({"l2": 10**400}, "l2", "parameter l2 == a number of 401 digits, must be above 0 and at most"),
        ({"keep": -(10**400)}, "keep", "parameter keep == a number of 401 digits, must be at least 1"),
        ({"keep": 0}, "keep", "parameter keep == 0, must be at least 1 and at most 100,000."),
        ({"keep": 1.5}, "keep", "parameter keep == 1.5, must be of type int."),
        ({"keep": True}, "keep", "parameter keep == True, must be of type int."),
        ({"depth": 3}, "depth", "parameter == 'depth', must be one of "),
    ],
)
def test_a_value_that_breaks_a_rule_is_named(params, name, message):
    with pytest.raises(ParamError) as refused:
        read_params(EaseParams, params)
    assert refused.value.name == name
    assert str(refused.value).startswith(message)


def test_bounds_include_their_ends_but_for_above():
    bounds = Bounds(low=0, high=1)
    assert [bounds.allow(value) for value in (-0.1, 0, 1, 1.1, float("nan"))] == [
        False, True, True, False, False,
    ]  # fmt: skip
    assert [Bounds(above=0).allow(value) for value in (0, 0.1)] == [False, True]
    assert [Bounds(choices=("a",)).allow(value) for value in ("a", "b")] == [True, False]
    assert read_params(HeadParams, {"rate": 1}).rate == 1


@pytest.mark.parametrize(
    ("algorithm", "params", "param", "message"),
    [
        ("ease", {"l2": -1.0}, "l2", "must be above 0"),
        ("two-tower", {"widht": 8}, "widht", "must be one of"),
        ("sasrec", {"width": 9, "heads": 2}, "", "heads == 2, must divide the width, 9."),
        ("auto", {"search": 501}, "search", "at most 500"),
        ("auto", {"algorithms": ["oracle"]}, "algorithms", "must be among"),
    ],
)
def test_a_run_is_refused_before_it_is_queued(learner, algorithm, params, param, message):
    with pytest.raises(CannotTrainError, match=message) as refused:
        retrain_surface(surface=learner, algorithm=algorithm, trigger="a test", params=params)
    assert refused.value.param == param
    assert not learner.training_runs.exists()


WITHOUT_TORCH = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bakeoff.settings")
import django
django.setup()
from inference.algorithms import params_of, startable
print(len([params_of(kind, name) for kind in ("recommend", "classify", "generate") for name in startable(kind)]))
print("torch" in sys.modules)
"""


def test_declarations_need_no_torch():
    """A page reads them in a web process, which has no room for it."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, timeout=180, check=True
    )
    count, has_torch = done.stdout.split()
    assert int(count) > 10
    assert has_torch == "False"
