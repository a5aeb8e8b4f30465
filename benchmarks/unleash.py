"""Unleash from npm, with flags like ours, on a database of its own in the stage's PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psycopg

from benchmarks.stage import free_port

UNLEASH = "unleash-server@8.2.0"
ADMIN, FRONTEND = "*:*.admin", "default:development.frontend"
FEATURES = "/api/admin/projects/default/features"


@contextlib.contextmanager
def unleash(database_url: str, home: Path, *, flags: int) -> Iterator[int]:
    """Install and start Unleash with so many flags; its port, or 0 where npm is not at hand."""
    if not shutil.which("npm"):
        yield 0
        return
    folder = _install(home / "unleash")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE unleash")
    port = free_port()
    process = _start(folder, database_url, port)
    try:
        with httpx2.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": ADMIN}, timeout=30
        ) as client:
            _wait_until_up(client)
            for n in range(flags):
                _create_flag(client, f"flag-{n}")
            _wait_until_served(client, flags)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def frontend_request(number: int) -> bytes:
    """The request of a browser for all flags of a unit."""
    return (
        b"GET /api/frontend?userId=user-%d&country=DE HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
        b"Authorization: %s\r\n\r\n" % (number, FRONTEND.encode())
    )


def _install(folder: Path) -> Path:
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true}')
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", UNLEASH],
        cwd=folder,
        check=True,
    )
    return folder


def _start(folder: Path, database_url: str, port: int) -> subprocess.Popen:
    script = Path(__file__).parent / "peers" / "unleash.mjs"
    database = psycopg.conninfo.conninfo_to_dict(database_url)
    arguments = (script, folder, database["host"], "unleash", database["user"], port)
    variables = {
        **os.environ,
        "NODE_ENV": "production",
        "CHECK_VERSION": "false",
        # Its rate limits are far below what is measured.
        "SDK_API_RATE_LIMIT_PER_MINUTE": "100000000",
        "TOKEN_AUTHENTICATION_RATE_LIMIT_PER_MINUTE": "100000000",
    }
    return subprocess.Popen(["node", *map(str, arguments)], env=variables)


def _wait_until_up(client: httpx2.Client) -> None:
    for _ in range(600):
        with contextlib.suppress(httpx2.HTTPError):
            if client.get("/health").status_code == 200:
                return
        time.sleep(0.2)
    raise RuntimeError("Unleash does not answer")


def _create_flag(client: httpx2.Client, name: str) -> None:
    """A flag that is on, with two variants of equal weight."""
    client.post(FEATURES, json={"name": name, "type": "experiment"}).raise_for_status()
    at = f"{FEATURES}/{name}/environments/development"
    variants = [
        {"name": variant, "weight": 500, "weightType": "variable", "stickiness": "userId"}
        for variant in ("control", "treatment")
    ]
    strategy = {
        "name": "flexibleRollout",
        "parameters": {"rollout": "100", "stickiness": "userId", "groupId": name},
        "variants": variants,
    }
    client.post(f"{at}/strategies", json=strategy).raise_for_status()
    client.post(f"{at}/on").raise_for_status()


def _wait_until_served(client: httpx2.Client, flags: int) -> None:
    """Wait for its frontend API, which reads changes now and then."""
    for _ in range(100):
        answer = client.get("/api/frontend?userId=1", headers={"Authorization": FRONTEND}).json()
        if len(answer.get("toggles", [])) == flags:
            return
        time.sleep(0.3)
    raise RuntimeError(f"Unleash answers {answer}")
