"""Segment's own clients, unmodified, deliver every event while servers are killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from tests.support.faults.conductor import prepare
from tests.support.faults.platform import PlatformUnderTest
from tests.support.npm import install
from tests.support.servers import WARM

# BAKEOFF_TEST_EVENTS=10000 is the full proof.
EVENTS = int(os.environ.get("BAKEOFF_TEST_EVENTS", "2000"))
NODE = """
import { Analytics } from "@segment/analytics-node";
const [key, host, count] = process.argv.slice(2);
const analytics = new Analytics({ writeKey: key, host, flushAt: 100, flushInterval: 200, maxRetries: 12 });
let errors = 0;
analytics.on("error", (error) => { errors += 1; console.error(error.code, error.reason); });
for (let n = 0; n < Number(count); n += 1) {
  analytics.track({ userId: `u${n % 500}`, event: "Node Clicked", messageId: `node-${n}`, properties: { n, product_id: `i${n % 20}` } });
  if (n % 100 === 99) await new Promise((resolve) => setTimeout(resolve, 400));
}
await analytics.closeAndFlush({ timeout: 120000 });
console.log("errors", errors);
"""


@pytest.fixture(scope="module")
def platform():
    folder = Path(tempfile.mkdtemp(prefix="bf-"))
    platform = PlatformUnderTest(folder / "h", own_disk=False, interpreter=WARM)
    try:
        platform.start()
        prepare(platform)
        yield platform
    finally:
        platform.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def trouble(platform):
    """Kill something every second while a client sends; called, it ends."""
    stop, killed = threading.Event(), []

    def make_trouble() -> None:
        for name in ["web", "postgres", "valkey"]:
            if stop.wait(0.8):
                return
            platform.kill(name)
            killed.append(name)
            platform.wait_until_ready()

    thread = threading.Thread(target=make_trouble, daemon=True)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join(60)
        assert killed, "nothing was killed while the client sent"

    yield end
    stop.set()
    thread.join(60)


def count(platform, name: str) -> tuple[int, int]:
    """How many events there are, and how many different ones."""
    platform.wait_until_drained()
    with platform.database() as connection:
        return connection.execute(
            "SELECT count(*), count(DISTINCT event_id) FROM experiments_event WHERE name = %s", [name]
        ).fetchone()


def test_the_python_client(platform, trouble):
    from segment.analytics import Client

    failed = []
    client = Client(
        platform.public,
        host=platform.url,
        max_queue_size=2 * EVENTS,
        upload_size=100,
        upload_interval=0.2,
        gzip=True,
        on_error=lambda error, _batch: failed.append(error),
    )
    for n in range(EVENTS):
        client.track(f"u{n % 500}", "Python Clicked", {"n": n, "product_id": f"i{n % 20}"})
        if n % 100 == 99:
            time.sleep(0.4)  # all together longer than two servers take to be killed and come back
    client.shutdown()
    trouble()
    assert not failed
    assert count(platform, "Python Clicked") == (EVENTS, EVENTS)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A folder with the client from npm and the script that uses it."""
    folder = install(tmp_path_factory.mktemp("node"), "@segment/analytics-node@3.1.0")
    (folder / "send.js").write_text(NODE)
    return folder


def test_the_node_client(platform, node, trouble):
    done = subprocess.run(
        ["node", "send.js", platform.public, platform.url, str(EVENTS)],
        cwd=node, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    trouble()
    assert "errors 0" in done.stdout, done.stdout + done.stderr[-2000:]
    assert count(platform, "Node Clicked") == (EVENTS, EVENTS)
