"""Labelled examples by HTTP: listed, deleted one by one or by what they have in common."""

from __future__ import annotations

import pytest

from bakeoff.accounts.models import AuditEntry
from experiments.models import LabelTask
from inference.actions.load_examples import load_examples
from inference.models import Example, Surface
from tests.support import builders
from tests.support.learning import make_examples

PATH = "/surfaces/desk/examples"


@pytest.fixture
def call(lane, shop):
    def call(method, path, key=None, **query):
        headers = {"Authorization": f"Bearer {key or shop.secret}"}
        return lane.client.request(method, f"/v1{path}", params=query, headers=headers)

    return call


@pytest.fixture
def desk(shop):
    desk = Surface.objects.create(project=shop.project, key="desk", kind="classify")
    load_examples(surface_id=desk.pk, examples=make_examples())
    return desk


def ids_of(desk) -> set[str]:
    return set(Example.objects.filter(surface=desk).values_list("example_id", flat=True))


def test_one_is_deleted_by_its_id_with_its_task(shop, call, desk):
    listed = call("GET", PATH, limit=2).json()
    assert len(listed) == 2
    assert set(listed[0]) == {"example_id", "label", "text", "features", "labelled_at"}
    one = listed[0]["example_id"]
    LabelTask.objects.create(project=shop.project, surface=desk, source_id=f"example:{one}")
    before = ids_of(desk)
    answer = call("DELETE", f"{PATH}/{one}")
    assert (answer.status_code, answer.text) == (204, "")
    assert ids_of(desk) == before - {one}
    assert not LabelTask.objects.filter(surface=desk).exists()
    assert call("DELETE", f"{PATH}/{one}").status_code == 404
    (entry,) = AuditEntry.objects.filter(project=shop.project, action="delete examples")
    assert (entry.subject, entry.detail) == ("desk", {"examples": 1})


def test_some_are_deleted_by_what_they_have_in_common(call, desk):
    some = sorted(ids_of(desk))[:3]
    answer = call("DELETE", PATH, id=[*some, "nowhere"])
    assert (answer.status_code, answer.json()) == (200, {"deleted": 3})
    Example.objects.filter(surface=desk, example_id=min(ids_of(desk))).update(text=" ")
    assert call("DELETE", PATH, without_text="true").json() == {"deleted": 1}
    assert call("DELETE", PATH, since="2999-01-01T00:00:00Z").json() == {"deleted": 0}
    left = len(ids_of(desk))
    assert call("DELETE", PATH, since="2020-01-01T00:00:00+01:00").json() == {"deleted": left}
    assert call("DELETE", PATH, every="true").json() == {"deleted": 0}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "Exactly one of id, since, without_text and every must be set."),
        ({"id": "a", "every": "true"}, "Exactly one of id"),
        ({"every": "false"}, "Exactly one of id"),
        ({"since": "2020-01-01T00:00:00"}, "since: "),
        (
            {"every": "true", "sinse": "2020-01-01"},
            "sinse: unknown parameter, must be one of id, since",
        ),
        ({"id": "x" * 300}, "id"),
    ],
)
def test_what_is_not_said_plainly_deletes_nothing(call, desk, query, words):
    before = ids_of(desk)
    answer = call("DELETE", PATH, **query)
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["error"]["message"]
    assert ids_of(desk) == before


def test_examples_of_others_are_not_found(call, desk):
    other = builders.make_shop()
    assert call("GET", PATH, other.secret).status_code == 404
    assert call("DELETE", PATH, other.secret, every="true").status_code == 404
    assert ids_of(desk)
