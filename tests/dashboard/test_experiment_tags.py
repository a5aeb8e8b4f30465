"""Tags of experiments: on pages, over the API, in every state."""

from __future__ import annotations

import pytest

from bakeoff.accounts.models import AuditEntry
from experiments.actions.define_experiment import CannotDefineError, define_experiment
from experiments.actions.edit_draft import draft_of, fingerprint_of
from experiments.actions.rename_experiment import rename_experiment
from experiments.models import Experiment
from tests.support import builders
from tests.support.dashboard import report_path, sign_in
from tests.support.form_reader import read_form
from tests.support.html import elements, has


@pytest.fixture
def tagged(shop):
    return define_experiment(builders.draft(shop, shop.surface, key="first", tags=["spring", "home"]))


def listed(client, shop, query):
    page = client.get(f"/p/{shop.project.slug}/experiments/{query}").content.decode()
    return [one["data-experiment"] for one in elements(page, tag="tr") if "data-experiment" in one]


def test_a_list_is_narrowed_by_a_tag(shop, tagged):
    define_experiment(builders.draft(shop, shop.surface, key="second", tags=["summer"]))
    client = sign_in(shop.project)
    assert sorted(listed(client, shop, "")) == ["first", "second"]
    assert listed(client, shop, "?tag=spring") == ["first"]
    assert listed(client, shop, "?tag=spr") == []
    assert listed(client, shop, "?q=summer") == ["second"]
    assert listed(client, shop, "?q=[") == []
    assert listed(client, shop, "?tag=%00") == listed(client, shop, "")
    page = client.get(report_path(tagged)).content.decode()
    assert has(page, href=f"/p/{shop.project.slug}/experiments/?tag=spring")


def test_a_draft_is_tagged_in_its_form(shop, tagged):
    client = sign_in(shop.project, role="analyst")
    fields = read_form(client.get(report_path(tagged, "edit/")).content.decode(), "definition")
    assert fields["tags"] == ["spring, home"]
    long = client.post(report_path(tagged, "edit/"), fields | {"tags": "x" * 41})
    assert long.status_code == 422
    assert "A tag has at most 40 characters." in long.content.decode()
    assert client.post(report_path(tagged, "edit/"), fields | {"tags": "a，b, a"}).status_code == 302
    tagged.refresh_from_db()
    assert tagged.tags == ["a", "b"]


def test_what_runs_is_tagged_on_its_report_and_a_viewer_is_refused(shop):
    experiment = shop.run_experiment(promote=False)
    address = report_path(experiment, "act/tag/")
    assert sign_in(shop.project).post(address, {"tags": "a"}).status_code == 403
    client = sign_in(shop.project, role="analyst")
    wrong = client.post(address, {"tags": ",".join(f"t{n}" for n in range(11))})
    page = wrong.content.decode()
    assert wrong.status_code == 409
    assert "At most 10 tags." in page
    assert 'value="t0,t1' in page  # what was typed stays
    assert client.post(address, {"tags": "a, b"}).status_code == 302
    experiment.refresh_from_db()
    assert experiment.tags == ["a", "b"]
    assert 'value="a, b"' in client.get(address).content.decode()
    entry = AuditEntry.objects.get(project=shop.project, action="edit", subject=experiment.key)
    assert entry.detail == {"changed": {"tags": [[], ["a", "b"]]}}


def test_a_program_reads_writes_and_lists_by_them(lane, shop, tagged):
    headers = {"Authorization": f"Bearer {shop.secret}"}

    def patch(**fields):
        return lane.client.patch("/v1/experiments/first", json=fields, headers=headers)

    assert patch(tags=["new"]).json()["tags"] == ["new"]
    for tags in (["a", "a"], ["a,b"], [" a"], ["x" * 41], [f"t{n}" for n in range(11)]):
        refused = patch(tags=tags)
        assert refused.status_code in {400, 422}, refused.text
        assert refused.json()["error"]["field"].startswith("tags")
    keys = lane.client.get("/v1/experiments?tag=new", headers=headers).json()
    assert [one["key"] for one in keys] == ["first"]
    assert lane.client.get("/v1/experiments?tag=old", headers=headers).json() == []
    Experiment.objects.filter(pk=tagged.pk).update(state="ended")
    assert patch(tags=["late"], name="Late").json()["tags"] == ["late"]
    assert patch(tags=["x"], sticky=True).status_code == 409


def test_tags_change_no_fingerprint_of_a_draft_without_them(shop, tagged):
    with_tags = fingerprint_of(draft_of(tagged))
    rename_experiment(experiment=tagged, tags=[], by="a test")
    tagged.refresh_from_db()
    assert fingerprint_of(draft_of(tagged)) != with_tags
    with pytest.raises(CannotDefineError, match="must be different texts"):
        rename_experiment(experiment=tagged, tags=["a", "a"], by="a test")
