"""The URL of a group that sentinels watch: what it says, and how it is refused."""

from __future__ import annotations

import pytest

from bakeoff.environment import SettingError, read_environment
from inference.sentinel_address import SentinelAddress, SentinelAddressError

WHOLE = "sentinel://us%40er:p%2Fw@one:26380,two,[fd00::1]:26379/shop.cache?db=3&sentinel_password=s"


def test_it_names_sentinels_group_database_and_passwords():
    address = SentinelAddress.of(WHOLE)
    assert address.hosts == (("one", 26380), ("two", 26379), ("fd00::1", 26379))
    assert (address.name, address.db) == ("shop.cache", 3)
    assert address.server_options == {"db": 3, "username": "us@er", "password": "p/w"}
    assert address.sentinel_options == {"password": "s"}
    assert "p/w" not in repr(address)


def test_celery_gets_it_in_its_own_words():
    assert SentinelAddress.of(WHOLE).broker_url == (
        "sentinel://us%40er:p%2Fw@one:26380/3;sentinel://two:26379;sentinel://[fd00::1]:26379"
    )
    assert SentinelAddress.of("sentinel://one/g").broker_url == "sentinel://one:26379/0"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("sentinel://one:26379", "path == '', must be the name of the group"),
        ("sentinel://one/a/b", "path == '/a/b', must be the name of the group"),
        ("sentinel:///g", "host == '', must be a sentinel's host with its port"),
        ("sentinel://one,,two/g", "host == '', must be a sentinel's host with its port"),
        ("sentinel://one:0/g", "host == 'one:0', must be a sentinel's host with its port"),
        ("sentinel://one:99999/g", "host == 'one:99999', must be a sentinel's host"),
        ("sentinel://:secret@one:x/g", "host == 'one:x', must be a sentinel's host"),
        ("sentinel://one/g?db=first", "db == 'first', must be the number of a database."),
        ("sentinel://one/g?tls=1", "tls, must be one of db, sentinel_password, sentinel_username."),
    ],
)
def test_what_it_is_not_is_one_sentence_without_a_password(url, sentence, monkeypatch):
    with pytest.raises(SentinelAddressError) as refused:
        SentinelAddress.of(url)
    assert str(refused.value).startswith(sentence)
    assert "secret" not in str(refused.value)
    for name in ("REDIS_URL", "BROKER_URL"):
        with monkeypatch.context() as variables:
            variables.setenv(name, url)
            with pytest.raises(SettingError, match=f"{name}: "):
                read_environment()


def test_the_broker_is_the_cache_where_it_is_not_named(monkeypatch):
    monkeypatch.setenv("REDIS_URL", "sentinel://one,two/g?db=1")
    environment = read_environment()
    assert environment.broker_url == "sentinel://one:26379/1;sentinel://two:26379"
    assert environment.broker_options["master_name"] == "g"
    monkeypatch.setenv("BROKER_URL", "redis://broker:6379/0")
    environment = read_environment()
    assert (environment.broker_url, environment.broker_options) == ("redis://broker:6379/0", {})
