"""A configuration that breaks rules of every kind is told all of them in one round."""

from __future__ import annotations

from click.testing import CliRunner

from bakeoff.cli import main
from tests.support.commands import run

FAULTY = """
project: {timezone: Mars/Base, retentoin_days: 40}
metrics:
  Bad Key!: {kind: mean, event: x}
  share: {kind: ratio, event: x, capp: 1}
  odd: {kind: meen, event: x, windowss: 3}
surfaces:
  home-feed: {candidats: 5, candidates: many}
experiments:
  lonely:
    surface: nowhere
    variants: [{key: a, weight: 0.5, is_control: true}, {key: b, weight: 0.5}]
    metrics: [{metric: clicks}]
  short:
    surfac: home-feed
    variants: [{key: a, weight: half}]
    metrics: [{metric: share}]
  after:
    surface: page
    variants: [{key: a, value: 1, weight: 0.5, is_control: true}, {key: b, value: 2, weight: 0.5}]
    metrics: [{metric: share}]
"""
REASONS = (
    "2:11: project.timezone: timezone == 'Mars/Base', must be a name such as Europe/Berlin.",
    "2:32: project.retentoin_days: unknown field. Did you mean 'retention_days'?",
    "4:3: metrics.Bad Key!: Bad Key! == 'Bad Key!', must be letters, digits, - and _ alone.",
    "metrics.share.denominator: ",
    "5:34: metrics.share.capp: unknown field. Did you mean 'cap'?",
    "6:9: metrics.odd.kind: kind == 'meen', must be 'proportion', ",
    "metrics.odd.windowss: unknown field.",
    "8:15: surfaces.home-feed.candidats: unknown field. Did you mean 'candidates'?",
    "surfaces.home-feed.candidates: candidates == 'many', must be an integer.",
    "11:5: experiments.lonely.surface: surface == 'nowhere', not found in project",
    "15:5: experiments.short.surfac: unknown field. Did you mean 'surface'?",
    "experiments.short.variants: variants has 1, must have at least 2 entries.",
)


def test_every_reason_against_a_file_is_named_at_once(shop):
    shop.project.surfaces.create(key="page", kind="flag")
    project = ("--project", shop.project.slug)
    before = run("config", "export", *project)
    refused = CliRunner().invoke(main, ["config", "apply", "--yes", *project], input=FAULTY)
    done = refused.output
    assert refused.exit_code == 2, done
    lines = done.replace("<stdin>:", "").splitlines()[1:]
    for reason in REASONS:
        assert any(reason in line for line in lines), (reason, done)
    # What only follows from another reason is not one: a metric that was refused, a part left out.
    assert not any("experiments.after" in line or "is missing" in line for line in lines), done
    assert "pydantic" not in done
    assert run("config", "export", *project) == before
