"""A new experiment begins from a template or as a copy of another, and stores nothing until it is saved."""

from __future__ import annotations

import pytest
from django.urls import reverse

from bakeoff.accounts.models import AuditEntry
from bakeoff.dashboard.experiment_starts import TEMPLATES
from experiments.models import Experiment, ExperimentMetric, Metric
from tests.support import builders
from tests.support.browser import Visit
from tests.support.dashboard import make_user, report_path, sign_in
from tests.support.form_reader import read_form
from tests.support.html import elements, has

UNSEEN = (
    "forced_units",
    "ramp",
    "prerequisites",
    "condition",
    "segments",
    "allocation",
    "breaker_alpha",
)


def new_page(shop, query=""):
    return reverse("experiments-new", args=[shop.project.slug]) + query


@pytest.fixture
def source(shop):
    """A draft with what the form does not show."""
    guard = Metric.objects.create(project=shop.project, key="hides", kind="mean", event="hide")
    other = builders.define_experiment(builders.draft(shop, shop.surface, key="other"))
    drafted = builders.draft(
        shop, shop.surface, key="first", name="First", hypothesis="Better.",
        forced_units={"me": "treatment"}, allocation=0.2, condition={"country": {"$regex": "^D"}},
        ramp=[{"after_seconds": 60.0, "allocation": 0.5}], segments=["country"],
        prerequisites=[{"experiment": other.key, "variants": ["control"]}], weights=(0.3, 0.7),
        policy={"alpha": 0.01, "planned_units": 5000},
    )  # fmt: skip
    experiment = builders.define_experiment(drafted)
    ExperimentMetric.objects.create(
        experiment=experiment, metric=guard, role="guardrail", margin=0.02, margin_floor=0.001
    )
    return experiment


def test_a_copy_has_the_whole_plan_and_users_of_its_own(shop, source):
    analyst = sign_in(shop.project, role="analyst")
    page = analyst.get(report_path(source)).content.decode()
    address = new_page(shop, f"?copy={source.key}")
    assert has(page, href=address)
    page = analyst.get(address).content.decode()
    assert has(page, data_copy_of="first")
    assert not has(page, id="templates")
    assert Experiment.objects.filter(project=shop.project).count() == 2  # nothing is stored yet
    fields = read_form(page, "definition")
    assert (fields["key"], fields["name"]) == (["first-2"], ["Copy of First"])
    done = analyst.post(address, fields | {"planned_units": "6000"})
    assert done.status_code == 302, done.content.decode()
    copy = Experiment.objects.get(project=shop.project, key="first-2")
    assert [getattr(copy, name) for name in UNSEEN] == [getattr(source, name) for name in UNSEEN]
    assert (copy.state, copy.hypothesis, copy.name) == ("draft", "Better.", "Copy of First")
    assert copy.policy == source.policy | {"planned_units": 6000}
    assert copy.salt != source.salt
    assert "analyst" in copy.owner
    names = ("key", "weight", "is_control", "model_version")
    assert list(copy.variants.values_list(*names)) == list(source.variants.values_list(*names))
    roles = ("metric", "role", "margin", "margin_floor")
    assert set(copy.metrics.values_list(*roles)) == set(source.metrics.values_list(*roles))
    entries = AuditEntry.objects.filter(project=shop.project, subject="first-2")
    assert [one.action for one in entries] == ["define"]


def test_a_copy_under_a_key_that_is_taken_is_refused_at_its_field(shop, source):
    analyst = sign_in(shop.project, role="analyst")
    address = new_page(shop, f"?copy={source.key}")
    fields = read_form(analyst.get(address).content.decode(), "definition")
    refused = analyst.post(address, fields | {"key": "first", "hypothesis": "Typed."})
    again = read_form(refused.content.decode(), "definition")
    assert refused.status_code == 422
    wrong = refused.content.decode().partition('<div class="field wrong">')[2].partition("</div>")[0]
    assert 'name="key"' in wrong
    assert "first" in wrong.partition('<p class="problem"')[2]
    assert (again["key"], again["hypothesis"]) == (["first"], ["Typed."])
    assert Experiment.objects.filter(project=shop.project).count() == 2


