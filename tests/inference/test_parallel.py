"""Several processes take the steps of one training: the same steps, whoever dies meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import psutil
import pytest
from django.conf import settings
from django.db import connections
from transformers.utils import logging

from experiments.actions.retrain_surface import retrain_surface
from inference.actions import train_in_child
from inference.models import TrainingRun
from inference.tasks import run_training
from tests.support import fit_together
from tests.support.learning import train
from tests.support.waiting import wait_until
from tests.support.warm_python import called_by

logging.disable_progress_bar()
ROUNDING = 2e-5


@pytest.fixture(scope="module")
def still_bert(tiny_bert, tmp_path_factory):
    """The tiny encoder without dropout, which two processes draw otherwise than one."""
    folder = tmp_path_factory.mktemp("still") / "bert"
    shutil.copytree(tiny_bert, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def together(still_bert, tiny_base, tmp_path_factory):
    """What each of two processes has learnt."""
    out = tmp_path_factory.mktemp("together") / "out"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*torchrun, "-m", "tests.support.fit_together", str(still_bert), str(tiny_base), str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "BAKEOFF_CHECKPOINT_SECONDS": "1e-9"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [np.load(out.with_name(f"out-{place}.npz")) for place in range(2)]


def test_two_processes_learn_what_one_does(together, still_bert, tiny_base):
    alone = fit_together.fit_all(fit_together.options_of(str(still_bert), str(tiny_base)))
    first, second = together
    assert set(alone) <= set(first.files) == set(second.files)
    for name, value in alone.items():
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
        np.testing.assert_allclose(first[name], value, atol=ROUNDING, err_msg=name)


def test_two_processes_that_stop_end_as_if_they_had_not(together):
    for learnt in together:
        resumed = [name for name in learnt.files if name.endswith(" resumed")]
        assert len(resumed) > 10
        for name in resumed:
            np.testing.assert_array_equal(learnt[name], learnt[name.removesuffix(" resumed")], name)


@pytest.fixture
def two(desk, monkeypatch):
    """A platform whose fine-tunings take two processes."""
    monkeypatch.setattr(settings, "BAKEOFF", replace(settings.BAKEOFF, training_processes=2))
    return desk.surface


def test_a_run_of_two_processes_registers_one_version(two):
    run = train(two, "bert", epochs=0.5, batch=8)
    assert run.state == TrainingRun.State.PASSED, run.message
    assert two.versions.count() == 1
    assert train_in_child._children == []


def test_a_run_whose_second_process_is_killed_is_taken_up_again(two):
    params = {"epochs": 2000.0, "most_steps": 100_000}
    run = retrain_surface(surface=two, algorithm="bert", trigger="a test", params=params)

    def work() -> None:
        run_training(run.pk)
        connections.close_all()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    begun = TrainingRun.objects.filter(pk=run.pk, curve__0__isnull=False)
    wait_until(begun.exists, "steps are taken", seconds=240)
    first, second = train_in_child._children
    called_by(psutil.Process(second.pid)).kill()
    thread.join(60)
    run.refresh_from_db()
    assert (run.state, run.attempts) == (TrainingRun.State.QUEUED, 1)
    assert "killed by signal 9" in run.message
    assert first.poll() is not None


def test_what_is_not_fine_tuned_has_one_process(two, monkeypatch):
    counts = []

    def count(_place: int, processes: int, _meeting_place) -> dict[str, str]:
        counts.append(processes)
        return {}

    monkeypatch.setattr(train_in_child, "environment_of", count)
    assert train(two, "tfidf").state == TrainingRun.State.PASSED
    assert counts == [1]
