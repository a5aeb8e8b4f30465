"""The Next.js example, built with the packed packages and driven in Chromium."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress

import pytest

from experiments.models import Event, Exposure, Feedback, Slate
from tests.support import builders
from tests.support.browser import chromium  # noqa: F401  a fixture
from tests.support.npm import SOURCE, build_workspace, npm

SECONDS = 120


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The example with our packages from their tarballs, built for production."""
    folder = tmp_path_factory.mktemp("next")
    workspace, example = folder / "workspace", folder / "example"
    assert build_workspace(workspace).returncode == 0
    shutil.copytree(SOURCE / "examples/nextjs", example)
    npm(workspace, "pack", "--workspace", "packages/js", "--workspace", "packages/react", "--pack-destination", str(folder))  # fmt: skip
    npm(example, "install", *(str(path) for path in sorted(folder.glob("*.tgz"))))
    done = subprocess.run(
        ["npx", "next", "build"], cwd=example, capture_output=True, text=True, check=False,
        timeout=300, env={**os.environ, "NEXT_TELEMETRY_DISABLED": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return example


@pytest.fixture
def site(built, lane, shop):
    """The address of the example, whose platform is the fast lane."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "BAKEOFF_URL": lane.url, "BAKEOFF_PUBLIC_KEY": shop.public, "NEXT_TELEMETRY_DISABLED": "1"}  # fmt: skip
    server = subprocess.Popen(
        [built / "node_modules/.bin/next", "start", "-p", str(port), "-H", "127.0.0.1"], cwd=built,
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            break
        time.sleep(0.2)
    yield url
    os.killpg(server.pid, 15)
    server.communicate(timeout=30)


def wait_for(rows, count: int) -> int:
    deadline = time.monotonic() + 20
    while rows.count() < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return rows.count()


def test_a_page_of_the_server_is_one_exposure(site, chromium, lane, shop, page):  # noqa: F811
    feed = shop.run_experiment()
    heading = builders.experiment(shop, page, "heading", values=("Films", "For you"))
    lane.refresh()
    context = chromium.new_context()
    visit = context.new_page()
    requested, problems = [], []
    visit.on("request", lambda request: requested.append(request.url.removeprefix(lane.url)))
    visit.on("console", lambda one: one.type in {"error", "warning"} and problems.append(one.text))
    visit.on("pageerror", lambda error: problems.append(str(error)))
    visit.goto(site)
    rows = visit.get_by_role("listitem")
    assert rows.count() == 5
    views = Event.objects.filter(project=shop.project, name="view")
    assert wait_for(views, 5) == 5
    assert wait_for(Exposure.objects.filter(experiment=heading), 1) == 1
    slate = Slate.objects.get(project=shop.project)
    (cookie,) = context.cookies(site)
    unit = Exposure.objects.get(experiment=feed).unit_id
    assert unit == slate.unit_id == cookie["value"]
    assert Exposure.objects.get(experiment=heading).unit_id == unit
    assert {view.recommendation_id for view in views} == {slate.recommendation_id}
    assert not [path for path in requested if path.startswith(("/v1/recommend", "/ofrep"))]
    rows.nth(0).get_by_role("button", name="Like").click()
    assert wait_for(Feedback.objects.filter(project=shop.project), 1) == 1
    # Another visit is the same visitor, and again one slate.
    visit.reload()
    rows.nth(4).wait_for()
    assert Slate.objects.filter(project=shop.project).count() == 2
    assert Exposure.objects.filter(experiment=feed).count() == 1
    visit.get_by_role("button", name="More").click()
    assert wait_for(Slate.objects.filter(project=shop.project), 3) == 3
    assert [text for text in problems if "favicon" not in text and "404" not in text] == []
    context.close()
