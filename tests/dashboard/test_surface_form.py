"""The forms of surfaces: the fields of a kind, tables and lists in place of JSON, refusals at their cells."""

from __future__ import annotations

import pytest

from bakeoff.accounts.models import AuditEntry
from inference.models import Surface
from tests.support import builders
from tests.support.browser import Visit
from tests.support.dashboard import make_user, sign_in
from tests.support.dashboard_pages import PHONE
from tests.support.form_reader import read_form
from tests.support.html import has

OF_KINDS = {
    "recommend": {
        "Static list",
        "Positive signals",
        "Event weights",
        "Context features",
        "Exploration",
    },
    "classify": {"Labels", "Costs of mistakes", "Cost of asking a person", "Groups to compare"},
    "flag": set(),
    "generate": {"Public keys may ask", "Budgets", "Blocked terms", "Texts that are stored"},
    "rank": {"Share of the default action", "Wait for a reward (s)", "Lowest reward"},
}


@pytest.fixture
def operator(shop):
    return sign_in(shop.project, role="operator")


@pytest.fixture
def mail(shop):
    """A surface that labels, with labels and one cost."""
    return Surface.objects.create(
        project=shop.project, key="mail", kind="classify", labels=["ham", "spam", "vip"],
        costs={"vip": {"spam": 50}},
    )  # fmt: skip


def form_of(client, surface) -> tuple[str, dict[str, list[str]]]:
    address = f"/p/{surface.project.slug}/surfaces/{surface.key}/edit/"
    return address, read_form(client.get(address).content.decode(), "settings")


def change(client, surface, **fields):
    address, sent = form_of(client, surface)
    names = {name.replace("__", "."): value for name, value in fields.items()}
    answer = client.post(address, sent | names)
    surface.refresh_from_db()
    return answer


def problems(answer) -> str:
    assert answer.status_code == 422
    return answer.content.decode()


def shown_labels(page, every):
    return {
        one
        for one in every
        if page.get_by_label(one, exact=True).first.is_visible()
        or page.get_by_role("group", name=one, exact=True).first.is_visible()
    }


@pytest.mark.parametrize("script", [True, False])
def test_a_new_surface_shows_the_fields_of_its_kind(chromium, lane, shop, script):
    person = make_user(shop.project, role="operator")
    seen = Visit(chromium, lane, person, viewport=PHONE, java_script_enabled=script)
    page = seen.page
    page.goto(f"/p/{shop.project.slug}/surfaces/")
    every = set().union(*OF_KINDS.values())
    for kind, expected in OF_KINDS.items():
        page.get_by_label("Kind").select_option(kind)
        assert shown_labels(page, every) == expected, kind
        assert page.get_by_label("Algorithm on schedule").is_visible() == (kind != "flag")
    assert seen.errors == []
    seen.close()


def test_a_person_writes_labels_and_costs_without_json(chromium, lane, shop, mail):
    seen = Visit(chromium, lane, make_user(shop.project, role="operator"))
    page = seen.page
    page.goto(f"/p/{shop.project.slug}/surfaces/mail/edit/")
    assert page.get_by_label("Static list").count() == 0
    assert page.get_by_label("vip, spam").input_value() == "50"
    page.get_by_label("ham, spam").fill("4.5")
    page.get_by_label("spam, ham").fill("much")
    page.get_by_label("Labels").fill("ham\nspam\nvip\nnews\n")
    page.get_by_role("button", name="Save").click()
    assert "“ham” in place of “spam”: “much” must be a number" in page.get_by_role("alert").inner_text()
    # What was typed is still there, in every cell.
    assert page.get_by_label("spam, ham").input_value() == "much"
    assert page.get_by_label("ham, spam").input_value() == "4.5"
    page.get_by_label("spam, ham").fill("2")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/surfaces/mail/")
    mail.refresh_from_db()
    assert mail.labels == ["ham", "spam", "vip", "news"]
    assert mail.costs == {"ham": {"spam": 4.5}, "spam": {"ham": 2}, "vip": {"spam": 50}}
    page.goto(f"/p/{shop.project.slug}/surfaces/mail/edit/")
    assert page.get_by_label("news, ham").input_value() == ""  # the new label has its row
    assert [error for error in seen.errors if "422" not in error] == []
    seen.close()


