"""The quickstart is followed to its automatic experiment, and a training says what keeps one away."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from bakeoff.commands.next_step import waits_for
from experiments.actions.advance_challenger import advance_challenger
from experiments.actions.change_programme import change_programme
from experiments.models import Experiment, Metric
from inference.models import Surface
from tests.support import builders

PAGE = Path(__file__).parents[2] / "docs/quickstart.md"


def typed_calls() -> list[list[str]]:
    """Return what sections 2 and 3 have typed, word by word."""
    sections = PAGE.read_text().partition("## 2.")[2].partition("## 4.")[0]
    blocks = [part.partition("```")[0] for part in sections.split("```sh\n")[1:]]
    joined = "\n".join(blocks).replace("\n.venv", "\0.venv").replace("\ncurl", "\0curl")
    return [shlex.split(call) for call in joined.split("\0")]


def request(lane, shop, words) -> None:
    method, address = words[words.index("-X") + 1 : words.index("-X") + 3]
    headers = {"Authorization": f"Bearer {shop.secret}"}
    path = address.removeprefix("localhost:8000")
    answer = lane.client.request(method, path, content=words[words.index("-d") + 1], headers=headers)
    assert answer.status_code in {200, 201}, answer.text


def test_what_the_quickstart_has_typed_starts_an_experiment(lane, shop, console):
    """Trainings are left out: they need behaviour, and have tests of their own."""
    Surface.objects.filter(project=shop.project).delete()
    Metric.objects.filter(project=shop.project).delete()
    trained = 0
    for program, *words in typed_calls():
        if program == "curl":
            request(lane, shop, words)
        elif words[0] == "train":
            surface = Surface.objects.get(project=shop.project, key=words[1])
            builders.make_version(surface, [1] * 10, alias="champion")
            trained += 1
        else:
            console(*words, "--project", shop.project.slug)
    assert trained == 1
    builders.make_version(surface, [1] * 10)  # as the schedule brings one that passed its gate
    started = advance_challenger(surface=Surface.objects.get(pk=surface.pk))
    assert isinstance(started, Experiment)
    assert (started.metrics.get(role="primary").metric.key, started.state) == ("clicks", "running")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"primary_metric": "clicks"}, "popularity@2 waits for its experiment: `bakeoff experiments"),
        (
            {"primary_metric": "clicks", "paused": True},
            "The autopilot is paused. `bakeoff autopilot home-feed --resume` goes on.",
        ),
        (
            {},
            "popularity@2 waits. No primary metric: no automatic experiment starts. "
            "`bakeoff autopilot home-feed --primary-metric clicks` says what decides.",
        ),
        (None, "start_experiments is off: people start experiments. `bakeoff promote home-feed pop"),
    ],
)
def test_a_version_says_why_its_experiment_does_not_start(shop, change, words):
    if change is None:
        shop.surface.start_experiments = False
        shop.surface.save()
    else:
        change_programme(surface=shop.surface, changes=change, by="a test")
    version = builders.make_version(shop.surface, [1] * 10)
    assert words in waits_for(version)
