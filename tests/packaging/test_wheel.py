"""A wheel, installed into a folder of its own and used from another: all that it needs is in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fast_lane import test_database_url

ROOT = Path(__file__).parents[2]
PROBE = """
import json, django
django.setup()
import bakeoff
from django.test import Client
from django.urls import reverse
page = Client(HTTP_HOST="localhost")
paths = ["/sdk/v1.js", "/static/dashboard/page.css", "/static/dashboard/page.js", "/sign-in/", "/docs", "/v1/openapi.json"]
answers = {path: page.get(path) for path in paths}
sign_in = page.get("/sign-in/", headers={"Accept-Language": "zh-Hans"})
print(json.dumps({
    "from": bakeoff.__file__,
    "status": {path: answer.status_code for path, answer in answers.items()},
    "sdk": answers["/sdk/v1.js"].getvalue().decode(),
    "chinese": any("\\u4e00" <= letter <= "\\u9fff" for letter in sign_in.content.decode()),
}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder of an installed wheel; libraries come from the environment of the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("bakeoff-*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile",
           "--disable-pip-version-check", "--root-user-action=ignore", "--target", folder / "site", wheel]  # fmt: skip
    subprocess.run(pip, check=True, capture_output=True)
    return folder / "site"


def run_installed(site: Path, *command, **variables: str) -> str:
    """Run a command from another folder; the installed wheel comes before the working copy."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=site.parent,
        env={**os.environ, "PYTHONPATH": str(site), **variables},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_installed_wheel_serves_its_script_files_and_pages(installed, tables):
    seen = json.loads(
        run_installed(installed, sys.executable, "-c", PROBE, DATABASE_URL=test_database_url())
    )
    assert seen["from"].startswith(str(installed))
    assert seen["status"] == dict.fromkeys(seen["status"], 200)
    newest = max((ROOT / "clients/js/sdk").glob("*/bakeoff.js"))
    assert seen["sdk"] == newest.read_text(encoding="utf-8")
    assert seen["chinese"]


def test_an_installed_wheels_console_script_works(installed):
    assert "analyze" in run_installed(
        installed, sys.executable, installed / "bin" / "bakeoff", "--help"
    )
    (installed.parent / "totals.csv").write_text("variant,n,sum\ncontrol,1000,100\nnew,1000,150\n")
    output = run_installed(
        installed, sys.executable, installed / "bin" / "bakeoff", "analyze", "totals.csv", "--totals",
        "--metric", "m:proportion", "--format", "json",
    )  # fmt: skip
    assert json.loads(output)["decision"]["action"] == "ship"


def test_the_wheel_holds_migrations_templates_and_catalogues(installed):
    for pattern in ("experiments/migrations/0001_*.py", "inference/migrations/0001_*.py", "bakeoff/accounts/migrations/0001_*.py",
                    "bakeoff/dashboard/templates/**/*.html", "bakeoff/locale/*/LC_MESSAGES/django.mo", "bakeoff/api/*.yaml"):  # fmt: skip
        assert list(installed.glob(pattern)), pattern