@pytest.mark.parametrize("kind", list(OF_KINDS))
def test_saving_a_form_untouched_changes_nothing(shop, operator, kind):
    stated = {
        "recommend": {
            "static_list": ["b", "a"], "liked_events": ["click", "order"], "context_features": ["hour"],
            "event_weights": {"click": 1 / 3, "order": {"per_value": 0.1}},
        },
        "classify": {"labels": ["ham", "spam"], "costs": {"ham": {"spam": 2 / 3}}, "slices": ["country"]},
        "generate": {
            "generate": {
                "public": True, "store": "redacted", "cache": {"seconds": 60},
                "budgets": {"unit": {"tokens": 1000}, "address": {"tokens": 5000, "money": 2.5}},
                "prices": {"openai": {"m": {"input": 1, "output": 2}}},
                "guardrails": {"blocked_terms": [" gun "], "redact": ["in"]},
            }
        },
        "rank": {"rank": {"explore": 0.2, "wait_seconds": 60}},
        "flag": {},
    }[kind]  # fmt: skip
    surface = Surface.objects.create(project=shop.project, key="stated", kind=kind, **stated)
    before = Surface.objects.filter(pk=surface.pk).values().get()
    assert change(operator, surface).status_code == 302
    assert Surface.objects.filter(pk=surface.pk).values().get() == before
    assert not AuditEntry.objects.filter(project=shop.project, action="change surface").exists()


def test_single_costs_are_listed_where_labels_are_many_or_unknown(shop, operator):
    labels = [f"l{number}" for number in range(20)]
    many = Surface.objects.create(
        project=shop.project, key="many", kind="classify", labels=labels, costs={"l1": {"l2": 7}}
    )
    _, sent = form_of(operator, many)
    assert [sent[f"costs-0-{place}"] for place in range(3)] == [["l1"], ["l2"], ["7"]]
    row = {"costs-1-0": "l3", "costs-1-1": "l4", "costs-1-2": "0.5"}
    assert change(operator, many, **row).status_code == 302
    assert many.costs == {"l1": {"l2": 7}, "l3": {"l4": 0.5}}
    page = problems(change(operator, many, **{"costs-2-0": "l5"}))
    assert "Row 3 needs both labels and a cost." in page
    assert has(page, name="costs-2-0", value="l5")
    page = problems(change(operator, many, **{"costs-1-1": "l99"}))
    assert has(page, name="costs-1-1", value="l99")
    assert "label &#x27;l99&#x27; is unknown" in page or "“l99”" in page


def test_weights_of_signals_are_a_table(shop, operator):
    surface = shop.surface
    liked = {"liked_events": "click\norder"}
    rows = {
        "event_weights-0-0": "order", "event_weights-0-1": "0.1", "event_weights-0-2": "per_value",
        "event_weights-1-0": "click", "event_weights-1-1": "2",
    }  # fmt: skip
    assert change(operator, surface, **liked, **rows).status_code == 302
    assert surface.liked_events == ["click", "order"]
    assert surface.event_weights == {"order": {"per_value": 0.1}, "click": 2}
    page = problems(change(operator, surface, **{"event_weights-0-1": "none"}))
    assert "“click”: “none” must be a number above 0." in page
    page = problems(change(operator, surface, **{"event_weights-0-0": "clikc"}))
    assert has(page, name="event_weights-0-0", value="clikc")
    assert surface.event_weights == {"order": {"per_value": 0.1}, "click": 2}


def test_settings_of_generation_have_fields(shop, operator):
    surface = Surface.objects.create(project=shop.project, key="support", kind="generate")
    page = problems(change(operator, surface, generate__public="on"))
    assert "budgets" in page
    assert has(page, name="generate.public", checked="")
    budgets = {"generate.budgets-0-0": "1000", "generate.budgets-1-1": "2.5"}
    done = change(
        operator, surface, generate__public="on", generate__cache__seconds="60",
        generate__guardrails__blocked_terms="gun\nbomb", generate__guardrails__redact=["in", "out"],
        **budgets,
    )  # fmt: skip
    assert done.status_code == 302
    assert surface.generate == {
        "public": True,
        "budgets": {"unit": {"tokens": 1000}, "address": {"money": 2.5}},
        "cache": {"seconds": 60},
        "guardrails": {"blocked_terms": ["gun", "bomb"], "redact": ["in", "out"]},
    }
    page = problems(change(operator, surface, **{"generate.budgets-0-0": "lots"}))
    assert "“lots” must be a number of at least 0." in page
    page = problems(change(operator, surface, generate__prices='{"openai": '))
    assert "Not JSON at line 1" in page
    assert change(operator, surface, generate__store="none").status_code == 422  # a cache stores


