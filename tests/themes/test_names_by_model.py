"""Themes named by a model: what it is asked, what is a name, what it may cost, and what is said of it."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from experiments.actions.add_prompt import add_prompt
from experiments.actions.change_surface import (
    CannotChangeSurfaceError,
    create_surface,
    patch_surface,
)
from experiments.actions.erase_unit import erase_unit
from experiments.actions.name_themes import name_themes, read_name
from experiments.actions.read_themes import read_themes
from experiments.models import Feedback, Theme
from experiments.reports.theme_report import report_themes
from experiments.tasks import embed_theme_names, read_new_themes
from inference.models import ModelVersion, Surface
from tests.support import builders
from tests.support.commands import run
from tests.support.dashboard import sign_in
from tests.support.html import has
from tests.support.provider import refuses, says

TOPICS = {
    "delivery": "The parcel of my delivery number {} came late",
    "refund": "My refund for order {} was never paid",
}
VARIABLES = {name: {"max_length": 4000} for name in ("quotes", "words")}
PROMPT = {
    "provider": "test", "model": "namer", "total_seconds": 5, "first_token_seconds": 5,
    "messages": [{"role": "user", "content": "Words: {{ words }}\nQuotes:\n{{ quotes }}\nName it."}],
    "variables": VARIABLES,
}  # fmt: skip


def write_texts(shop, *, count: int = 30):
    slates, rows = builders.Rows(), builders.Rows()
    for topic, text in TOPICS.items():
        for n in range(count):
            unit = f"{topic}{n}"
            slate = builders.slate(shop, unit)
            slates.slates.append(slate)
            rows.feedback.append(
                builders.feedback(
                    shop, slate.recommendation_id, unit_id=unit, kind="text", value=None,
                    text=text.format(n),
                )
            )  # fmt: skip
    builders.write(slates)
    builders.write(rows)


@pytest.fixture
def namer(shop, provider, tiny_bert):
    """A shop with texts on two topics, and a surface that generates names."""
    write_texts(shop)
    surface = create_surface(
        project=shop.project, key="namer", values={"kind": "generate"}, by="a test"
    )
    add_prompt(surface=surface, data=PROMPT, by="a test")
    patch_surface(surface=shop.surface, changes={"theme_namer": "namer"}, by="a test")
    shop.surface.refresh_from_db()
    provider.by_model["namer"] = says('"Late parcels"\nBecause they write so.')
    return surface


def read_and_name(shop):
    count = read_themes(surface=shop.surface)
    name_themes(surface=shop.surface)
    return count


def themes(shop):
    return Theme.objects.filter(surface=shop.surface).current()


def test_a_reading_names_each_theme_once_and_says_who_wrote_it(shop, namer, provider):
    count = read_and_name(shop)
    assert count >= 2
    assert {theme.title for theme in themes(shop)} == {"Late parcels"}
    version = namer.versions.champions().get()
    contents = [body["messages"][0]["content"] for body in provider.requests]
    assert len(contents) == count
    quoted = set(Feedback.objects.filter(project=shop.project).values_list("text", flat=True))
    for content in contents:
        lines = [line[2:] for line in content.splitlines() if line.startswith("- ")]
        assert 1 <= len(lines) <= 3
        assert set(lines) <= quoted
    # Known already: it is not paid for twice.
    read_and_name(shop)
    assert len(provider.requests) == count
    page = sign_in(shop.project, role="viewer").get(
        reverse("feedback-themes", args=[shop.project.slug])
    )
    shown = page.content.decode()
    assert "<h3>Late parcels</h3>" in shown
    assert has(shown, data_named_by="")
    assert f"Named by namer {version.label}, a model" in shown
    rows = Client().get(
        f"/v1/surfaces/{shop.surface.key}/themes", headers={"authorization": f"Bearer {shop.secret}"}
    ).json()["themes"]  # fmt: skip
    assert {(one["title"], one["named_by"]) for one in rows} == {
        ("Late parcels", f"namer {version.label}")
    }
    listed = run("feedback", "themes", shop.surface.key, "--project", shop.project.slug)
    assert "Late parcels" in listed


def test_another_version_names_them_anew_and_none_leaves_words(shop, namer, provider):
    read_and_name(shop)
    second = ModelVersion.objects.create(
        surface=namer, algorithm="prompt", number=2,
        artifact_sha256=namer.versions.champions().get().artifact_sha256,
    )  # fmt: skip
    namer.versions.champions().update(alias="retired")
    ModelVersion.objects.filter(pk=second.pk).update(alias="champion")
    provider.by_model["namer"] = says("Parcels that come late")
    read_and_name(shop)
    assert {theme.name for theme in themes(shop)} == {"Parcels that come late"}
    assert {theme.named_by for theme in themes(shop)} == {second}
    patch_surface(surface=shop.surface, changes={"theme_namer": ""}, by="a test")
    shop.surface.refresh_from_db()
    read_and_name(shop)
    for theme in themes(shop):
        assert (theme.name, theme.named_by) == ("", None)
        assert theme.title == ", ".join(theme.words[:3])


def test_a_provider_that_fails_leaves_words_and_is_asked_again_later(shop, namer, provider, caplog):
    provider.by_model["namer"] = refuses(500)
    assert read_and_name(shop) >= 2
    assert all(theme.title == theme.title_of_words for theme in themes(shop))
    assert len(provider.requests) == 2  # two tries for the first theme: the others wait
    assert "themes are not named by" in caplog.text
    provider.by_model["namer"] = says("Late parcels")
    read_and_name(shop)
    assert {theme.name for theme in themes(shop)} == {"Late parcels"}


def test_a_budget_that_is_spent_asks_nobody(shop, namer, provider, caplog):
    patch_surface(
        surface=namer, changes={"generate": {"budgets": {"surface": {"tokens": 0}}}}, by="a test"
    )
    read_and_name(shop)
    assert provider.requests == []
    assert "are spent for today" in caplog.text
    assert all(not theme.name for theme in themes(shop))


def test_a_prompt_that_takes_no_quotes_names_nothing(shop, namer, provider, caplog):
    patch_surface(surface=shop.surface, changes={"theme_namer": ""}, by="a test")
    other = create_surface(project=shop.project, key="deaf", values={"kind": "generate"}, by="a test")
    plain = {**PROMPT, "variables": {}, "messages": [{"role": "user", "content": "Name it."}]}
    add_prompt(surface=other, data=plain, by="a test")
    patch_surface(surface=shop.surface, changes={"theme_namer": "deaf"}, by="a test")
    shop.surface.refresh_from_db()
    read_and_name(shop)
    assert provider.requests == []
    assert "variables must have 'quotes'" in caplog.text


def withdrawn(feedback):
    Feedback.objects.filter(pk=feedback.pk).update(withdrawn=True)


def hidden(feedback):
    Feedback.objects.filter(pk=feedback.pk).update(state="hidden")


def erased(feedback):
    erase_unit(project_id=feedback.project_id, unit_id=feedback.unit_id, by="a test")


@pytest.mark.parametrize("lose", [withdrawn, hidden, erased])
def test_a_name_goes_with_what_it_was_made_from(shop, namer, lose):
    read_and_name(shop)
    one, *others = themes(shop)
    assert 1 <= len(one.named_from) <= 3
    lose(Feedback.objects.get(pk=one.named_from[-1]))
    titles = {row.theme.pk: row.theme.title for row in report_themes(shop.surface).rows}
    assert titles[one.pk] == one.title_of_words
    assert {titles[theme.pk] for theme in others} == {"Late parcels"}
    read_new_themes()
    one.refresh_from_db()
    assert (one.name, one.named_by, one.named_from) == ("", None, [])
    assert {theme.name for theme in themes(shop) if theme.pk != one.pk} == {"Late parcels"}
    name_themes(surface=shop.surface)  # from what is left
    one.refresh_from_db()
    assert one.name == "Late parcels"


def test_a_name_whose_sources_nobody_knows_is_made_anew(shop, namer, provider):
    read_and_name(shop)
    Theme.objects.filter(surface=shop.surface).update(named_from=None, name="Before")
    assert "Before" not in {row.theme.title for row in report_themes(shop.surface).rows}
    name_themes(surface=shop.surface)
    assert {theme.name for theme in themes(shop)} == {"Late parcels"}


def test_naming_is_work_of_its_own_that_stops_in_time(shop, namer, provider):
    count = read_themes(surface=shop.surface)
    assert provider.requests == []
    left = name_themes(surface=shop.surface, seconds=0.0)  # one theme a round
    assert (left, len(provider.requests)) == (count - 1, 1)
    embed_theme_names(shop.surface.pk)
    assert len(provider.requests) == count
    assert {theme.name for theme in themes(shop)} == {"Late parcels"}


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ("a@b.co " * 8, ""),  # marks are longer than what they stand for
        ("Late parcels", "Late parcels"),
        ('\n  **"Late parcels"**\nA reason.', "Late parcels"),
        ("送货太慢。", "送货太慢"),
        ("Write to ann@example.com", "Write to [email]"),
        ("", ""),
        (" \n\n", ""),
        ("x" * 61, ""),
        ("Late\x07 parcels", ""),
    ],
)
def test_a_name_is_one_short_line(answer, name):
    assert read_name(answer) == name


def test_a_surface_that_does_not_generate_is_refused(shop):
    other = builders.make_shop()
    Surface.objects.create(project=other.project, key="elsewhere", kind="generate")
    for named in ("nowhere", "elsewhere", shop.surface.key):
        with pytest.raises(
            CannotChangeSurfaceError, match=f"theme_namer == '{named}', must be the key"
        ):
            patch_surface(surface=shop.surface, changes={"theme_namer": named}, by="a test")
    page = reverse("surface-edit", args=[shop.project.slug, shop.surface.key])
    refused = sign_in(shop.project, role="operator").post(
        page, {"theme_namer": "nowhere", "exploration": "0", "retrain_every_seconds": "86400", "shadow_first": "0"},
        headers={"accept-language": "zh-hans"},
    )  # fmt: skip
    assert refused.status_code == 422
    assert "“nowhere”不是本项目中的生成推荐位" in refused.content.decode()


def test_a_file_names_it_in_any_order(shop, tmp_path):
    file = tmp_path / "bakeoff.yaml"
    file.write_text(
        "version: 1\nsurfaces:\n  feed: {kind: recommend, theme_namer: namer}\n"
        "  namer: {kind: generate}\n"
    )
    run("config", "apply", "-f", str(file), "--project", shop.project.slug, "--yes")
    assert Surface.objects.get(project=shop.project, key="feed").theme_namer == "namer"
    again = run("config", "apply", "-f", str(file), "--project", shop.project.slug)
    assert "Nothing to change." in again
