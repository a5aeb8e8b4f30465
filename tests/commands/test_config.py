"""Configuration as code, through the console script: export, apply, and what a stranger's file is told."""

from __future__ import annotations

import os

import jsonschema_rs
import orjson
import pytest
import yaml
from click.testing import CliRunner
from django.contrib.auth.models import User

from bakeoff.accounts.models import ApiKey, AuditEntry, Membership
from bakeoff.cli import main
from bakeoff.config_file import read_file
from bakeoff.config_file.document import EXPERIMENT_FIELDS, ConfigDocument, json_schema
from bakeoff.config_file.fields import Section
from bakeoff.config_file.read_file import FileFaultsError, read_config
from experiments.actions.add_order import add_order, read_order
from experiments.actions.add_prompt import add_prompt
from experiments.actions.change_programme import change_programme
from experiments.actions.change_surface import create_surface, patch_surface
from experiments.actions.create_survey import create_survey
from experiments.actions.define_experiment import define_experiment
from experiments.actions.experiment_draft import ExperimentDraft, ExperimentMetricDraft, VariantDraft
from experiments.actions.plan_judging import plan_judging
from experiments.actions.put_group import put_group
from experiments.actions.put_holdout import put_holdout
from experiments.actions.put_layer import put_layer
from experiments.actions.save_rules import save_rules
from experiments.actions.start_experiment import start_experiment
from experiments.models import Experiment, Metric, Proposal
from experiments.survey_question import SurveyQuestion
from tests.support import alerts, builders
from tests.support.commands import run

WEBHOOK = "https://hooks.example/secret-path"
TARGET = {"OPS_ROOM_TARGET": WEBHOOK}
BY = "a test"


@pytest.fixture
def furnished(tables, declared_provider):
    """A project with something of everything that a file states."""
    project = builders.make_project()
    put_group(project=project, key="staff", attribute="id", values=["u1", "ü2"], condition={}, by=BY)
    layer = put_layer(project=project, key="checkout", by=BY)
    page = create_surface(project=project, key="page", values={"kind": "flag"}, by=BY)
    feed = create_surface(project=project, key="feed", values={"candidates": 300}, by=BY)
    add_order(surface=feed, order=read_order("popular", {"half_life_hours": 24.0}), by=BY)
    add_order(surface=feed, order=read_order("latest", {}), by=BY)
    save_rules(surface=feed, rules={"new_item_share": 0.1}, by=BY, name="more news")
    for key, choices in (("asked-before", ()), ("why-not", ("Too expensive", "Seen: before"))):
        kind, on = ("choice", True) if choices else ("nps", False)
        question = SurveyQuestion(key, kind, "Gefällt's?", choices, share=0.5, asks_comment=on)
        create_survey(surface=feed, question=question, by=BY, enabled=on)
    patch_surface(surface=feed, changes={"rules": {"new_item_share": 0.2}}, by=BY)
    metric = Metric.objects.create(
        project=project, key="clicks", kind="mean", event="click", cap=2.5, name="Klicks: „alle“",
        description="Per user:\nof home.", owner="Team Ä", tags=["feed", "a: b"],
    )  # fmt: skip
    change_programme(surface=feed, changes={"primary_metric": "clicks", "holdback_days": 7}, by=BY)
    chat = create_surface(project=project, key="chat", values={"kind": "generate"}, by=BY)
    for words in ("Be brief.", "Be kind:\nalways {{ name }}, # no comment"):
        messages = [{"role": "system", "content": words}]
        prompt = {"provider": "test", "model": "m", "messages": messages, "variables": {"name": {}}}
        add_prompt(surface=chat, data=prompt, by=BY, algorithm="brief")
    plan_judging(surface=chat, changes={"rubric": "Is it polite?", "label_share": 0.25}, by=BY)
    for key, needs in (("z-first", []), ("a-second", [{"experiment": "z-first", "variants": ["new"]}])):
        define_experiment(
            ExperimentDraft(
                surface=page,
                key=key,
                owner="ann" if key == "z-first" else BY,
                variants=[
                    VariantDraft("old", None, 0.5, is_control=True, value=False),
                    VariantDraft("new", None, 0.5, value={"colour": "on"}),
                ],
                metrics=[ExperimentMetricDraft(metric)],
                layer=layer,
                slot=(0.0, 0.5),
                condition={"$savedGroup": {"id": "staff"}},
                prerequisites=needs,
                tags=["checkout", "ä: x"],
            )
        )
    _try_lists(feed, metric)
    alerts.subscribe(project, WEBHOOK, name="Ops room")
    put_holdout(project=project, share=0.05, by=BY)
    return project


