"""Readings of a surface's texts: themes that last, alerts, erasure, variants, and every face of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from html import unescape

import numpy as np
import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bakeoff.alerts.models import Alert
from experiments.actions.alert_on_themes import MIN_USERS
from experiments.actions.erase_unit import erase_unit
from experiments.actions.export_unit import export_unit
from experiments.actions.read_themes import is_reading_due, read_themes, surfaces_with_texts
from experiments.looks.roll_up import roll_up
from experiments.models import Feedback, Theme, ThemedText, ThemeReading
from experiments.reports.theme_report import draw_themes, report_themes
from experiments.reports.variant_themes import compare_themes
from experiments.stats.effects import newcombe_interval
from experiments.stats.totals import Totals
from experiments.tasks import embed_surface_themes
from experiments.themes.grouping import MIN_TEXTS
from experiments.themes.text_vectors import CHARACTERS
from tests.support import builders
from tests.support.commands import run
from tests.support.dashboard import shared_copy, sign_in
from tests.support.html import has
from tests.support.page_charts import read_charts

ABOUT = ("送货实在太慢", "退款流程麻烦", "密码重置失败")


def texts_about(phrase, count, *, seed=0):
    """Return Chinese texts with a phrase in common; the encoder of the tests does not know the language."""
    rng = np.random.default_rng([seed, ABOUT.index(phrase)])
    characters = rng.integers(0x4E00, 0x4E00 + 3000, size=(count, 4))
    return [f"{''.join(map(chr, one[:2]))}{phrase}{''.join(map(chr, one[2:]))}" for one in characters]


def write(shop, texts, *, prefix, days=0.0, variant=None, units=None):
    """Let users write, one text each, so many days ago."""
    at = (builders.now() - timedelta(days=days)).isoformat()
    slates, feedback = builders.Rows(), builders.Rows()
    for n, text in enumerate(texts):
        unit = units[n] if units else f"{prefix}{n}"
        fields = {"experiment_id": variant.experiment_id, "variant_id": variant.pk} if variant else {}
        slate = builders.slate(shop, unit, served_at=at, **fields)
        slates.slates.append(slate)
        feedback.feedback.append(
            builders.feedback(
                shop, slate.recommendation_id, unit_id=unit, kind="text", value=None, text=text,
                received_at=at,
            )
        )  # fmt: skip
    builders.write(slates)  # first: feedback takes variant and model from its slate
    builders.write(feedback)


def show(shop, name, *arguments):
    """Return a page as a viewer sees it."""
    address = reverse(name, args=[shop.project.slug, *arguments])
    return sign_in(shop.project, role="viewer").get(address).content.decode()


def ask(shop, path):
    """Return what the management API answers."""
    answer = Client().get(f"/v1/{path}", headers={"authorization": f"Bearer {shop.secret}"})
    assert answer.status_code == 200, answer.content
    return answer.json()


@pytest.fixture
def read(shop, tiny_bert):
    """A shop whose users write about deliveries and refunds for five weeks, read once."""
    for phrase in ABOUT[:2]:
        for week in range(5):
            part = texts_about(phrase, 40)[8 * week : 8 * week + 8]
            write(shop, part, prefix=f"{phrase}-{week}-", days=7 * week + 0.5)
    assert read_themes(surface=shop.surface) >= 2
    return shop


def test_themes_stay_the_same_and_a_new_one_is_told_once(read):
    shop = read
    before = {theme.pk: theme.words for theme in Theme.objects.filter(surface=shop.surface)}
    assert not Alert.objects.filter(project=shop.project).exists()  # all are new: none is news
    embed_surface_themes(shop.surface.pk)
    assert {one.pk: one.words for one in Theme.objects.filter(surface=shop.surface)} == before
    write(shop, texts_about(ABOUT[2], 30), prefix="new")
    assert is_reading_due(surface=shop.surface, now=builders.now())
    read_themes(surface=shop.surface)
    current = set(Theme.objects.filter(surface=shop.surface).current().values_list("pk", flat=True))
    assert len(current & set(before)) >= len(before) - 1
    alerts = Alert.objects.filter(project=shop.project, event="theme_new")
    assert alerts.count() >= 1
    announced = Theme.objects.get(pk=alerts[0].detail["theme"])
    own = ThemedText.objects.filter(theme=announced).values_list("unit_id", flat=True)
    assert sum(unit.startswith("new") for unit in own) > 0.8 * len(own)
    assert alerts[0].summary.startswith("Users of 'home-feed' write about something new: ")
    assert alerts[0].path == f"/p/{shop.project.slug}/feedback/themes/?surface=home-feed"
    count = alerts.count()
    read_themes(surface=shop.surface)
    assert alerts.count() == count
    assert not is_reading_due(surface=shop.surface, now=builders.now())


def test_a_theme_that_grows_is_told_until_it_has_not(read):
    shop = read
    write(shop, texts_about(ABOUT[0], 60, seed=1), prefix="more", days=1)
    read_themes(surface=shop.surface)
    alert = Alert.objects.get(project=shop.project, event="theme_growing")
    theme = Theme.objects.get(pk=alert.detail["theme"])
    assert any(word in ABOUT[0] for word in theme.words)
    assert alert.detail["recent_share"] > 1.5 * alert.detail["before_share"]
    Feedback.objects.filter(project=shop.project, unit_id__startswith="more").update(state="spam")
    read_themes(surface=shop.surface)
    alert.refresh_from_db()
    assert alert.resolved_at is not None


def test_an_alert_of_a_theme_that_is_gone_is_resolved(read):
    shop = read
    write(shop, texts_about(ABOUT[0], 60, seed=1), prefix="more", days=1)
    read_themes(surface=shop.surface)
    alert = Alert.objects.get(project=shop.project, event="theme_growing")
    Feedback.objects.filter(project=shop.project, text__contains=ABOUT[0]).update(state="spam")
    read_themes(surface=shop.surface)
    assert Theme.objects.get(pk=alert.detail["theme"]).gone_at is not None
    alert.refresh_from_db()
    assert alert.resolved_at is not None


@pytest.mark.parametrize("stays", [0, 1])
def test_themes_of_another_encoder_are_no_news(read, stays):
    shop = read
    # All texts, or those of all themes but one, have vectors that another encoder made.
    same = list(Theme.objects.filter(surface=shop.surface).values_list("pk", flat=True)[:stays])
    ThemedText.objects.filter(surface=shop.surface).exclude(theme__in=same).update(space="another")
    Theme.objects.filter(surface=shop.surface).exclude(pk__in=same).update(space="another")
    write(shop, texts_about(ABOUT[2], 30), prefix="new")
    assert read_themes(surface=shop.surface) >= 3
    current = Theme.objects.filter(surface=shop.surface).current()
    assert set(current.values_list("space", flat=True)) == {CHARACTERS}
    assert current.filter(growth__recent_users__gte=MIN_USERS).exists()
    assert not Alert.objects.filter(project=shop.project, event="theme_new").exists()


def test_what_retention_deletes_leaves_no_vector_though_nobody_writes_any_more(read):
    shop = read
    now = builders.now()
    assert not is_reading_due(surface=shop.surface, now=now)
    with transaction.atomic(), connection.cursor() as cursor:  # by a statement, as retention does
        cursor.execute("DELETE FROM experiments_feedback WHERE project_id = %s", [shop.project.pk])
    assert ThemedText.objects.filter(surface=shop.surface).exists()
    tomorrow = now + timedelta(days=1, minutes=1)
    assert shop.surface in surfaces_with_texts()
    assert is_reading_due(surface=shop.surface, now=tomorrow)
    assert read_themes(surface=shop.surface) == 0
    assert not ThemedText.objects.filter(surface=shop.surface).exists()


def test_an_erasure_locks_in_the_order_of_a_reading(read):
    unit = ThemedText.objects.filter(surface=read.surface).first().unit_id
    with CaptureQueriesContext(connection) as captured:
        erase_unit(project_id=read.project.pk, unit_id=unit, by="a test")
    places = [
        next(n for n, one in enumerate(captured.captured_queries) if one["sql"].startswith(start))
        for start in (
            'DELETE FROM "experiments_feedback"',
            'SELECT "experiments_themedtext"',
            'DELETE FROM "experiments_themedtext"',
        )
    ]
    assert places == sorted(places)
    locking = captured.captured_queries[places[1]]["sql"]
    assert locking.endswith('ORDER BY "experiments_themedtext"."feedback_id" ASC FOR UPDATE')
    with CaptureQueriesContext(connection) as captured:
        read_themes(surface=read.surface)
    writing = [
        one["sql"] for one in captured.captured_queries if "experiments_themedtext" in one["sql"]
    ]
    locks = [n for n, one in enumerate(writing) if one.endswith("FOR UPDATE")]
    writes = [n for n, one in enumerate(writing) if one.startswith(("UPDATE", "DELETE"))]
    assert len(locks) == 1
    assert writes
    assert locks[0] < min(writes)


def test_what_is_erased_hidden_or_taken_back_is_in_no_quote(read):
    shop = read
    row = next(one for one in report_themes(shop.surface).rows if len(one.quotes) == 3)
    erased, hidden, left = (
        Feedback.objects.filter(project=shop.project, text=quote).first() for quote in row.quotes
    )
    exported = export_unit(project_id=shop.project.pk, unit_id=erased.unit_id)
    assert [one["unit_id"] for one in exported["themed_texts"]] == [erased.unit_id]
    assert "vector" not in exported["themed_texts"][0]
    erase_unit(project_id=shop.project.pk, unit_id=erased.unit_id, by="a test")
    Feedback.objects.filter(pk=hidden.pk).update(state="hidden")
    assert not ThemedText.objects.filter(project=shop.project, unit_id=erased.unit_id).exists()
    again = next(one for one in report_themes(shop.surface).rows if one.theme.pk == row.theme.pk)
    units = set(
        Feedback.objects.filter(project=shop.project, text__in=again.quotes).values_list("unit_id", flat=True)
    )  # fmt: skip
    assert left.text in again.quotes
    assert erased.unit_id not in units
    assert hidden.text not in again.quotes or hidden.unit_id not in units
    read_themes(surface=shop.surface)
    texts = set(ThemedText.objects.filter(surface=shop.surface).values_list("feedback_id", flat=True))
    assert hidden.pk not in texts


def test_few_texts_make_no_theme_and_every_face_says_how_many_are_needed(shop, tiny_bert):
    write(shop, texts_about(ABOUT[0], 7), prefix="u")
    assert shop.surface in surfaces_with_texts()
    assert not is_reading_due(surface=shop.surface, now=builders.now())
    report = report_themes(shop.surface)
    assert (report.texts, report.min_texts, report.rows) == (7, MIN_TEXTS, [])
    page = show(shop, "feedback-themes")
    assert has(page, data_texts="7")
    assert "7" in page
    printed = run("feedback", "themes", "home-feed", "--project", shop.project.slug)
    assert "there are 7 texts, of 40 needed" in printed
    # Read all the same: nothing breaks, nothing is stored but that it was read.
    assert read_themes(surface=shop.surface) == 0
    assert ThemeReading.objects.get(surface=shop.surface).texts == 7


def test_page_api_and_command_show_the_same_themes(read):
    shop = read
    rows = report_themes(shop.surface).rows
    answer = ask(shop, "surfaces/home-feed/themes")
    assert [one["id"] for one in answer["themes"]] == [row.theme.pk for row in rows]
    assert answer["themes"][0]["quotes"] == list(rows[0].quotes)
    assert answer["themes"][0]["weeks"] == rows[0].theme.weeks
    page = show(shop, "feedback-themes")
    for row in rows:
        assert has(page, data_theme=str(row.theme.pk))
    labels, faults = read_charts(page)
    assert labels == {"Share of the users who wrote, %"}
    assert faults == []
    printed = run("feedback", "themes", "home-feed", "--json", "--project", shop.project.slug)
    assert f'"id": {rows[0].theme.pk}' in printed
    run("feedback", "themes", "nowhere", "--project", shop.project.slug, status=2)


def test_shares_of_quiet_weeks_are_not_drawn(read):
    write(read, texts_about(ABOUT[0], 3, seed=2), prefix="early", days=40)
    read_themes(surface=read.surface)
    report = report_themes(read.surface)
    day = (builders.now() - timedelta(days=40)).date()
    quiet = (day - timedelta(days=day.weekday())).isoformat()
    shares = dict(report.shares_by_week())
    assert report.units_by_week[quiet] == 3
    assert set(shares.pop(quiet)) == {None}
    assert len(shares) >= 5
    assert all(None not in of_week for of_week in shares.values())
    assert "<svg" in draw_themes(report, label="x")


@pytest.fixture
def tested(shop, tiny_bert):
    """An experiment of 400 users, in which those of the treatment write more often of one thing."""
    experiment = shop.run_experiment(promote=False, window_seconds=0.001)
    control, treatment = experiment.variants.order_by("-is_control")
    builders.visits(experiment, {"control": 1, "treatment": 1}, units=200)
    for variant, counts in ((control, (10, 25)), (treatment, (40, 25))):
        start = 0
        for phrase, count in zip(ABOUT[:2], counts, strict=True):
            units = [f"{variant.key}-{start + n}" for n in range(count)]
            write(
                shop,
                texts_about(phrase, count, seed=int(variant.is_control)),
                prefix="",
                variant=variant,
                units=units,
            )
            start += count
    with transaction.atomic():
        roll_up(experiment.pk, builders.now() + timedelta(minutes=1))
    read_themes(surface=shop.surface)
    return experiment


def test_variants_are_compared_by_users_with_an_interval(tested, shop, settings):
    rows = compare_themes(tested)
    top = rows[0]
    assert top.difference > 0
    users = {True: 0, False: 0}
    for unit in ThemedText.objects.filter(theme=top.theme).values_list("unit_id", flat=True).distinct():
        users[unit.startswith("control")] += 1
    assert (top.control_units, top.treatment_units) == (users[True], users[False])
    assert (top.control, top.treatment) == (users[True] / 200, users[False] / 200)
    low, high = top.interval
    reference = newcombe_interval(
        Totals.of_proportion(users[True], 200), Totals.of_proportion(users[False], 200), 1.959964
    )
    assert (low, high) == (pytest.approx(reference[0], abs=0.01), pytest.approx(reference[1], abs=0.01))
    adjusted = [row.adjusted_p_value for row in rows if row.adjusted_p_value is not None]
    assert adjusted == sorted(adjusted)
    answer = ask(shop, f"experiments/{tested.key}/themes")
    assert answer["themes"][0]["theme"] == top.theme
    page = show(shop, "report", tested.key)
    assert has(page, data_theme=str(top.theme))
    assert '<svg class="plot"' in page
    assert "All themes of the surface" in page
    sources = ThemedText.objects.filter(theme=top.theme).values_list("feedback_id", flat=True)
    named = Theme.objects.filter(pk=top.theme)
    named.update(name="Named of quotes", named_from=list(sources[:3]))
    assert compare_themes(tested)[0].title == "Named of quotes"
    copy = shared_copy(tested)
    assert "Named of quotes" not in copy
    assert named.get().title_of_words in unescape(copy)
    assert has(copy, data_theme=str(top.theme))
    assert "All themes of the surface" not in copy  # whoever has the link sees no other page
    assert "<q>" in page
    assert "<q>" not in copy
    settings.BAKEOFF = replace(settings.BAKEOFF, min_group_users=1000)
    assert not has(shared_copy(tested), data_theme=str(top.theme))


def test_one_user_who_writes_often_is_one_and_excluded_users_are_none(tested, shop):
    before = {row.theme: row.treatment_units for row in compare_themes(tested)}
    top = compare_themes(tested)[0]
    unit = ThemedText.objects.filter(theme=top.theme, unit_id__startswith="treatment").first().unit_id
    shop.project.excluded_units.create(unit_id=unit, reason="internal")
    after = {row.theme: row.treatment_units for row in compare_themes(tested)}
    assert after[top.theme] == before[top.theme] - 1
