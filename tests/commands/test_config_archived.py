"""Archived surfaces and metrics are no part of a configuration: left out, and refused where named."""

from __future__ import annotations

import yaml
from click.testing import CliRunner

from bakeoff.cli import main
from experiments.actions.change_surface import create_surface
from experiments.models import Metric
from tests.support import builders
from tests.support.commands import run

FILE = """metrics:
  orders: {owner: Ann}
surfaces:
  feed: {candidates: 7}
"""


def apply(project, text, *, status=0):
    arguments = ["config", "apply", "-f", "-", "--project", project.slug, "--yes"]
    result = CliRunner().invoke(main, arguments, input=text, catch_exceptions=False)
    assert result.exit_code == status, result.output
    return result.output


def test_what_is_archived_is_left_out_and_refused_until_it_is_restored(tables):
    project = builders.make_project()
    create_surface(project=project, key="feed", values={}, by="a test")
    create_surface(project=project, key="page", values={"theme_namer": ""}, by="a test")
    Metric.objects.create(project=project, key="orders", kind="mean", event="order")
    of = ("--project", project.slug)
    whole = run("config", "export", *of)
    assert "archived. `bakeoff surfaces restore feed`" in run(
        "surfaces", "archive", "feed", "--yes", *of
    )
    assert "archived." in run("metrics", "archive", "orders", "--yes", *of)
    exported = run("config", "export", *of)
    document = yaml.safe_load(exported)
    assert list(document["surfaces"]) == ["page"]
    assert "orders" not in document["metrics"]
    assert apply(project, exported) == "Nothing to change.\n"

    refused = apply(project, FILE, status=2)
    assert "2:3: metrics.orders: metric 'orders' is archived: restore it first." in refused
    assert "4:3: surfaces.feed: surface 'feed' is archived: restore it first." in refused
    assert "nothing was changed" in refused
    assert "feed" in run("surfaces", "list", "--archived", *of)

    empty = builders.make_project()
    assert "changes made." in apply(empty, exported)
    assert run("config", "export", "--project", empty.slug) == exported
    run("surfaces", "restore", "feed", *of)
    run("metrics", "restore", "orders", *of)
    assert run("config", "export", *of) == whole
    assert "2 changes made." in apply(project, FILE)
