"""The URL of a group that sentinels watch: what it says, and how it is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
import redis
import redis.asyncio
from celery import Celery
from kombu import Connection
from redis.sentinel import MasterNotFoundError

from bakeoff.commands.doctor import _redis
from bakeoff.container_check import UnhealthyError, check_beats
from bakeoff.embedded.errors import StartError
from bakeoff.embedded.valkey import check_redis
from bakeoff.environment import SettingError, read_environment
from inference import queues
from inference.queues import BrokerError, read_queues
from inference.redis_clients import async_redis_client, redis_client
from inference.sentinel_address import SentinelAddress, SentinelAddressError

WHOLE = "sentinel://us%40er:p%2Fw@one:26380,two,[fd00::1]:26379/shop.cache?db=3&sentinel_password=s"


def test_it_names_sentinels_group_database_and_passwords():
    address = SentinelAddress.of(WHOLE)
    assert address.hosts == (("one", 26380), ("two", 26379), ("fd00::1", 26379))
    assert (address.name, address.db) == ("shop.cache", 3)
    assert address.server_options == {"db": 3, "username": "us@er", "password": "p/w"}
    assert address.sentinel_options == {"password": "s"}
    assert "p/w" not in repr(address)


@pytest.fixture
def newer_python(monkeypatch):
    """A urlsplit that takes no text before a bracket, as that of CPython 3.11.12 and later."""

    def refuse(netloc: str) -> None:
        if "[" in netloc and not netloc.rpartition("@")[2].startswith("["):
            raise ValueError("Invalid IPv6 URL")

    monkeypatch.setattr("urllib.parse._checknetloc", refuse)
    urlsplit.cache_clear()


def test_an_address_in_brackets_may_stand_anywhere(newer_python, monkeypatch):
    url = "sentinel://:p@one,[fd00::1]:26380/g?db=1"
    with pytest.raises(ValueError, match="Invalid IPv6 URL"):
        urlsplit(url)
    assert SentinelAddress.of(url).hosts == (("one", 26379), ("fd00::1", 26380))
    monkeypatch.setenv("REDIS_URL", url)
    environment = read_environment()
    assert environment.broker_url == "sentinel://:p@one:26379/1;sentinel://[fd00::1]:26380"
    with Connection(environment.broker_url) as connection:
        assert connection.alt == environment.broker_url.split(";")


def test_that_none_answers_is_one_sentence_without_a_password():
    hosts = "127.0.0.1:1, 127.0.0.1:2"
    sentence = f"No sentinel of {hosts} names a primary of 'g'"
    url = f"sentinel://:hunter2@{hosts.replace(' ', '')}/g?sentinel_password=hunter3"
    client = redis_client(url, retry=None)
    with pytest.raises(redis.ConnectionError) as refused:
        client.ping()
    assert str(refused.value) == sentence
    with pytest.raises(redis.ConnectionError) as refused:
        asyncio.run(async_redis_client(url, redis.asyncio.Redis, retry=None).ping())
    assert str(refused.value) == sentence
    with pytest.raises(UnhealthyError) as unhealthy:
        check_beats("worker", redis_url=url, host="here")
    assert str(unhealthy.value) == f"The cache gives no answer: {sentence}."
    with pytest.raises(StartError) as unstarted:
        check_redis(url)
    assert str(unstarted.value) == f"The Redis of REDIS_URL gives no answer: {sentence}."
    environment = replace(read_environment(), redis_url=url)
    assert list(_redis(environment)) == [(False, f"{sentence}: check REDIS_URL and the sentinels")]


def test_celery_gets_it_in_its_own_words():
    assert SentinelAddress.of(WHOLE).broker_url == (
        "sentinel://us%40er:p%2Fw@one:26380/3;sentinel://two:26379;sentinel://[fd00::1]:26379"
    )
    assert SentinelAddress.of("sentinel://one/g").broker_url == "sentinel://one:26379/0"


def test_over_tls_certificates_are_checked_unless_it_is_told_otherwise(tmp_path, monkeypatch):
    authority = tmp_path / "company.pem"
    authority.write_text("a certificate")
    url = f"sentinels://:p@one,two/g?ssl_ca_certs={authority}&sentinel_password=s"
    tls = {"ssl_cert_reqs": "required", "ssl_ca_certs": str(authority)}
    address = SentinelAddress.of(url)
    assert address.server_options == {"db": 0, "password": "p", "ssl": True, **tls}
    assert address.sentinel_options == {"password": "s", "ssl": True, **tls}
    assert SentinelAddress.of("sentinels://one/g?ssl_cert_reqs=none").tls == {"ssl_cert_reqs": "none"}
    monkeypatch.setenv("REDIS_URL", url)
    environment = read_environment()
    assert environment.broker_url == "sentinel://:p@one:26379/0;sentinel://two:26379"
    assert environment.broker_tls == tls
    assert environment.broker_options["sentinel_kwargs"]["ssl"] is True
    monkeypatch.setenv("REDIS_URL", "sentinel://one/g")
    assert read_environment().broker_tls is None


def test_a_brokers_group_without_a_primary_is_one_sentence(monkeypatch):
    monkeypatch.setenv("BROKER_URL", "sentinel://:hunter2@127.0.0.1:1,127.0.0.1:2/second")
    environment = read_environment()
    app = Celery("a test", broker=environment.broker_url, set_as_current=False)
    app.conf.broker_transport_options = environment.broker_options

    def connect() -> Connection:  # as kombu does after six seconds of trying
        raise MasterNotFoundError("No master found for 'second' : <redis.client.Redis(<…>)> - away")

    app.connection_for_read = connect
    monkeypatch.setattr(queues, "current_app", app)
    with pytest.raises(BrokerError) as refused:
        read_queues()
    assert str(refused.value) == (
        "the broker does not answer: No sentinel of 127.0.0.1:1, 127.0.0.1:2 names a primary of 'second'"
    )


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
        (
            "sentinels://one/g?tls=1",
            "tls, must be one of db, sentinel_password, sentinel_username, ssl_ca_certs, ",
        ),
        ("sentinels://one", "path == '', must be the name of the group"),
        (
            "sentinel://one/g?ssl_ca_certs=/a.pem",
            "ssl_ca_certs, must stand in an address that begins with sentinels://.",
        ),
        (
            "sentinels://one/g?ssl_ca_certs=/nowhere.pem",
            "ssl_ca_certs == '/nowhere.pem', must be a file.",
        ),
        (
            "sentinels://one/g?ssl_cert_reqs=maybe",
            "ssl_cert_reqs == 'maybe', must be 'required' or 'none'.",
        ),
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
    assert environment.broker_options["sentinel_kwargs"]["retry"] is None  # the next one is asked
    monkeypatch.setenv("BROKER_URL", "redis://broker:6379/0")
    environment = read_environment()
    assert (environment.broker_url, environment.broker_options) == ("redis://broker:6379/0", {})
