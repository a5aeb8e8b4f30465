"""What users write is labelled by a surface's classifier, and themes show the share of each label."""

from __future__ import annotations

import pytest
from django.urls import reverse

from experiments.actions import label_themed_texts as labelling
from experiments.actions.change_surface import (
    CannotChangeSurfaceError,
    create_surface,
    patch_surface,
)
from experiments.actions.erase_unit import erase_unit
from experiments.actions.label_themed_texts import label_themed_texts
from experiments.actions.read_themes import read_themes
from experiments.models import Theme, ThemedText
from experiments.reports.theme_report import report_themes
from experiments.stats.preference import wilson
from experiments.themes.surface_texts import newest_texts
from inference.actions.label_texts import open_labels
from inference.actions.load_examples import load_examples
from inference.models import ModelVersion, Surface, TrainingRun
from tests.support import builders
from tests.support.commands import run
from tests.support.dashboard import sign_in
from tests.support.fast_lane import test_database_url
from tests.support.learning import WORDS, make_examples, train


@pytest.fixture
def written(shop, tiny_bert, monkeypatch):
    """A shop whose users wrote comments and answers, with a classifier that was trained on such words."""
    monkeypatch.setenv("DATABASE_URL", test_database_url())
    mood = Surface.objects.create(project=shop.project, key="mood", kind="classify")
    load_examples(surface_id=mood.pk, examples=make_examples())
    trained = train(mood, "tfidf")
    assert trained.state == TrainingRun.State.PASSED, trained.message
    ModelVersion.objects.filter(pk=trained.version_id).update(alias="champion")
    shop.version = trained.version
    shop.label, (first, *_) = next(iter(WORDS.items()))
    shop.project.surveys.create(
        surface=shop.surface, key="why", kind="text", question="Why?", enabled=False
    )
    rows = builders.Rows()
    for n in range(12):
        slate = builders.make_slate(shop, f"u{n}")
        words = f"{first} {first} {first}"
        about = (
            {"kind": "text", "text": words}
            if n % 2
            else {"kind": "survey", "text": "why", "answer": words}
        )
        rows.feedback.append(builders.feedback(shop, slate, unit_id=f"u{n}", value=None, **about))
    builders.write(rows)
    return shop


def make_theme(shop):
    """Put what users wrote into one theme, as a reading of more texts would."""
    theme = Theme.objects.create(
        project=shop.project, surface=shop.surface, words=["slow"], space="s", centre=b"", texts=12,
        units=12, first_text_at=builders.now(), growth={"grows": False},
    )  # fmt: skip
    ThemedText.objects.filter(surface=shop.surface).update(theme=theme)
    return theme


def test_the_champion_labels_each_text_once_and_themes_show_the_shares(written):
    shop = written
    read_themes(surface=shop.surface)
    assert set(ThemedText.objects.filter(surface=shop.surface).values_list("label", "labelled_by")) == {
        ("", None)
    }
    patch_surface(surface=shop.surface, changes={"text_classifier": "mood"}, by="a test")
    shop.surface.refresh_from_db()
    read_themes(surface=shop.surface)
    stored = ThemedText.objects.filter(surface=shop.surface)
    assert set(stored.values_list("label", "labelled_by")) == {(shop.label, shop.version.pk)}
    texts = newest_texts(shop.surface)
    assert len(texts) == 12
    assert label_themed_texts(surface=shop.surface, texts=texts) == 0

    make_theme(shop)
    stored.filter(unit_id__in=["u0", "u1", "u2"]).update(label="other")
    row = report_themes(shop.surface).as_json()["themes"][0]
    assert [(one["label"], one["users"], one["share"]) for one in row["labels"]] == [
        (shop.label, 9, 0.75), ("other", 3, 0.25),
    ]  # fmt: skip
    assert row["labels"][0]["interval"] == wilson(0.75, 12)
    address = f"{reverse('feedback-themes', args=[shop.project.slug])}?surface={shop.surface.key}"
    page = sign_in(shop.project, role="viewer").get(address, headers={"accept-language": "zh-hans"})
    shown = page.content.decode()
    assert "data-labels" in shown
    assert "用户占比，由 mood tfidf@1 判断" in shown
    listed = run("feedback", "themes", shop.surface.key, "--project", shop.project.slug, "--json")
    assert '"label": "other"' in listed

    # A label goes with its user, and all of them with the setting.
    erase_unit(project_id=shop.project.pk, unit_id="u0", by="a test")
    assert report_themes(shop.surface).rows[0].labels[1].users == 2
    patch_surface(surface=shop.surface, changes={"text_classifier": ""}, by="a test")
    shop.surface.refresh_from_db()
    assert label_themed_texts(surface=shop.surface, texts=texts) == 0
    assert not stored.exclude(label="").exists()
    assert report_themes(shop.surface).rows[0].labels == ()