def _try_lists(feed, metric):
    """An experiment on the feed, and a survey for the users of its treatment."""
    popular, latest = feed.versions.order_by("id")
    define_experiment(
        ExperimentDraft(
            surface=feed,
            key="lists",
            owner="platform",
            variants=[
                VariantDraft("control", popular, 0.5, is_control=True),
                VariantDraft("latest", latest, 0.5),
            ],
            metrics=[ExperimentMetricDraft(metric)],
        )
    )
    question = SurveyQuestion("of-latest", "csat", "Better?", variants=("lists/latest",))
    create_survey(surface=feed, question=question, by=BY, enabled=False)


def export(project) -> str:
    return run("config", "export", "--project", project.slug)


def apply(project, text, *options, status=0) -> str:
    """Apply in the process of the test; return what is printed."""
    arguments = ["config", "apply", "-f", "-", "--project", project.slug, *options]
    result = CliRunner().invoke(main, arguments, input=text, env=TARGET, catch_exceptions=False)
    assert result.exit_code == status, result.output
    return result.output


def left_out(section):
    """Yield the fields that an export could state and does not."""
    missing = set(type(section).model_fields) - section.model_fields_set
    # A version is an order or a prompt; judging is of surfaces that generate.
    optional = {"list", "list_params", "prompt", "judging"}
    yield from (f"{type(section).__name__}.{name}" for name in missing - optional)
    for value in (getattr(section, name) for name in section.model_fields_set):
        inner = list(value.values()) if isinstance(value, dict) else value
        for one in inner if isinstance(inner, list) else [inner]:
            if isinstance(one, Section):
                yield from left_out(one)


def acts(project) -> list[str]:
    return list(
        AuditEntry.objects.filter(project=project).order_by("id").values_list("action", flat=True)
    )


def test_an_export_makes_an_empty_project_the_same(console, furnished):
    text = export(furnished)
    script = ("--project", furnished.slug)
    assert console("config", "export", *script).stdout == text
    assert WEBHOOK not in text
    assert "target: ${OPS_ROOM_TARGET}" in text
    jsonschema_rs.validator_for(json_schema()).validate(yaml.safe_load(text))

    assert not list(left_out(ConfigDocument.model_validate(yaml.safe_load(text))))

    empty = builders.make_project()
    shown = apply(empty, text, "--dry-run")
    assert "+ surfaces.feed\n" in shown
    assert f"owner == 'ann' is no member of project '{empty}'" in shown
    assert "nothing was changed." in shown
    assert not empty.surfaces.exists()
    assert acts(empty) == []
    assert "no question can be answered; nothing was changed. Add --yes" in apply(empty, text, status=2)
    assert not empty.surfaces.exists()

    assert "changes made." in apply(empty, text, "--yes")
    assert export(empty) == text
    done = acts(empty)
    assert {"make surface", "declare metric", "put group", "define", "subscribe", "holdout"} <= set(
        done
    )
    assert apply(empty, text, "--yes") == "Nothing to change.\n"
    assert acts(empty) == done
    # The console script, as a pipe to it does.
    file = {"stdin": text.encode(), "BAKEOFF_PROVIDERS": os.environ["BAKEOFF_PROVIDERS"]}
    assert console("config", "apply", *script, **file).stdout == "Nothing to change.\n"


def test_no_file_is_no_empty_file(furnished):
    arguments = ["config", "apply", "--yes", "--project", furnished.slug]
    done = CliRunner().invoke(main, arguments, input="")
    assert done.exit_code == 2
    assert "Name a file with --file / -f, or give one by standard input" in done.output


def test_who_names_a_file_is_asked(furnished, tmp_path):
    file = tmp_path / "bakeoff.yaml"
    file.write_text("surfaces: {feed: {candidates: 250}}\n")
    arguments = ["config", "apply", "-f", str(file), "--project", furnished.slug]
    refused = CliRunner().invoke(main, arguments, input="n\n")
    assert (refused.exit_code, "Make 1 change in" in refused.output) == (1, True)
    done = CliRunner().invoke(main, arguments, input="y\n")
    assert (done.exit_code, "1 change made." in done.output) == (0, True)


