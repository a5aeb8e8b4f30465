"""How-tos and migrations are followed word by word: each request and command, in the order of the page."""

from __future__ import annotations

import re
import shlex
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import click
import pytest

from bakeoff.accounts.models import ApiKey
from bakeoff.cli import main as cli
from experiments.actions.promote_version import promote_version
from experiments.models import Experiment, Metric
from inference.actions.load_examples import load_examples
from inference.models import Surface, TrainingRun
from inference.tasks import run_training
from tests.support import builders
from tests.support.fast_lane import test_database_url
from tests.support.learning import make_examples
from tests.support.mlflow_folder import save_model
from tests.support.onnx_graphs import LABELS, text_graph
from tests.support.waiting import wait_until

DOCS = Path(__file__).parents[2] / "docs"
FOLLOWED = (
    "how-to/export", "how-to/flag", "how-to/guardrails", "how-to/holdout", "how-to/import-a-model",
    "how-to/keys", "how-to/metric", "how-to/personal-data", "how-to/plan", "how-to/rules",
    "how-to/side-by-side", "how-to/start-and-stop", "how-to/survey", "migrate/personalizer",
)  # fmt: skip
# By the beginning of a call, why it is not typed here.
NOT_TYPED = {
    "import mlflow --surface intents --model-uri models:/": "tests/infra/test_mlflow_server.py",
    "import model home-feed": "of random vectors, which no gate passes: tests/inference/test_imported_models.py",
}
SUCCESSFUL = {200, 201, 202, 204}


def calls_of(page: str) -> list[list[str]]:
    """Return the words of each call of a page's shell blocks, in their order."""
    calls = []
    for text in re.findall(r"```sh\n(.*?)```", (DOCS / f"{page}.md").read_text(), re.DOTALL):
        parts = re.split(r"^ *(?=curl |bakeoff )", text.replace("\\\n", " "), flags=re.MULTILINE)
        calls += [shlex.split(part) for part in parts if part.strip()]
    return calls


def send(lane, shop, words: list[str]):
    """Send what curl would send, its media type too."""
    has_body = "-d" in words
    method = words[words.index("-X") + 1] if "-X" in words else "POST" if has_body else "GET"
    (address,) = (word for word in words if word.startswith("localhost:8000/"))
    headers = {"content-type": "application/x-www-form-urlencoded"} if has_body else {}
    for name, _, value in (word.partition(": ") for before, word in pairwise(words) if before == "-H"):
        headers[name.lower()] = value.replace("$SECRET", shop.secret).replace("$KEY", shop.secret)
    body = words[words.index("-d") + 1] if has_body else None
    path = address.removeprefix("localhost:8000")
    answer = lane.client.request(method, path, content=body, headers=headers)
    assert answer.status_code in SUCCESSFUL, (words, answer.text)
    assert not answer.content or not answer.json().get("rejected"), answer.text


def of_project(words: list[str], shop) -> list[str]:
    """Return a call of `bakeoff` with the test's project, where the command asks for one."""
    command: click.Command = cli
    for word in words:
        if not isinstance(command, click.Group):
            break
        command = command.get_command(click.Context(command), word)
    options = {option for one in command.params for option in one.opts}
    named = [one for one in ("--project", "--in") if one in options]
    return [*words, named[0], shop.project.slug] if named else words


def prepare(page: str, shop, folder: Path) -> None:
    """Make what a page says is there: a version to try, past events, a file."""
    if page == "how-to/start-and-stop":
        builders.make_version(shop.surface, list(reversed(range(1, 11))), algorithm="two-tower")
    if page == "how-to/guardrails":
        Metric.objects.create(project=shop.project, key="orders", kind="proportion", event="order")
    if page == "how-to/plan":
        past = (builders.now() - timedelta(days=2)).isoformat()
        events = [
            builders.event(shop.project, unit=f"u{n}", name=name, at=past)
            for n in range(600)
            for name in ("view", *["click"] * (n % 3))
        ]
        builders.write(builders.Rows(events=events))
    if page == "how-to/import-a-model":
        surface = Surface.objects.create(project=shop.project, key="intents", kind="classify")
        load_examples(surface_id=surface.pk, examples=make_examples())
        (folder / "intents.onnx").write_bytes(text_graph())
        (folder / "mlruns/0/models/m-1").mkdir(parents=True)
        save_model(folder / "mlruns/0/models/m-1/artifacts", metadata={"labels": LABELS})


def work_off(shop) -> None:
    """Do the run that a command has queued, as a worker does."""
    queued = TrainingRun.objects.filter(surface__project=shop.project, state="queued")
    wait_until(queued.exists, "a run is queued", seconds=120)
    run = queued.get()
    run_training(run.pk)
    run.refresh_from_db()
    assert run.state == TrainingRun.State.PASSED, run.message
    # As the loop's next tick does with the first, and an experiment with others.
    run.version.surface.versions.champions().update(alias="retired")
    run.version.surface.versions.filter(pk=run.version_id).update(alias="champion")


@pytest.mark.parametrize("page", FOLLOWED)
def test_a_page_is_followed_word_by_word(lane, shop, console, page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", test_database_url())
    first_key = ApiKey.objects.get(project=shop.project, prefix=shop.public[:8])
    prepare(page, shop, tmp_path)
    calls = calls_of(page)
    assert calls
    for program, *words in calls:
        if program == "curl":
            send(lane, shop, words)
            lane.refresh()
            continue
        if any(" ".join(words).startswith(one) for one in NOT_TYPED):
            continue
        here = {"3": str(first_key.pk)} if "revoke" in words else {"/data/bakeoff": f"{tmp_path}/data"}
        typed = of_project([here.get(word, word) for word in words], shop)
        if words[0] == "rollback":
            two_tower = shop.surface.versions.get(algorithm="two-tower")
            promote_version(version=two_tower, by="a test", reason="it won")
        call = console.start(*typed, cwd=tmp_path, stdin=b"y\n")  # where it asks before it deletes
        if words[0] == "import":
            work_off(shop)
        done = console.finish(call)
        assert (done.status, "Traceback" in done.output) == (0, False), (typed, done)
    if page == "how-to/keys":
        first_key.refresh_from_db()
        assert first_key.revoked_at is not None
        newest = ApiKey.objects.filter(project=shop.project).order_by("-pk")[:2]
        assert [one.name for one in newest] == ["shop-page", "shop-server"]
    if page == "how-to/start-and-stop":
        assert Experiment.objects.get(project=shop.project, key="trial").state == "ended"
        assert shop.surface.versions.champions().get().label == "popularity@1"


def test_each_page_with_commands_is_followed():
    pages = {
        f"{folder}/{path.stem}"
        for folder in ("how-to", "migrate")
        for path in (DOCS / folder).glob("*.md")
    }
    assert {page for page in pages if calls_of(page)} == set(FOLLOWED)