def test_only_labels_of_the_present_champion_count(written):
    shop = written
    Surface.objects.filter(pk=shop.surface.pk).update(text_classifier="mood")
    shop.surface.refresh_from_db()
    read_themes(surface=shop.surface)
    make_theme(shop)
    (label,) = report_themes(shop.surface).rows[0].labels
    assert (label.label, label.users) == (shop.label, 12)

    # Half a reading of another model: the labels of both are never added up.
    mood = shop.version.surface
    second = ModelVersion.objects.create(
        surface=mood, algorithm="tfidf", number=2, artifact_sha256=shop.version.artifact_sha256
    )
    mood.versions.champions().update(alias="retired")
    ModelVersion.objects.filter(pk=second.pk).update(alias="champion")
    report = report_themes(shop.surface)
    assert (report.rows[0].labels, report.classifier) == ((), "mood tfidf@2")
    half = ThemedText.objects.filter(surface=shop.surface, unit_id__in=["u0", "u1", "u2"])
    half.update(label="other", labelled_by=second)
    (label,) = report_themes(shop.surface).rows[0].labels
    assert (label.label, label.users, label.share) == ("other", 3, 1.0)

    for named in ("", "quiet"):  # none, and one without a champion
        Surface.objects.get_or_create(project=shop.project, key="quiet", kind="classify")
        patch_surface(surface=shop.surface, changes={"text_classifier": named}, by="a test")
        shop.surface.refresh_from_db()
        report = report_themes(shop.surface)
        assert (report.rows[0].labels, report.classifier) == ((), "")


def test_an_endpoint_labels_no_texts(written, caplog):
    shop = written
    patch_surface(surface=shop.surface, changes={"text_classifier": "mood"}, by="a test")
    shop.surface.refresh_from_db()
    assert read_themes(surface=shop.surface) == 0
    stored = ThemedText.objects.filter(surface=shop.surface)
    assert not stored.filter(label="").exists()
    # It became one since: its labels go, and it is not called.
    ModelVersion.objects.filter(pk=shop.version.pk).update(algorithm="endpoint")
    assert label_themed_texts(surface=shop.surface, texts=newest_texts(shop.surface)) == 0
    assert not stored.exclude(label="").exists()
    assert (
        "texts of surface home-feed are not labelled: the champion of mood is an endpoint"
        in caplog.text
    )
    # The surface can be edited still, and names it no second time.
    patch_surface(surface=shop.surface, changes={"exploration": 0.1}, by="a test")
    patch_surface(surface=shop.surface, changes={"text_classifier": ""}, by="a test")
    with pytest.raises(
        CannotChangeSurfaceError, match="text_classifier == 'mood', its champion must be no endpoint"
    ):
        patch_surface(surface=shop.surface, changes={"text_classifier": "mood"}, by="a test")
    with pytest.raises(CannotChangeSurfaceError, match="must be no endpoint"):
        create_surface(project=shop.project, key="new", values={"text_classifier": "mood"}, by="a test")
    page = reverse("surface-edit", args=[shop.project.slug, shop.surface.key])
    refused = sign_in(shop.project, role="operator").post(
        page, {"text_classifier": "mood", "exploration": "0", "retrain_every_seconds": "86400", "shadow_first": "0"},
        headers={"accept-language": "zh-hans"},
    )  # fmt: skip
    assert refused.status_code == 422
    assert "mood 的冠军是外部端点" in refused.content.decode()


