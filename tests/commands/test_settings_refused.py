"""Settings that break their rules, and what `bakeoff doctor` says of servers that are away."""

from __future__ import annotations

import pytest

from tests.support.console import NO_REDIS, NOWHERE


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"DATABASE_URL": "nonsense:hidden"}, "DATABASE_URL cannot be parsed, must be like postgresql://"),
        ({"REDIS_URL": "http://:hidden@x"}, "REDIS_URL begins with 'http', must begin with one of"),
        ({"BROKER_URL": "amqp://:hidden@x"}, "BROKER_URL begins with 'amqp', must begin with one of"),
        ({"BAKEOFF_TICK_SECONDS": "soon"}, "BAKEOFF_TICK_SECONDS == 'soon', must be a positive number"),
        ({"SECRET_KEY_FILE": "/nowhere"}, "SECRET_KEY_FILE == '/nowhere', cannot be read: No such file"),
    ],
)  # fmt: skip
def test_a_setting_that_breaks_its_rule_is_one_sentence(console, tmp_path, variables, sentence):
    for command in (["keys", "list"], ["up", "--port", "18"], ["migrate"], ["migrate", "--plan"]):
        done = console(*command, status=1, **variables, BAKEOFF_HOME=str(tmp_path))
        (line,) = done.stderr.strip().splitlines()
        assert line.startswith(f"Error: {sentence}")
        assert "hidden" not in line


def test_the_doctor_names_the_remedy_of_what_is_away(console, tmp_path):
    done = console("doctor", status=1, DATABASE_URL="", BAKEOFF_HOME=str(tmp_path / "new"))
    assert "ISSUE   PostgreSQL does not answer: `bakeoff up` starts it" in done.stdout
    assert "ISSUE   Redis does not answer: `bakeoff up` starts it" in done.stdout
    done = console("doctor", status=1, DATABASE_URL=NOWHERE, REDIS_URL=NO_REDIS)
    assert "ISSUE   PostgreSQL does not answer: check DATABASE_URL" in done.stdout
    assert "ISSUE   Redis does not answer: check REDIS_URL" in done.stdout
