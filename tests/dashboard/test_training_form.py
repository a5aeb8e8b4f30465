"""Start a training run with its parameters: a field for each, refused at the field, queued when right."""

from __future__ import annotations

import pytest
from django.urls import reverse

from bakeoff.accounts.keys import SECRET
from bakeoff.accounts.models import ApiKey
from bakeoff.dashboard.training_form import PREFIX
from inference.algorithms import params_of, startable
from inference.models import ModelVersion, Surface, TrainingRun
from inference.options import specs_of
from tests.support import builders
from tests.support.dashboard import sign_in
from tests.support.html import has


@pytest.fixture
def client(learner):
    return sign_in(learner.project, role="operator")


def address_of(surface, algorithm=""):
    path = reverse("surface-train-params", args=[surface.project.slug, surface.key])
    return f"{path}?algorithm={algorithm}" if algorithm else path


def defaults_of(algorithm):
    """What a browser sends of a form that nobody changed."""
    fields = {"algorithm": algorithm}
    for spec in specs_of(params_of("recommend", algorithm)):
        if spec.type is not bool:
            fields[PREFIX + spec.name] = "" if spec.type is list else str(spec.default)
        elif spec.default:
            fields[PREFIX + spec.name] = "on"
    return fields


def test_each_parameter_has_a_field_at_its_default(learner, client):
    page = client.get(address_of(learner, "two-tower")).content.decode()
    for spec in specs_of(params_of("recommend", "two-tower")):
        assert f'name="{PREFIX}{spec.name}"' in page
    assert 'name="param-width" value="64" min="1" max="4096"' in page
    assert "1 to 4,096. Default: 64." in page
    assert "Above 0, at most 1. Default: 0.005." in page
    for name in startable("recommend"):
        assert client.get(address_of(learner, name)).status_code == 200, name
    assert client.get(address_of(learner, "oracle")).status_code == 404


def test_only_what_differs_is_queued(learner, client):
    fields = defaults_of("two-tower") | {"param-width": "32", "param-rate": "0.01"}
    del fields["param-context"]  # a box that is not ticked
    answer = client.post(address_of(learner), fields)
    run = learner.training_runs.get()
    assert (answer.status_code, answer["Location"]) == (302, reverse("run", args=[run.pk]))
    assert (run.algorithm, run.state) == ("two-tower", TrainingRun.State.QUEUED)
    assert run.params == {"width": 32, "rate": 0.01, "context": False}
    assert run.trigger.startswith("operator-")


def test_defaults_are_no_parameters(learner, client):
    assert client.post(address_of(learner), defaults_of("als")).status_code == 302
    assert learner.training_runs.get().params == {}


@pytest.mark.parametrize(
    ("algorithm", "field", "value", "message"),
    [
        ("two-tower", "param-width", "0", "greater than or equal to 1"),
        ("two-tower", "param-width", "wide", "Enter a whole number"),
        ("two-tower", "param-rate", "0", "Must be above 0"),
        ("two-tower", "param-dropout", "0.99", "less than or equal to 0.95"),
        ("pretrain", "param-method", "some", "Select a valid choice"),
        ("auto", "param-algorithms", "als, oracle", "must be among"),
        ("blend", "param-parts", "{}", "Must be a JSON list"),
    ],
)
def test_a_wrong_value_is_refused_at_its_field(learner, client, algorithm, field, value, message):
    fields = defaults_of(algorithm) | {field: value}
    answer = client.post(address_of(learner), fields)
    page = answer.content.decode()
    assert answer.status_code == 422
    place = page.index(f'name="{field}"')
    assert (
        message
        in page[place : page.index('class="field', place) if 'class="field' in page[place:] else None]
    )
    assert not learner.training_runs.exists()


def test_what_does_not_go_together_is_refused_over_the_form(learner, client):
    fields = defaults_of("sasrec") | {"param-width": "9"}
    answer = client.post(address_of(learner), fields)
    assert answer.status_code == 422
    assert "must divide the width" in answer.content.decode()
    assert not learner.training_runs.exists()


def test_the_schedules_parameters_are_what_it_begins_with(learner, client):
    Surface.objects.filter(pk=learner.pk).update(
        retrain_algorithm="als", retrain_params={"factors": 8, "l2": 3.0}
    )
    page = client.get(address_of(learner)).content.decode()
    assert has(page, data_algorithm="als")
    assert 'name="param-factors" value="8"' in page
    assert 'name="param-l2" value="3.0"' in page


def test_an_encoder_may_be_chosen_where_texts_are_read(learner, client):
    builders.make_version(learner, [1] * 10, algorithm="pretrain")
    version = ModelVersion.objects.get(surface=learner, algorithm="pretrain")
    name = f"{learner.key}/{version.label}"
    assert f'value="{name}"' in client.get(address_of(learner, "two-tower")).content.decode()
    assert 'name="encoder"' not in client.get(address_of(learner, "popularity")).content.decode()


def test_viewers_and_strangers_train_nothing(learner):
    viewer = sign_in(learner.project)
    assert viewer.get(address_of(learner)).status_code == 403
    assert viewer.post(address_of(learner), defaults_of("als")).status_code == 403
    stranger = sign_in(builders.make_project(), role="operator")
    assert stranger.post(address_of(learner), defaults_of("als")).status_code == 404
    assert not learner.training_runs.exists()


def test_the_surface_page_leads_there(learner, client):
    page = client.get(reverse("surface", args=[learner.project.slug, learner.key])).content.decode()
    assert address_of(learner) in page


def test_the_api_says_what_each_parameter_may_be(learner, lane):
    key = ApiKey.make(learner.project, SECRET, name="a test")[1]
    lane.refresh()
    headers = {"Authorization": f"Bearer {key}"}
    path = f"/v1/surfaces/{learner.key}"
    rows = lane.client.get(f"{path}/algorithms", headers=headers).json()
    ease = next(one for one in rows if one["name"] == "ease")
    assert ease["params"][0] == {
        "name": "l2", "type": "float", "default": 200.0, "min": None, "above": 0.0, "max": 1e9,
        "choices": [],
    }  # fmt: skip
    assert next(one for one in rows if one["name"] == "frozen-text")["params"] == []
    body = {"algorithm": "ease", "params": {"l2": 0}}
    refused = lane.client.post(f"{path}/training-runs", json=body, headers=headers)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["field"]) == (422, "cannot_train", "params")
    assert error["message"] == "parameter l2 == 0, must be above 0 and at most 1,000,000,000."
    assert lane.client.get("/v1/surfaces/nowhere/algorithms", headers=headers).status_code == 404
