"""Lines of the log as JSON: each names its request, key and project, and shows no key."""

from __future__ import annotations

import json
import logging
from io import StringIO

import pytest

from bakeoff.json_logs import JsonFormatter
from bakeoff.request_trace import RequestTrace, begin_trace


@pytest.fixture
def lines():
    """What the fast lane and Django write, read as JSON."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    loggers = [logging.getLogger(name) for name in ("bakeoff.requests", "bakeoff.gateway.http.door")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    for logger in loggers:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def test_a_request_of_the_fast_lane_is_one_line(lane, shop, lines):
    headers = {"Authorization": f"Bearer {shop.public}", "X-Request-Id": "request-7"}
    body = {"surface": "home-feed", "unit_id": "u1"}
    assert lane.client.post("/v1/recommend", json=body, headers=headers).status_code == 200
    (line,) = lines()
    assert line.pop("time").endswith("+00:00")
    message = line.pop("message")
    assert message.startswith("POST /v1/recommend 200 in ")
    assert line == {
        "level": "info",
        "logger": "bakeoff.requests",
        "request_id": "request-7",
        "route": "/v1/recommend",
        "key": shop.public[:8],
        "project": shop.project.slug,
    }


def test_a_request_of_django_names_its_route_key_and_project(lane, shop, lines):
    headers = {"Authorization": f"Bearer {shop.secret}", "X-Request-Id": "an id with 'quotes'"}
    assert lane.client.get("/v1/surfaces", headers=headers).status_code == 200
    assert lane.client.get(f"/p/{shop.project.slug}/surfaces/").status_code == 302
    api, page = lines()
    assert (api["route"], api["key"], api["project"]) == (
        "v1/surfaces",
        shop.secret[:8],
        shop.project.slug,
    )
    assert len(api["request_id"]) == 36  # no id that a log could not hold: a new one
    assert (page["route"], page["project"]) == ("p/<slug:slug>/surfaces/", shop.project.slug)
    assert "key" not in page
    assert shop.secret not in json.dumps(lines())


def test_a_failure_is_found_by_the_id_that_its_answer_carries(lane, shop, lines, monkeypatch):
    def fail(*_args, **_options):
        raise ValueError("a defect")

    monkeypatch.setattr("bakeoff.gateway.slates.answer.find_surface", fail)
    answer = lane.post("/v1/recommend", {"surface": "home-feed", "unit_id": "u1"}, shop.public)
    assert answer.status_code == 503
    assert "defect" not in answer.text
    failed = next(line for line in lines() if line["level"] == "error")
    assert failed["request_id"] == answer.headers["x-request-id"]
    assert "ValueError: a defect" in failed["traceback"]


@pytest.mark.parametrize(
    ("sent", "is_taken"),
    [(b"a-Z09._:/+=@", True), (b"x" * 128, True), (b"x" * 129, False), (b"", False), (b"a b", False), (b'a"', False), (b"\xff", False)],
)  # fmt: skip
def test_an_id_is_taken_where_a_log_can_hold_it(sent, is_taken):
    trace = RequestTrace([(b"x-request-id", sent)])
    assert (trace.request_id == sent.decode("latin-1")) == is_taken
    assert trace.request_id == trace.request_id
    assert trace.request_id


def test_what_is_no_json_is_written_all_the_same():
    record = logging.LogRecord("a.b", logging.ERROR, "f.py", 1, "%s and %s", (object, b"\xff"), None)
    assert json.loads(JsonFormatter().format(record))["message"].startswith("<class 'object'> and ")


def test_lines_outside_a_request_name_none():
    record = logging.LogRecord("a.b", logging.INFO, "f.py", 1, "hello", (), None)
    assert "request_id" not in json.loads(JsonFormatter().format(record))
    begin_trace([], "/v1/events")
    assert json.loads(JsonFormatter().format(record))["route"] == "/v1/events"


WRITES = """
import logging, logging.config, uvicorn
from bakeoff.environment import read_environment
from bakeoff.log_settings import logging_settings
uvicorn.Config("bakeoff.asgi:application", access_log=False)  # sets loggers before it loads the rest
logging.config.dictConfig(logging_settings(read_environment()))
assert not logging.getLogger("uvicorn.access").hasHandlers()  # else it writes a line of each request
for name in ("bakeoff.a", "experiments.b", "uvicorn.error", "celery.worker", "httpx2"):
    for level in (logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger(name).log(level, "hello")
"""


@pytest.mark.parametrize(
    ("level", "ours", "others"),
    [("info", 3, 2), ("warning", 2, 2), ("error", 1, 1)],
)
def test_the_settings_say_which_lines_are_written_and_how(level, ours, others, run_python):
    output = run_python(WRITES, BAKEOFF_LOG_FORMAT="json", BAKEOFF_LOG_LEVEL=level)
    names = [json.loads(line)["logger"] for line in output.splitlines()]
    assert {name: names.count(name) for name in set(names)} == {
        "bakeoff.a": ours, "experiments.b": ours, "uvicorn.error": others, "celery.worker": others, "httpx2": others,
    }  # fmt: skip


def test_text_is_the_default(run_python):
    first = run_python(WRITES).splitlines()[0]
    assert first.endswith("WARNING bakeoff.a hello")
