"""Frozen training data: named by its content and the catalogue's, and checked when it is read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inference.training.snapshot import Likes, SnapshotDestroyedError, read_snapshot, write_snapshot
from tests.support.learning import make_likes


def test_a_snapshot_is_named_by_its_content(tmp_path):
    likes = make_likes()
    name = write_snapshot(tmp_path, likes)
    assert write_snapshot(tmp_path, likes) == name
    assert write_snapshot(tmp_path, make_likes(seed=1)) != name
    read = read_snapshot(tmp_path, name, Likes)
    assert (read.unit_ids, read.item_ids, read.liked_at) == (
        likes.unit_ids,
        likes.item_ids,
        likes.liked_at,
    )
    assert not any(read.live)


def test_the_catalogue_is_part_of_a_snapshot_s_name(tmp_path):
    likes = make_likes()
    before = write_snapshot(tmp_path, likes)
    named = [write_snapshot(tmp_path, replace(likes, catalogue=hash_ * 64)) for hash_ in "ab"]
    assert len({before, *named}) == 3
    assert read_snapshot(tmp_path, before, Likes).catalogue == ""  # as an older version wrote it
    assert read_snapshot(tmp_path, named[1], Likes).catalogue == "b" * 64
    # The name that a version before the catalogue's hash gave to these rows.
    assert before == "432a910420fc53ac77c5035df969773646f4e8b36211a567f0c6341ae798c012"


def test_a_snapshot_that_was_changed_is_not_learnt_from(tmp_path):
    name, other = write_snapshot(tmp_path, make_likes()), write_snapshot(tmp_path, make_likes(seed=1))
    (tmp_path / f"{other}.parquet").replace(tmp_path / f"{name}.parquet")
    with pytest.raises(SnapshotDestroyedError, match="was changed since"):
        read_snapshot(tmp_path, name, Likes)