def test_an_artifact_is_opened_once_per_reading(written, monkeypatch):
    shop = written
    Surface.objects.filter(pk=shop.surface.pk).update(text_classifier="mood")
    shop.surface.refresh_from_db()
    monkeypatch.setattr(labelling, "CHUNK", 5)
    opened = []

    def count_and_open(**options):
        opened.append(options["version"])
        return open_labels(**options)

    monkeypatch.setattr(labelling, "open_labels", count_and_open)
    read_themes(surface=shop.surface)
    assert ThemedText.objects.filter(surface=shop.surface, label=shop.label).count() == 12
    assert opened == [shop.version]


def test_a_model_that_fails_stops_no_reading(written, caplog):
    shop = written
    Surface.objects.filter(pk=shop.surface.pk).update(text_classifier="mood")
    ModelVersion.objects.filter(pk=shop.version.pk).update(artifact_sha256="0" * 64)
    shop.surface.refresh_from_db()
    read_themes(surface=shop.surface)
    assert ThemedText.objects.filter(surface=shop.surface, label="").count() == 12
    assert "texts of surface home-feed are not labelled by tfidf@1" in caplog.text


def test_a_classifier_that_is_gone_stops_no_other_edit(shop):
    Surface.objects.filter(pk=shop.surface.pk).update(text_classifier="gone")
    patch_surface(surface=shop.surface, changes={"exploration": 0.1}, by="a test")
    shop.surface.refresh_from_db()
    assert (shop.surface.exploration, shop.surface.text_classifier) == (0.1, "gone")
    with pytest.raises(
        CannotChangeSurfaceError, match="text_classifier == 'elsewhere', must be the key"
    ):
        patch_surface(surface=shop.surface, changes={"text_classifier": "elsewhere"}, by="a test")


def test_what_does_not_classify_is_refused(shop):
    other = builders.make_shop()
    Surface.objects.create(project=other.project, key="elsewhere", kind="classify")
    for named in ("nowhere", "elsewhere", shop.surface.key):
        with pytest.raises(
            CannotChangeSurfaceError, match=f"text_classifier == '{named}', must be the key"
        ):
            patch_surface(surface=shop.surface, changes={"text_classifier": named}, by="a test")
    page = reverse("surface-edit", args=[shop.project.slug, shop.surface.key])
    refused = sign_in(shop.project, role="operator").post(
        page, {"text_classifier": "nowhere", "exploration": "0", "retrain_every_seconds": "86400", "shadow_first": "0"},
        headers={"accept-language": "zh-hans"},
    )  # fmt: skip
    assert refused.status_code == 422
    assert "“nowhere”不是分类推荐位" in refused.content.decode()


def test_a_file_states_classifiers_in_any_order(shop, tmp_path):
    file = tmp_path / "bakeoff.yaml"
    file.write_text(
        "version: 1\nsurfaces:\n  feed: {kind: recommend, text_classifier: mood}\n"
        "  mood: {kind: classify, text_classifier: topic}\n  topic: {kind: classify}\n"
    )
    run("config", "apply", "-f", str(file), "--project", shop.project.slug, "--yes")
    named = dict(Surface.objects.filter(project=shop.project).values_list("key", "text_classifier"))
    assert (named["feed"], named["mood"], named["topic"]) == ("mood", "topic", "")
    again = run("config", "apply", "-f", str(file), "--project", shop.project.slug)
    assert "Nothing to change." in again
