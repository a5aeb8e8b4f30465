"""`bakeoff archive`, `bakeoff doctor`, the health page and the settings of the archive."""

from __future__ import annotations

import shutil
from datetime import date
from types import SimpleNamespace

import orjson
import psycopg
import pytest
from django.conf import settings
from django.urls import reverse

from bakeoff.commands.doctor import check_archive
from bakeoff.dashboard import store_health
from bakeoff.environment import SettingError, read_environment
from experiments.archive.place import FolderPlace
from experiments.models import ArchivedMonth, Event
from tests.support import archives, builders
from tests.support.fast_lane import test_database_url

MONTHS = iter(date(2005 + n // 12, n % 12 + 1, 1) for n in range(36))


@pytest.fixture
def month(shop):
    one = next(MONTHS)
    archives.make_month(shop, one)
    yield one
    ArchivedMonth.objects.filter(project=shop.project).delete()


@pytest.fixture
def place():
    """The archive of the console script's home, empty."""
    root = settings.BAKEOFF.home / "archive"
    shutil.rmtree(root, ignore_errors=True)
    store_health.forget_problems()
    yield FolderPlace(root)
    shutil.rmtree(root, ignore_errors=True)
    store_health.forget_problems()


def rows_of(done, month) -> list[dict]:
    return [row for row in orjson.loads(done.stdout) if row["month"] == f"{month:%Y-%m}"]


def test_a_plan_changes_nothing_and_the_command_does_what_it_says(shop, month, place, console):
    planned = rows_of(console("archive", "--months", "3", "--plan", "--json"), month)
    assert [(row["table"], row["rows"], row["state"]) for row in planned] == [
        ("events", 3, "to archive"),
        ("slates", 3, "to archive"),
    ]
    assert Event.objects.filter(project=shop.project).count() == 3
    done = console("archive", "--months", "3", "--json")
    assert [(row["rows"], row["state"]) for row in rows_of(done, month)] == [(3, "archived")] * 2
    assert "rows" in done.stderr
    assert Event.objects.filter(project=shop.project).count() == 0
    assert rows_of(console("archive", "--months", "3", "--plan", "--json"), month) == []
    checked = orjson.loads(console("archive", "--check", "--json").stdout)
    mine = [row for row in checked if row["project"] == shop.project.slug]
    assert [(row["table"], row["rows"], row["problem"]) for row in mine] == [
        ("events", 3, ""),
        ("slates", 3, ""),
    ]


def test_what_stays_says_why(shop, month, place, console):
    experiment = shop.run_experiment()
    type(experiment).objects.filter(pk=experiment.pk).update(started_at=f"{month}T00:00:00Z")
    done = rows_of(console("archive", "--months", "3", "--json"), month)
    assert [row["state"] for row in done] == ["stays", "stays"]
    why = f"experiment '{experiment.key}' of {shop.project.slug} runs since {month}"
    assert done[0]["why"] == why
    assert Event.objects.filter(project=shop.project).count() == 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--months", "2"], "months == 2, must be at least 3"),
        ([], "months are not named: give --months, or set BAKEOFF_ARCHIVE_AFTER_MONTHS"),
        (["--plan", "--check"], "give one of --plan and --check"),
        (["--months", "many"], "'many' is not a valid integer"),
    ],
)
def test_a_wrong_call_is_one_sentence(console, words, sentence):
    assert sentence in console("archive", *words, status=2).output


def test_a_place_that_cannot_be_written_ends_the_command(shop, month, place, console):
    place.root.write_text("a file")
    output = console("archive", "--months", "3", status=1).output
    assert "cannot be written" in output
    assert Event.objects.filter(project=shop.project).count() == 3
    place.root.unlink()


def test_a_cut_file_is_named_by_check_doctor_and_the_health_page(shop, month, place, console, client):
    archives.archive(month, place)
    events, slates = archives.files_of(shop)
    (place.root / events.name).write_bytes((place.root / events.name).read_bytes()[:-9])
    (place.root / slates.name).unlink()
    done = console("archive", "--check", "--json", status=1)
    problems = [
        row["problem"] for row in orjson.loads(done.stdout) if row["project"] == shop.project.slug
    ]
    assert "is cut or damaged" in problems[0]
    assert "it is not there" in problems[1]
    with psycopg.connect(test_database_url()) as connection:
        lines = list(check_archive(connection))
    assert (
        False,
        f"{place.url}/{slates.name} is missing: copy it back from your backup of the archive.",
    ) in lines
    client.force_login(builders.make_root())
    page = client.get(reverse("health")).content.decode()
    assert f"{place.url}/{slates.name} is missing" in page
    assert f"{month:%Y-%m}" in page


def test_doctor_says_what_is_archived(shop, month, place):
    archives.archive(month, place)
    with psycopg.connect(test_database_url()) as connection:
        (well, line), *others = check_archive(connection)
    files = ArchivedMonth.objects.filter(archived_at__isnull=False)
    assert (well, others) == (True, [])
    assert (
        line == f"archive: {sum(row.rows for row in files)} rows in {len(files)} files in {place.url}"
    )


@pytest.mark.parametrize(
    ("variables", "archive"),
    [
        (SimpleNamespace(), "{home}/archive"),
        (SimpleNamespace(BAKEOFF_ARTIFACTS="s3://models/shop/"), "s3://models/shop/archive"),
        (SimpleNamespace(BAKEOFF_ARCHIVE="/cold"), "/cold"),
        (SimpleNamespace(BAKEOFF_ARCHIVE="file:///cold"), "/cold"),
        (SimpleNamespace(BAKEOFF_ARCHIVE="gs://cold/here/"), "gs://cold/here"),
    ],
)
def test_where_the_archive_is(variables, archive, monkeypatch, tmp_path):
    monkeypatch.setenv("BAKEOFF_HOME", str(tmp_path))
    for name, value in vars(variables).items():
        monkeypatch.setenv(name, value)
    assert read_environment().archive == archive.format(home=tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("BAKEOFF_ARCHIVE", "cold", "must be a folder's whole path, s3://bucket/prefix or"),
        ("BAKEOFF_ARCHIVE", "ftp://cold", "BAKEOFF_ARCHIVE == 'ftp://cold', must begin with one of"),
        ("BAKEOFF_ARCHIVE", "s3://key@cold", "BAKEOFF_ARCHIVE must be a bucket and a prefix alone"),
        ("BAKEOFF_ARCHIVE_AFTER_MONTHS", "2", "== 2, must be 0 or at least 3"),
        ("BAKEOFF_ARCHIVE_AFTER_MONTHS", "-1", "must be a whole number"),
    ],
)
def test_a_wrong_setting_is_one_sentence(name, value, sentence, monkeypatch, tmp_path):
    monkeypatch.setenv("BAKEOFF_HOME", str(tmp_path))
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingError, match=sentence):
        read_environment()
