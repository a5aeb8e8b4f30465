"""An archive in the home is part of a backup; one elsewhere is named."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date

import pytest
from django.conf import settings

from bakeoff.backup.manifest import BackupError
from bakeoff.backup.restore_backup import _put_archive
from experiments.archive.place import FolderPlace
from experiments.archive.state import check_file
from experiments.models import ArchivedMonth
from tests.support import archives
from tests.support.console import Console
from tests.support.fast_lane import test_database_url

MONTHS = iter(date(1999, n, 1) for n in range(1, 12))


@pytest.fixture
def place(shop):
    root = settings.BAKEOFF.home / "archive"
    shutil.rmtree(root, ignore_errors=True)
    month = next(MONTHS)
    archives.make_month(shop, month)
    archives.archive(month, FolderPlace(root))
    yield FolderPlace(root)
    shutil.rmtree(root, ignore_errors=True)
    ArchivedMonth.objects.filter(project=shop.project).delete()


def test_archived_months_are_backed_up_and_restored(shop, place, console, tmp_path):
    console("backup", tmp_path / "backup")
    copies = sorted(str(one.relative_to(tmp_path / "backup")) for one in
                    (tmp_path / "backup" / "archive").rglob("*.parquet"))  # fmt: skip
    assert copies == sorted(f"archive/{row.name}" for row in archives.files_of(shop))
    elsewhere = replace(settings.BAKEOFF, archive=str(tmp_path / "cold"))
    _put_archive(elsewhere, tmp_path / "backup")
    restored = FolderPlace(tmp_path / "cold")
    assert [check_file(restored, row) for row in archives.files_of(shop)] == ["", ""]
    _put_archive(elsewhere, tmp_path / "backup")  # again, after it was cut off
    (tmp_path / "cold" / "store_id").write_text("of another")
    with pytest.raises(BackupError, match="is another platform's archive"):
        _put_archive(elsewhere, tmp_path / "backup")


def test_an_archive_elsewhere_is_named(shop, place, tmp_path):

    script = Console(DATABASE_URL=test_database_url(), BAKEOFF_ARCHIVE="/cold")
    try:
        output = script("backup", tmp_path / "backup").stdout
    finally:
        script.close()
    assert "Archived months are not in it: keep /cold as long." in output
    assert not (tmp_path / "backup" / "archive").exists()