def test_a_part_of_a_file_changes_that_part_alone(furnished):
    part = """
surfaces:
  feed: {candidates: 50, autopilot: {paused: true}}
experiments:
  z-first: {hypothesis: Blue sells, allocation: 0.5}
metrics:
  orders: {kind: proportion, event: order}
subscriptions:
  Ops room: {enabled: false}
project: {retention_days: 100}
"""
    shown = apply(furnished, part, "--yes")
    for line in (
        "~ project.retention_days: 396 → 100",
        "+ metrics.orders",
        '    kind: "proportion"',
        "~ surfaces.feed.candidates: 300 → 50",
        "~ surfaces.feed.autopilot.paused: false → true",
        '~ experiments.z-first.hypothesis: "" → "Blue sells"',
        "~ subscriptions.Ops room.enabled: true → false",
    ):
        assert line in shown.splitlines(), shown
    after = yaml.safe_load(export(furnished))
    assert shown.endswith("7 changes made.\n")
    assert after["surfaces"]["feed"]["rules"] == {"new_item_share": 0.2}


def test_a_file_turns_one_survey_off_and_another_on(furnished):
    text = "surfaces: {feed: {surveys: {asked-before: {enabled: true}, why-not: {enabled: false}}}}\n"
    assert "2 changes made." in apply(furnished, text, "--yes")
    assert dict(furnished.surveys.values_list("key", "enabled")) == {
        "asked-before": True,
        "why-not": False,
        "of-latest": False,
    }
    assert acts(furnished)[-2:] == ["turn off survey", "turn on survey"]
    assert apply(furnished, text, "--yes") == "Nothing to change.\n"


def test_a_survey_whose_texts_end_in_blanks_is_applied_twice(furnished):
    text = """
surfaces:
  feed:
    surveys:
      folded:
        kind: choice
        question: >
          How do you
          like these?
        choices: [" Well", "Badly "]
        enabled: false
"""
    assert "1 change made." in apply(furnished, text, "--yes")
    survey = furnished.surveys.get(key="folded")
    assert (survey.question, survey.choices) == ("How do you like these?", ["Well", "Badly"])
    assert apply(furnished, text, "--yes") == "Nothing to change.\n"
    other = apply(furnished, text.replace("Well", "Good"), "--yes", status=2)
    assert "survey == 'folded', is there with other content" in other


def test_what_runs_keeps_what_its_verdict_stands_on(furnished):
    experiment = Experiment.objects.get(project=furnished, key="z-first")
    put_holdout(project=furnished, share=0.0, by=BY)
    start_experiment(experiment=experiment, by=BY)
    text = "experiments:\n  z-first:\n    name: Blue\n    policy:\n      alpha: 0.2\n"
    done = apply(furnished, text, "--yes", status=2)
    assert (
        "4:5: experiments.z-first.policy: experiment 'z-first' is running, so policy must stay" in done
    )
    assert Experiment.objects.get(pk=experiment.pk).name == ""
    apply(furnished, "experiments: {z-first: {name: Blue}}", "--yes")
    apply(furnished, "experiments: {z-first: {tags: [spring]}}", "--yes")
    experiment.refresh_from_db()
    assert (experiment.name, experiment.tags) == ("Blue", ["spring"])
    fault = apply(furnished, "experiments: {z-first: {tags: [a, a]}}", "--yes", status=2)
    assert "experiments.z-first.tags: tags == ['a', 'a'], must be different texts" in fault


def test_an_owner_comes_by_the_file(furnished):
    User.objects.create_user("bob")
    Membership.objects.create(
        project=furnished, user=User.objects.get(username="bob"), role=Membership.Role.ANALYST
    )
    apply(furnished, "experiments: {z-first: {owner: bob}, a-second: {owner: null}}", "--yes")
    owners = dict(Experiment.objects.filter(project=furnished).values_list("key", "owner"))
    assert (owners["z-first"], owners["a-second"]) == ("bob", BY)
    stated = yaml.safe_load(export(furnished))["experiments"]
    assert (stated["z-first"]["owner"], stated["lists"]["owner"]) == ("bob", None)
    for name, owner, sentence in (
        ("z-first", "nobody-here", "owner == 'nobody-here', must be a member of the project."),
        ("lists", "bob", "owner == 'bob', must stay 'platform', which conducts it."),
    ):
        part = yaml.safe_dump({"experiments": {name: {"owner": owner}}})
        assert f"experiments.{name}.owner: {sentence}" in apply(furnished, part, "--yes", status=2)
    new = stated["z-first"] | {"owner": "Platform"}
    refused = apply(furnished, yaml.safe_dump({"experiments": {"new": new}}), "--yes", status=2)
    assert "experiments.new.owner: owner == 'Platform', must be a person." in refused


