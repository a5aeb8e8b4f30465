"""What a database's address gets: limits over a network, and of several hosts the one that writes."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from bakeoff.database_address import complete, has_several_hosts

LIMITS = {
    "connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count",
    "tcp_user_timeout",
}  # fmt: skip
WRITES = {"target_session_attrs"}


@pytest.mark.parametrize(
    ("address", "added"),
    [
        ("postgresql://b@h/x", LIMITS),
        ("postgres://b:p%40@h1:5432,h2:5433/x?sslmode=require", LIMITS | WRITES),
        ("postgresql://[::1]:5432,[::2]/x", LIMITS | WRITES),
        ("postgresql:///x?host=h1,h2", LIMITS | WRITES),
        ("host=h1,h2 dbname=x password='it\\'s =x'", LIMITS | WRITES),
        ("hostaddr=10.0.0.1 dbname=x", LIMITS),
        ("postgresql:///x?host=%2Frun&user=b", set()),
        ("postgresql://%2Frun/x", set()),
        ("host=/run,/run2 dbname=x", WRITES),
        ("postgresql:///x", set()),
        ("", set()),
    ],
)
def test_what_is_added_and_nothing_changed(address, added):
    before, after = conninfo_to_dict(address), conninfo_to_dict(complete(address))
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == added
    assert has_several_hosts(address) == bool(added & WRITES)
    # A replica may be any of its hosts.
    assert "target_session_attrs" not in conninfo_to_dict(complete(address, writes=False))
    assert complete(complete(address)) == complete(address)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://h1,h2/x?connect_timeout=1&target_session_attrs=any",
        "host=h1,h2 connect_timeout=1 target_session_attrs=any",
    ],
)
def test_what_its_owner_says_stays(address):
    values = conninfo_to_dict(complete(address))
    assert (values["connect_timeout"], values["target_session_attrs"]) == ("1", "any")
    assert values["tcp_user_timeout"] == "10000"


def test_what_cannot_be_parsed_comes_back():
    assert complete("postgresql//nowhere:secret") == "postgresql//nowhere:secret"