def test_settings_of_a_choice_have_fields(shop, operator):
    surface = Surface.objects.create(project=shop.project, key="offers", kind="rank")
    assert change(operator, surface, rank__explore="0.3", rank__max_reward="5").status_code == 302
    assert surface.rank == {"explore": 0.3, "max_reward": 5}
    page = problems(change(operator, surface, rank__explore="0.95"))
    assert has(page, name="rank.explore", value="0.95")
    page = problems(change(operator, surface, rank__control_share="0.01"))
    assert "greater than or equal to 0.05" in page
    assert change(operator, surface, rank__explore="0.1", rank__max_reward="1").status_code == 302
    assert surface.rank == {}


def test_parameters_on_schedule_have_fields(shop, operator):
    surface = shop.surface
    assert change(operator, surface, retrain_algorithm="two-tower").status_code == 302
    _, sent = form_of(operator, surface)
    assert "param-epochs" in sent
    page = problems(change(operator, surface, **{"param-epochs": "-1"}))
    assert has(page, name="param-epochs", value="-1")
    assert change(operator, surface, **{"param-epochs": "7"}).status_code == 302
    assert surface.retrain_params == {"epochs": 7}
    # Another algorithm has parameters of its own.
    assert change(operator, surface, retrain_algorithm="popularity").status_code == 302
    assert surface.retrain_params == {}


def test_an_untouched_form_keeps_the_schedule_of_a_package_that_is_absent(shop, operator):
    surface = shop.surface
    Surface.objects.filter(pk=surface.pk).update(retrain_algorithm="gone", retrain_params={"rate": 1})
    assert change(operator, surface).status_code == 302
    assert (surface.retrain_algorithm, surface.retrain_params) == ("gone", {"rate": 1})


def test_parameters_that_were_not_changed_stay_as_they_are_stored(shop, operator):
    surface = shop.surface
    builders.make_version(surface, [1] * 10, algorithm="pretrain")
    stored = {"width": 64, "encoder": "home/rejected@1"}  # a default, and what cannot be chosen now
    Surface.objects.filter(pk=surface.pk).update(retrain_algorithm="two-tower", retrain_params=stored)
    assert change(operator, surface).status_code == 302
    assert surface.retrain_params == stored
    assert change(operator, surface, **{"param-epochs": "7"}).status_code == 302
    assert surface.retrain_params == stored | {"epochs": 7}
    assert change(operator, surface, encoder="").status_code == 302
    assert surface.retrain_params == {"width": 64, "epochs": 7}


def test_costs_of_every_pair_of_20_labels_can_be_saved(shop, operator):
    labels = [f"l{number}" for number in range(20)]
    costs = {truth: {answer: 2 for answer in labels if answer != truth} for truth in labels}
    many = Surface.objects.create(
        project=shop.project, key="many", kind="classify", labels=labels, costs=costs
    )
    assert change(operator, many, **{"costs-0-2": "5"}).status_code == 302
    assert many.costs == costs | {"l0": costs["l0"] | {"l1": 5}}


def test_what_is_wrong_in_fields_of_another_kind_is_not_in_the_way(shop, operator):
    body = {
        "key": "beta", "kind": "flag", "list": "trending", "exploration": "-5", "rank.explore": "x",
        "retrain_every_seconds": "never", "generate.cache.seconds": "-1", "labels": "a\nb",
    }  # fmt: skip
    answer = operator.post(f"/p/{shop.project.slug}/surfaces/", body)
    assert answer.status_code == 302
    created = Surface.objects.get(project=shop.project, key="beta")
    assert (created.kind, created.labels, created.exploration) == ("flag", [], 0)
