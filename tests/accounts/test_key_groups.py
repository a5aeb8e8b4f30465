"""Keys that name their group of databases: how they are made, shown, taken and refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bakeoff.accounts.keys import make_key, prefix_of
from bakeoff.accounts.models import ApiKey
from bakeoff.environment import SettingError, read_environment


@pytest.mark.parametrize("group", ["a", "two", "group"])
def test_a_key_begins_with_its_group_and_what_is_shown_is_not_all(group):
    key = make_key("pk", group)
    assert key.startswith(f"pk_{group}.")
    assert len(key) == len(f"pk_{group}.") + 32
    shown = prefix_of(key)
    assert key.startswith(shown)
    assert 3 <= len(shown) - len(f"pk_{group}.") <= 5
    assert len(shown) <= 12


def test_a_key_without_a_group_is_as_before():
    key = make_key("sk")
    assert len(key) == 35
    assert "." not in key
    assert prefix_of(key) == key[:8]


def test_a_platform_of_a_group_gives_out_and_takes_such_keys(shop, lane, settings):
    settings.BAKEOFF = replace(settings.BAKEOFF, key_group="eu")
    row, key = ApiKey.make(shop.project, "pk", name="of a group")
    assert key.startswith("pk_eu.")
    assert row.prefix == key[:11]
    lane.refresh()
    body = {"surface": "home-feed", "unit_id": "u", "k": 1}
    for one in (key, shop.public):  # that from before goes on
        assert lane.post("/v1/recommend", body, one).status_code == 200
    assert lane.post("/v1/recommend", body, key.replace("pk_eu.", "pk_us.")).status_code == 401


@pytest.mark.parametrize("name", ["Two", "ü", "a.b", "sixsix", "a_b", " one", "-"])
def test_a_name_that_is_none_is_refused(name, monkeypatch):
    monkeypatch.setenv("BAKEOFF_KEY_GROUP", name)
    with pytest.raises(SettingError, match=r"BAKEOFF_KEY_GROUP == .*, must be 1 to 5 small letters"):
        read_environment()


def test_a_name_is_read(monkeypatch):
    assert read_environment().key_group == ""
    monkeypatch.setenv("BAKEOFF_KEY_GROUP", "eu1")
    assert read_environment().key_group == "eu1"
