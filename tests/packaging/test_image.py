"""The image's and the composition's own command lines, run without an engine on bundled servers."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from importlib.metadata import requires
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import psycopg
import pytest
import redis
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from psycopg.conninfo import conninfo_to_dict

from bakeoff.container_check import UnhealthyError, check_beats, check_web, main, part_of
from bakeoff.environment import read_environment
from bakeoff.known_settings import FOREIGN_SECRETS, SETTINGS
from inference.serving.beats import SILENT_SECONDS, Beat, LastBeat, write_beat
from tests.support.servers import WARM
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text().splitlines()
WEB = next(json.loads(line.removeprefix("CMD ")) for line in DOCKERFILE if line.startswith("CMD "))
IMAGE_CHECK = next(
    json.loads(line[line.index("CMD ") + 4 :]) for line in DOCKERFILE if line.startswith("HEALTHCHECK ")
)


def run(command: list[str], environment: dict[str, str], port: int = 8000) -> subprocess.Popen:
    """Start a command of the files on another port, with a warm interpreter."""
    command = [part.replace("8000", str(port)) for part in command]
    return subprocess.Popen(
        [WARM, *command[1:]],
        env=environment, cwd=environment["BAKEOFF_HOME"], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def pins_of(file: str) -> dict[str, str]:
    """Versions by name, as a file of requirements has them."""
    lines = (ROOT / file).read_text().splitlines()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", "\n".join(lines), re.MULTILINE))


def needed_by(extras: Iterable[str]) -> set[str]:
    """Names of what the package needs with these extras, and of what that needs."""
    visited: set[tuple[str, str]] = set()
    waiting = [("bakeoff", extra) for extra in extras]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in visited:
            continue
        visited.add((name, extra))
        for need in map(Requirement, requires(name) or ()):
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(need.name), one) for one in need.extras or [""]]
    return {name for name, _extra in visited} - {"bakeoff"}


def extras_of_settings() -> set[str]:
    """The extras without which a setting is refused."""
    extras = set(re.findall(r"needs the extra `([a-z-]+)`", (ROOT / "docs/settings.md").read_text()))
    assert extras >= {"objectstore", "oidc", "otel"}
    return extras


def test_the_image_installs_what_was_tested_and_by_hash():
    text = (ROOT / "requirements.lock").read_text()
    pins, dev = pins_of("requirements.txt"), pins_of("requirements-dev.txt")
    torch = pins.pop("torch")
    builds = {name: dev[name] for name in ("hatchling", "pluggy", "tomlkit", "trove-classifiers")}
    extras = {name: dev[name] for name in needed_by(extras_of_settings()) - set(pins) - {"torch"}}
    assert pins_of("requirements.lock") == pins | builds | extras, "run `make lock`"
    assert "://" not in text
    for package in re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]:
        assert re.fullmatch(r"\S+==\S+( \\\n    --hash=sha256:[0-9a-f]{64})+\n", package), package
    installs = [line for line in DOCKERFILE if line.startswith("RUN pip install ")]
    assert all(" --no-deps " in line for line in installs)
    assert "--require-hashes" in installs[0]
    assert f" torch=={torch} " in installs[1]
    assert " --no-build-isolation -e ." in installs[2]


@pytest.fixture
def container(tmp_path):
    """What a container sees: a database of its own, an empty home.

    Its tables are there, as after an older release of the same tables: a start with nothing is proved
    where the template is made.
    """
    base = read_environment()
    name = f"image_{time.time_ns()}"
    admin = base.database_url.replace("///bakeoff?", "///postgres?")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE bakeoff")
    home = tmp_path / "home"
    home.mkdir()
    return {
        **os.environ,
        "BAKEOFF_HOME": str(home),
        "DATABASE_URL": base.database_url.replace("///bakeoff?", f"///{name}?"),
        "REDIS_URL": base.redis_url,
        "BROKER_URL": base.broker_url,
    }


def is_ready(client: httpx2.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/readyz", timeout=10).status_code == 200
    except httpx2.HTTPError:
        return False


def test_the_documented_steps_give_a_project_and_a_web_that_ends_with_open_streams(container):
    migrate = COMPOSE["services"]["migrate"]["command"]
    done = run(migrate, container)
    first, _ = done.communicate(timeout=400)
    assert done.returncode == 0, first
    public = re.search(r"public key\s+(pk_\S+)", first)[1]
    again = run(migrate, container)
    assert "public key" not in again.communicate(timeout=400)[0]
    assert again.returncode == 0

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    at = WEB.index("--timeout-graceful-shutdown") + 1
    assert 0 < int(WEB[at]) < 60  # less than the composition gives it
    web = run([*WEB[:at], "1", *WEB[at + 1 :]], container, port)
    try:
        url = f"http://127.0.0.1:{port}"
        with httpx2.Client() as client:
            wait_until(lambda: is_ready(client, url))
        check_web(port=port)
        with httpx2.stream("GET", f"{url}/sub/{public}", timeout=60) as stream:
            assert stream.status_code == 200
            web.send_signal(signal.SIGTERM)
            output, _ = web.communicate(timeout=200)  # although the stream is open
        assert web.returncode in {0, -signal.SIGTERM}, output
    finally:
        web.kill()

    # Another home on the same database: web and worker end with one sentence.
    other = container | {"BAKEOFF_HOME": str(Path(container["BAKEOFF_HOME"]).parent)}
    for command in (WEB, COMPOSE["services"]["worker-loop"]["command"]):
        refused = run(command, other, port)
        lines = refused.communicate(timeout=200)[0].strip().splitlines()
        assert refused.returncode == 1, lines
        assert "are not those of this database (id == none, must be " in lines[-1]
        assert "Traceback" not in "".join(lines)
    adopted = run(["python", "-m", "bakeoff", "artifacts", "--adopt"], other)
    assert adopted.communicate(timeout=200)[0].endswith("holds 0 of 0 artifacts that versions use.\n")
    assert adopted.returncode == 0
    refused = run(["python", "-m", "bakeoff", "artifacts"], container)
    assert "bakeoff artifacts --adopt" in refused.communicate(timeout=200)[0]
    assert refused.returncode == 1
    with psycopg.connect(container["DATABASE_URL"]) as connection:
        entries = connection.execute("SELECT action FROM accounts_auditentry").fetchall()
    assert ("adopt",) in entries


def test_no_password_stands_in_an_address():
    """It may have any character."""
    for name, service in COMPOSE["services"].items():
        environment = service.get("environment", {})
        for variable, value in environment.items():
            # One without a value is passed on from where compose runs.
            if value and ("PASSWORD}" in value or "PASSWORD:" in value):
                assert variable in {"PGPASSWORD", "POSTGRES_PASSWORD"}, name
        if url := environment.get("DATABASE_URL"):
            assert conninfo_to_dict(url)["dbname"] == "bakeoff"


def test_the_composition_passes_every_setting_on():
    """What is exported or stands in .env; keys of providers come by the file alone."""
    parts = [
        one for one in COMPOSE["services"].values() if "DATABASE_URL" in one.get("environment", {})
    ]
    assert len(parts) == 8
    for service in parts:
        assert service["env_file"] == [{"path": ".env", "required": False}]
        assert {*SETTINGS, *FOREIGN_SECRETS} - set(service["environment"]) == {"BAKEOFF_HOME"}
        own = {name for name, value in service["environment"].items() if value is not None}
        assert own == {"DATABASE_URL", "PGPASSWORD", "REDIS_URL", "BROKER_URL", "SECRET_KEY"}


def test_everything_waits_for_the_migrations_and_has_time_to_stop():
    for name, service in COMPOSE["services"].items():
        if "DATABASE_URL" in service.get("environment", {}):
            assert service["stop_grace_period"] == "60s", name
            waits = service["depends_on"].get("migrate", {}).get("condition")
            assert waits == "service_completed_successfully" or name == "migrate"


def test_every_part_has_the_health_check_of_its_kind():
    assert IMAGE_CHECK == ["python", "-m", "bakeoff.container_check"]
    parts = {
        name: part_of("\0".join(service.get("command", WEB)))
        for name, service in COMPOSE["services"].items()
        if "DATABASE_URL" in service.get("environment", {})
    }
    for name, part in parts.items():
        check = COMPOSE["services"][name].get("healthcheck", {})
        assert check == {"disable": True} or check.get("test", [part])[-1] == part, name
    assert parts.pop("migrate") is None
    assert (parts.pop("web"), parts.pop("beat")) == ("web", "beat")
    assert set(parts.values()) == {"worker"}


@pytest.mark.parametrize(
    ("command", "part"),
    [
        ("celery -A bakeoff.celery worker --queues train --hostname beat@%h", "worker"),
        ("/sbin/docker-init\0--\0python\0-m\0celery\0-A\0bakeoff.celery\0beat\0", "beat"),
        ("sh\0-c\0exec uvicorn bakeoff.asgi:application\0", "web"),
        ("celery -A bakeoff.celery inspect active", None),
        ("python\0-m\0bakeoff\0train\0", None),
        ("celery -A shop.celery worker", None),
        ("", None),
    ],
)
def test_the_check_of_the_image_goes_by_the_first_process(command, part):
    assert part_of(command) == part


def test_anybodys_own_part_by_this_image_is_checked_as_what_it_is(tmp_path, monkeypatch, capsys):
    first = tmp_path / "cmdline"
    monkeypatch.setattr("bakeoff.container_check.FIRST_PROCESS", first)
    monkeypatch.setattr("socket.gethostname", lambda: "nowhere-1")
    for part in ("worker", "beat"):
        first.write_text(f"python\0-m\0celery\0-A\0bakeoff.celery\0{part}\0")
        assert main([]) == 1
        assert capsys.readouterr().err == f"Error: {part} at nowhere-1 has given no sign of life.\n"
        assert main([part, "--alive"]) == 1
        with monkeypatch.context() as away:
            away.setenv("REDIS_URL", f"unix://{tmp_path}/none.sock?db=0")
            assert (main([part]), main([part, "--alive"])) == (1, 0)
            assert capsys.readouterr().err.count("The cache gives no answer") == 2
    first.write_text("python\0-m\0bakeoff\0migrate\0")
    assert main([]) == 0
    first.unlink()
    assert main([]) == 1
    assert str(first) in capsys.readouterr().err


def test_a_worker_is_healthy_by_its_own_sign_of_life(monkeypatch):
    url = read_environment().redis_url
    client = redis.Redis.from_url(url)
    names = ("celery@check-1", "beat@check-1", "celery@check-2")
    beats = {
        name: Beat(name=name, pid=1, queues=(), count=1, task="", busy_seconds=0.0, clock=time.time())
        for name in names
    }
    try:
        write_beat(client, beats["celery@check-1"])
        check_beats("worker", redis_url=url, host="check-1")
        with pytest.raises(UnhealthyError, match="beat at check-1 has given no sign of life"):
            check_beats("beat", redis_url=url, host="check-1")
        with pytest.raises(UnhealthyError, match="worker at check-2 has given no sign of life"):
            check_beats("worker", redis_url=url, host="check-2")
        write_beat(client, beats["beat@check-1"])
        check_beats("beat", redis_url=url, host="check-1")
        late = [LastBeat(one, SILENT_SECONDS + 1, 0.0) for one in beats.values()]
        monkeypatch.setattr("bakeoff.container_check.read_beats", lambda _client: late)
        with pytest.raises(UnhealthyError, match="worker at check-1 has been silent for 31 s"):
            check_beats("worker", redis_url=url, host="check-1")
    finally:
        client.hdel("bakeoff:beats", *names)


def test_what_is_away_is_one_sentence(container):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(UnhealthyError, match=f"GET /readyz at port {port} gives no answer"):
            check_web(port=port)
    away = container | {"REDIS_URL": f"unix://{container['BAKEOFF_HOME']}/none.sock?db=0"}
    for part, words in (("beat", "The cache gives no answer: "), ("web", "GET /readyz at port")):
        if part == "web" and _listens(8000):
            continue
        done = run(["python", "-m", "bakeoff.container_check", part], away)
        output = done.communicate(timeout=200)[0]
        assert (done.returncode, output.count("\n")) == (1, 1), output
        assert output.startswith(f"Error: {words}")
    for arguments in (["both"], ["web", "beat"]):
        done = run(["python", "-m", "bakeoff.container_check", *arguments], container)
        assert "must be one of web, worker, beat." in done.communicate(timeout=200)[0]
        assert done.returncode == 2


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
