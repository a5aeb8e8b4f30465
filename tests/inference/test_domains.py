"""The worked examples of docs/examples/classify.md, on small tables."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from bakeoff.cli import main
from benchmarks.sample_tables import write_table
from inference.models import ModelVersion, Surface, TrainingRun
from tests.support.fast_lane import test_database_url
from tests.support.learning import train

PAGE = Path(__file__).parents[2] / "docs" / "examples" / "classify.md"
ROWS = 600


def section(title: str) -> list[list[str]]:
    """Return the commands of a section, as words."""
    text = PAGE.read_text(encoding="utf-8").partition(f"## {title}\n")[2]
    block = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert block is not None
    return [shlex.split(line) for line in block[1].replace("\\\n", " ").splitlines()]


def body_of(command: list[str]) -> dict:
    return json.loads(command[command.index("-d") + 1])


def make_ready(lane, shop, tmp_path, title: str, surface: str) -> TrainingRun:
    """Follow a section as far as its trained version."""
    make, load, patch, fit, *_ask = section(title)
    file = tmp_path / make[4]
    write_table(make[3], file, rows=ROWS)
    arguments = [str(file) if word == file.name else word for word in load[1:]]
    result = CliRunner().invoke(
        main, [*arguments, "--project", shop.project.slug], catch_exceptions=False
    )
    assert f"{ROWS} labelled examples are in, and surface {surface} is made" in " ".join(
        result.output.split()
    )
    headers = {"Authorization": f"Bearer {shop.secret}"}
    changed = lane.client.patch(f"/v1/surfaces/{surface}", json=body_of(patch), headers=headers)
    assert changed.status_code == 200, changed.text
    assert fit[:3] == ["bakeoff", "train", surface]
    run = train(Surface.objects.get(project=shop.project, key=surface), fit[4])
    assert run.state == TrainingRun.State.PASSED, run.message
    return run


@pytest.mark.parametrize(
    ("title", "surface", "costly", "cheap"),
    [("Medical triage", "triage", "urgent", "routine"), ("Credit risk", "loans", "default", "repaid")],
)
def test_an_example_runs_as_it_stands(lane, shop, tmp_path, monkeypatch, title, surface, costly, cheap):
    monkeypatch.setenv("DATABASE_URL", test_database_url())  # the run has a process of its own
    _make, _load, patch, _fit, ask = section(title)
    run = make_ready(lane, shop, tmp_path, title, surface)
    gate = run.version.gate
    cost = gate["rows"]["decision_cost"]
    assert cost["challenger"] < 0.9 * cost["champion"]  # the rival always answers by the shares
    assert 0 < gate["rows"]["abstained"]["challenger"] < 0.7
    assert gate["about"]["temperature"]["rows"] >= 50
    groups = gate["about"]["groups"]["attributes"]
    assert [one["attribute"] for one in groups] == body_of(patch)["slices"]
    ModelVersion.objects.filter(pk=run.version_id).update(alias="champion")
    lane.refresh()
    answer = lane.post("/v1/classify", body_of(ask), shop.public).json()
    assert answer["decision"] == costly
    assert not answer["abstained"]
    assert {one["label"] for one in answer["labels"]} >= {costly, cheap}


@pytest.mark.parametrize(
    ("title", "surface"), [("Customer service", "requests"), ("Education", "help")]
)
def test_an_example_trains_as_it_stands(lane, shop, tmp_path, monkeypatch, title, surface):
    monkeypatch.setenv("DATABASE_URL", test_database_url())
    run = make_ready(lane, shop, tmp_path, title, surface)
    rows = run.version.gate["rows"]
    assert rows["accuracy"]["challenger"] > rows["accuracy"]["champion"]