def test_a_survey_of_what_ended_is_history(furnished):
    assert "of-latest" in yaml.safe_load(export(furnished))["surfaces"]["feed"]["surveys"]
    Experiment.objects.filter(key="lists", project=furnished).update(state="ended")
    stated = yaml.safe_load(export(furnished))
    assert sorted(stated["surfaces"]["feed"]["surveys"]) == ["asked-before", "why-not"]
    empty = builders.make_project()
    apply(empty, yaml.safe_dump(stated), "--yes")
    assert yaml.safe_load(export(empty)) == stated


def test_a_bandit_comes_and_goes_by_the_file(furnished):
    edited = yaml.safe_load(export(furnished))["experiments"]["z-first"]
    wanted = {"mode": "bandit", "policy": {"floor": 0.2}}
    low = {"experiments": {"z-first": wanted | {"policy": {"floor": 0.01}}}}
    assert "floor == 0.01, must be in [0.05, 0.5]" in apply(
        furnished, yaml.safe_dump(low), "--yes", status=2
    )
    assert Experiment.objects.get(project=furnished, key="z-first").mode == edited["mode"]
    text = yaml.safe_dump({"experiments": {"z-first": wanted}})
    apply(furnished, text, "--yes")
    stored = yaml.safe_load(export(furnished))["experiments"]["z-first"]
    assert (stored["mode"], stored["policy"]["floor"], stored["sticky"]) == ("bandit", 0.2, True)
    assert "Nothing" in apply(furnished, yaml.safe_dump({"experiments": {"z-first": stored}}), "--yes")


def test_clusters_come_by_the_file_where_requests_name_them(furnished):
    wanted = {"mode": "cluster", "policy": {"cluster_by": "store"}}
    done = apply(furnished, yaml.safe_dump({"experiments": {"z-first": wanted}}), "--yes", status=2)
    assert "mode == 'cluster' on a surface of kind 'flag', must be on one of" in done
    lengths = {"block_seconds": 3600, "carry_over_seconds": 600}
    wanted = {"mode": "switchback", "policy": lengths}
    done = apply(furnished, yaml.safe_dump({"experiments": {"z-first": wanted}}), "--yes", status=2)
    assert "mode == 'switchback' on a surface of kind 'flag', must be on one whose answers" in done


def test_where_two_people_approve_a_weaker_setting_is_proposed(furnished):
    feed = furnished.surfaces.get(key="feed")
    change_programme(surface=feed, changes={"approval": "two_persons"}, by=BY)
    text = "surfaces: {feed: {autopilot: {breaker_alpha: 0}}}"
    assert "! would be proposed: breaker_alpha" in apply(furnished, text, "--dry-run")
    assert not Proposal.objects.filter(surface=feed).exists()
    assert "a second person must approve" in apply(furnished, text, "--yes")
    assert Proposal.objects.filter(surface=feed, state="open").count() == 1
    assert yaml.safe_load(export(furnished))["surfaces"]["feed"]["autopilot"]["breaker_alpha"] > 0


