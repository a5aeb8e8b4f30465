"""Where a command finds its home, and the servers behind its sockets."""

from __future__ import annotations

import re

NOWHERE = "postgresql://nobody:hidden@127.0.0.1:1/none"


def test_the_home_does_not_depend_on_the_folder(console, tmp_path):
    """One per user; a home that an earlier release made in a folder is still found from there."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    homes = set()
    for folder in (here, there):
        done = console(
            "doctor", status=1, cwd=folder, HOME=str(tmp_path), BAKEOFF_HOME="", DATABASE_URL=NOWHERE
        )
        homes.add(re.search(r"home (\S+)", done.stdout)[1])
    assert homes == {str(tmp_path / ".bakeoff")}
    (here / ".bakeoff" / "artifacts").mkdir(parents=True)
    done = console(
        "doctor", status=1, cwd=here, HOME=str(tmp_path), BAKEOFF_HOME="", DATABASE_URL=NOWHERE
    )
    assert f"home {here}/.bakeoff" in done.stdout


def test_a_redis_behind_a_unix_socket_is_cache_and_broker():
    from kombu import Connection

    from bakeoff.environment import _broker_of, read_environment

    socket = f"{read_environment().run_folder}/valkey.sock"
    assert _broker_of(f"unix://{socket}?db=3") == f"redis+socket://{socket}?virtual_host=3"
    with Connection(_broker_of(f"unix://{socket}?db=3")) as broker:
        broker.ensure_connection(max_retries=1)
        assert broker.default_channel.client.connection_pool.connection_kwargs["db"] == 3
