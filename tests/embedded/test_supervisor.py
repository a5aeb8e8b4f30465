"""`bakeoff up` as a person meets it: starts, refuses with one sentence, stops without a trace."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import httpx2
import psutil
import pytest

from bakeoff.environment import run_folder_of
from tests.support.servers import WARM
from tests.support.template import copy_template
from tests.support.tiny_causal import write_tiny_causal
from tests.support.waiting import wait_until
from tests.support.warm_python import called_by, family_of


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Up:
    """A `bakeoff up` in a home of its own."""

    def __init__(self, home: Path, port: int | None = None, **variables: str) -> None:
        self.home, self.port = home, port or free_port()
        environment = {**os.environ, "BAKEOFF_HOME": str(home), **variables}
        self.process = subprocess.Popen(
            [WARM, "-m", "bakeoff", "up", "--port", str(self.port)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        )  # fmt: skip
        self.url = f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self) -> str:
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if "secret key" in line or ("is ready" in line and (self.home / "known").exists()):
                break
        else:
            pytest.fail(f"It ended with {self.process.wait()}: {''.join(lines)}")
        (self.home / "known").touch()
        return "".join(lines)

    def family(self) -> list[psutil.Process]:
        return family_of(psutil.Process(self.process.pid))

    def stop(self, number=signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


def words_of(process: psutil.Process) -> list[str]:
    """The command of a process; none of one that has ended meanwhile."""
    with suppress(psutil.NoSuchProcess):
        return process.cmdline()
    return []


def answers_locally(client: httpx2.Client, address: str) -> bool:
    """Whether the embedded model completes a chat."""
    request = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 3}
    try:
        answer = client.post(f"http://{address}/v1/chat/completions", json=request, timeout=60)
    except httpx2.TransportError:
        return False
    return answer.json()["usage"]["completion_tokens"] == 3


@pytest.fixture
def home():
    folder = Path(tempfile.mkdtemp(prefix="bakeoff-up-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def client():
    """One for all looks: each client reads the system's certificates, which takes 25 ms."""
    with httpx2.Client(timeout=60) as client:
        yield client


def refusal_of(up: Up) -> str:
    """The last line of a start that ends by itself, without a traceback."""
    output = up.process.communicate(timeout=200)[0]
    assert up.process.returncode == 1
    assert "Traceback" not in output
    return output.strip().splitlines()[-1]


def test_it_starts_serves_restarts_and_leaves_nothing_behind(home, client):
    copy_template(home)
    up = Up(home)
    output = up.wait_until_ready()
    public = re.search(r"pk_\S+", output).group()
    secret = re.search(r"sk_\S+", output).group()
    headers = {"Authorization": f"Bearer {secret}"}
    assert (
        client.put(
            f"{up.url}/v1/surfaces", json={"key": "home", "static_list": ["a"]}, headers=headers
        ).status_code
        == 200
    )
    assert (run_folder_of(home) / "address").read_text() == up.url  # what commands of this home ask
    ask = {"surface": "home", "unit_id": "u"}
    key = {"Authorization": f"Bearer {public}"}
    deadline = time.monotonic() + 10
    while (answer := client.post(f"{up.url}/v1/recommend", json=ask, headers=key)).status_code == 404:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert answer.json()["fallback"] == "no_champion"

    holder = called_by(psutil.Process(up.process.pid)).pid
    assert f"is in use by process {holder}" in refusal_of(Up(home))
    busy = Up(home / "other", port=up.port)
    assert f"Port {up.port} on 127.0.0.1 cannot be used" in refusal_of(busy)

    family = up.family()
    assert up.stop() == 0
    assert not (run_folder_of(home) / "address").exists()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive

    write_tiny_causal(home / "tiny.gguf")
    local = f"127.0.0.1:{free_port()}"
    models = {"BAKEOFF_LOCAL_LLM": local, "BAKEOFF_LOCAL_MODELS": f"tiny={home}/tiny.gguf"}
    again = Up(home, **models)
    assert "secret key" not in again.wait_until_ready()
    assert client.get(f"{again.url}/v1/surfaces", headers=headers).json()[0]["key"] == "home"

    # Killed without warning, it leaves servers, web and workers behind; the next start in this home
    # ends them, takes the same ports, and leaves nothing either.
    wait_until(lambda: answers_locally(client, local))
    family = again.family()
    again.stop(signal.SIGKILL)
    third = Up(home, port=again.port, **models)
    third.wait_until_ready()
    assert client.get(f"{third.url}/v1/surfaces", headers=headers).status_code == 200
    family += third.family()
    wait_until(lambda: answers_locally(client, local))
    killed = next(one for one in third.family() if "local-llm" in words_of(one))
    killed.kill()
    wait_until(lambda: not killed.is_running() and answers_locally(client, local))
    family += third.family()

    # Without its home it would start what ends at once, for ever: it says so and stops.
    away = home.rename(f"{home}-away")  # at once: deleting fails where a process writes meanwhile
    shutil.rmtree(away, ignore_errors=True)
    gone = f"Error: The home folder {home} is gone: the platform stops."
    assert refusal_of(third).startswith(gone)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_a_home_that_cannot_be_written_is_one_sentence():
    up = Up(Path("/proc/nowhere"))
    assert refusal_of(up).startswith("Error: Home /proc/nowhere cannot be written")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a small disk")
def test_a_full_disk_is_one_sentence(home):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(home)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this system mounts nothing, so there is no small disk")
    try:
        up = Up(home)
        output = up.process.communicate(timeout=60)[0].strip().splitlines()
        assert up.process.returncode == 1
        assert "free some space" in output[-1]
    finally:
        subprocess.run(["umount", str(home)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a user namespace")
def test_without_unshare_root_is_told_the_way_out(home, monkeypatch):
    folder = Path(tempfile.mkdtemp())
    refusing = folder / "unshare"
    refusing.write_text("#!/bin/sh\nexit 1\n")
    refusing.chmod(0o755)
    up = Up(home, PATH=f"{folder}:{os.environ['PATH']}")
    output = up.process.communicate(timeout=60)[0].strip().splitlines()
    assert up.process.returncode == 1
    assert "run bakeoff as an ordinary user, or set DATABASE_URL" in output[-1]


def test_a_deep_home_finds_a_place_for_its_sockets(tmp_path):
    from bakeoff.environment import run_folder_of

    deep = tmp_path / ("x" * 100)
    assert len(str(run_folder_of(deep) / ".s.PGSQL.5432")) < 100
    assert run_folder_of(tmp_path / "h") != run_folder_of(deep)