REFUSED = [
    ("surfaces:\n  feed:\n    candidats: 5\n", "3:5: surfaces.feed.candidats: unknown field. Did you mean 'candidates'?"),
    ("surfaces:\n  feed:\n    candidates: many\n", "3:5: surfaces.feed.candidates: candidates == 'many', "),
    ("metrics:\n  m: {kind: meen}\n", "2:7: metrics.m.kind: kind == 'meen', must be 'proportion'"),
    ("metrics:\n  m: {event: x}\n", "2:3: metrics.m: kind is missing, must be one of"),
    ("a: [1\n", "no YAML:"),
    ("surfaces: {}\nsurfaces: {}\n", "2:1: no YAML: key 'surfaces' stands here twice."),
    ("project: {timezone: Mars/Base}\n", "1:11: project.timezone: timezone == 'Mars/Base', must be a name such as"),
    ("project: {holdout: 0.9}\n", "1:11: project.holdout: holdout == 0.9, must be at most 0.5."),
    ("surfaces:\n  new:\n    versions: {latest@2: {list: latest}}\n", "3:16: surfaces.new.versions.latest@2: version == 'latest@2', the next one would be 'latest@1'"),
    ("surfaces:\n  feed:\n    versions: {latest@1: {list: popular}}\n", "is there with other content and never changes"),
    ("surfaces: {feed: {retrain_algorithm: ease, retrain_params: {l2: -1}}}\n", "retrain_params: parameter l2 == -1, must be above 0 and at most"),
    ("surfaces: {feed: {saved_rules: [{name: other}]}}\n", "saved_rules[0] is there with other content"),
    ("experiments:\n  e:\n    surface: pge\n    variants: [{key: a, weight: 1}, {key: b, weight: 0}]\n    metrics: [{metric: m}]\n",
     "3:5: experiments.e.surface: surface == 'pge', not found in project"),
    ("surfaces: {feed: {surveys: {why-not: {question: Why}}}}\n", "survey == 'why-not', is there with other content and never changes"),
    ("surfaces: {feed: {surveys: {new: {kind: stars}}}}\n", "kind == 'stars', must be 'nps'"),
    ("surfaces: {feed: {surveys: {new: {question: Why}}}}\n", "surfaces.feed.surveys.new.kind: kind == None, must be one of nps"),
    ("surfaces: {feed: {surveys: {new: {kind: nps, question: Why}}}}\n", "survey 'why-not' is on, must be off"),
    ("surfaces: {page: {surveys: {new: {kind: nps, question: Why}}}}\n", "surface 'page' is of the kind flag, must be one of"),
    ("experiments: {e: {name: x}}\n", "surface, variants, metrics are missing, must be stated of a new experiment."),
    ("experiments:\n  z-first:\n    variants: [{key: old, value: 1, weight: 0.5, is_control: true}, {key: new, value: 36893488147419103232, weight: 0.5}]\n",
     "value of variant 'new' == 36893488147419103232, must be from -9223372036854775808 to"),
    ("experiments: {z-first: {condition: {age: {$gt: 36893488147419103232}}}}\n", "condition.age.$gt == 36893488147419103232, must be from"),
    ("subscriptions:\n  new: {kind: webhook, target: '${NOT_SET}'}\n", "NOT_SET is not set in the environment"),
    ("subscriptions: {Ops room: {kind: slack}}\n", "kind == 'slack', must stay 'webhook'"),
    ("x: !!python/object:os.system {}\n", "no YAML: tag"),
    ("layers: [a b]\n", "layers.0: layers == 'a b', must be letters, digits, - and _ alone."),
]  # fmt: skip


def test_a_file_that_breaks_a_rule_is_told_where(furnished):
    before = export(furnished)
    for text, sentence in REFUSED:
        done = apply(furnished, text, "--yes", status=2)
        assert sentence in done.replace("<stdin>:", ""), (text, done)
        assert "nothing was changed." in done
    assert export(furnished) == before


def test_a_small_file_cannot_be_a_large_one(monkeypatch):
    monkeypatch.setattr(read_file, "MAX_NODES", 5000)
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 9)]
    with pytest.raises(FileFaultsError, match="larger or nested deeper"):
        read_config("\n".join(lines))
    with pytest.raises(FileFaultsError, match="nested"):
        read_config("[" * 5000 + "]" * 5000)


def test_the_schema_is_served_and_has_every_column_that_a_draft_has(lane, furnished):
    schema = lane.client.get("/v1/config.schema.json").json()
    assert orjson.loads(run("config", "schema")) == schema
    _, key = ApiKey.make(furnished, "sk", name="secret")
    answer = lane.client.get("/v1/config", headers={"Authorization": f"Bearer {key}"})
    assert answer.json() == yaml.safe_load(export(furnished))
    columns = {one.name for one in Experiment._meta.fields if one.editable}
    known = set(EXPERIMENT_FIELDS) | {"surface", "layer", "slot_low", "slot_high", "owner"}
    # What the platform sets, and what a state is.
    rest = {
        "project", "key", "state", "salt", "enabled", "sticky_since", "blocked_before",
        "learnings", "archived_at", "created_at", "started_at", "ended_at", "latency_before",
    }  # fmt: skip
    assert columns - known <= rest | {"id"}
    assert schema["$schema"].endswith("2020-12/schema")