def test_a_viewer_gets_no_button_and_no_copy(shop, source):
    viewer = sign_in(shop.project, role="viewer")
    address = new_page(shop, f"?copy={source.key}")
    assert not has(viewer.get(report_path(source)).content.decode(), href=address)
    assert (viewer.get(address).status_code, viewer.post(address, {}).status_code) == (403, 403)
    stranger = builders.make_shop()
    other = builders.define_experiment(builders.draft(stranger, stranger.surface, key="theirs"))
    analyst = sign_in(shop.project, role="analyst")
    assert analyst.get(new_page(shop, f"?copy={other.key}")).status_code == 404
    Experiment.objects.filter(pk=source.pk).update(purpose="holdback")
    assert analyst.get(address).status_code == 404


@pytest.fixture
def stocked(shop):
    """A shop with a challenger, a flag, and an experiment whose metrics are suggested."""
    guard = Metric.objects.create(project=shop.project, key="hides", kind="mean", event="hide")
    shop.project.surfaces.create(key="button", kind="flag")
    started = shop.run_experiment(promote=False)
    ExperimentMetric.objects.create(experiment=started, metric=guard, role="guardrail")
    return shop


@pytest.mark.parametrize("template", [one.key for one in TEMPLATES])
def test_a_template_fills_in_a_form_that_can_be_saved(stocked, template):
    analyst = sign_in(stocked.project, role="analyst")
    page = analyst.get(new_page(stocked)).content.decode()
    assert has(page, data_template=template, href=f"?template={template}")
    address = new_page(stocked, f"?template={template}")
    fields = read_form(analyst.get(address).content.decode(), "definition")
    done = analyst.post(address, fields | {"key": "begun"})
    assert done.status_code == 302, done.content.decode()
    draft = Experiment.objects.get(project=stocked.project, key="begun")
    fields_of = {
        "two-models": ("split", "group_sequential", 1.0, 2, True),
        "interleaving": ("interleave", "always_valid", 1.0, 2, False),
        "bandit": ("bandit", "always_valid", 1.0, 3, True),
        "gradual": ("split", "always_valid", 0.05, 2, False),
    }
    policy = draft.parsed_policy
    stored = (draft.mode, policy.rule, draft.allocation, draft.variants.count(), policy.promote)
    assert stored == fields_of[template]
    guardrails = draft.metrics.filter(role="guardrail").count()
    assert guardrails == (1 if template in {"two-models", "gradual"} else 0)


def test_a_template_without_a_surface_and_one_that_there_is_not_fill_in_what_they_can(shop):
    analyst = sign_in(shop.project, role="analyst")
    fields = read_form(analyst.get(new_page(shop, "?template=bandit")).content.decode(), "definition")
    assert (fields["mode"], fields["variants-2-key"]) == (["bandit"], ["text-3"])
    assert "surface" not in fields or fields["surface"] == [""]
    unknown = analyst.get(new_page(shop, "?template=nothing&planned_units=77"))
    assert read_form(unknown.content.decode(), "definition")["planned_units"] == ["77"]


def test_a_chinese_reader_reads_what_templates_are_for(shop):
    analyst = sign_in(shop.project, role="analyst")
    page = analyst.get(new_page(shop), headers={"accept-language": "zh-hans"}).content.decode()
    links = [one for one in elements(page, tag="a") if "data-template" in one]
    assert len(links) == len(TEMPLATES)
    assert "从模板开始" in page
    assert "Gradual release" not in page


def test_a_person_clones_on_a_phone(chromium, lane, shop, source):
    size = {"width": 390, "height": 844}
    seen = Visit(chromium, lane, make_user(shop.project, role="analyst"), viewport=size)
    page = seen.page
    page.goto(report_path(source))
    page.get_by_role("link", name="Clone as a draft").click()
    assert page.get_by_label("Key", exact=True).input_value() == "first-2"
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    page.get_by_role("button", name="Save draft").click()
    page.locator('[data-experiment="first-2"][data-state="draft"]').wait_for()
    assert seen.errors == []
    seen.close()
