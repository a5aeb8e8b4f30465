"""What the layout promises: names, imports, files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.slow_files import SLOW_FILES

ROOT = Path(__file__).parents[2]


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_standard_library_keeps_its_platform():
    assert run_python("import platform; print(platform.system())").strip()


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        (
            "bakeoff.asgi, bakeoff.urls",
            [
                "torch",
                "transformers",
                "scipy.special",
                "scipy.optimize",
                "scipy.stats",
                "pyarrow",
                "onnxruntime",
                "sklearn",
                "implicit",
                "peft",
            ],
        ),
        ("bakeoff.gateway.app", ["django", "torch", "scipy", "celery"]),
        (
            "bakeoff.celery; bakeoff.celery.app.loader.import_default_modules()",
            ["torch", "scipy.special", "scipy.optimize", "scipy.stats"],
        ),
        ("experiments.assignment", ["django", "psycopg", "scipy"]),
        ("experiments.stats.look", ["django", "psycopg", "redis"]),
        ("bakeoff.cli", ["django", "torch", "numpy"]),
    ],
)
def test_a_fresh_process_loads_only_what_it_may(module, absent):
    loaded = run_python(f"import sys, {module}; print('\\n'.join(sys.modules))").split()
    assert not set(absent) & set(loaded)


def test_compose_starts_every_part():
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    services = compose["services"]
    assert set(services) >= {
        "postgres", "valkey", "web", "worker-loop", "worker-analysis", "worker-embed", "worker-answer", "worker-train", "beat",
    }  # fmt: skip
    queues = set()
    for name, service in services.items():
        command = service.get("command", [])
        if "--queues" in command:
            queues |= set(command[command.index("--queues") + 1].split(","))
        for other in service.get("depends_on", {}):
            assert other in services, name
    assert queues == {"default", "analysis", "refresh", "embed", "answers", "train"}


def test_the_dockerfile_names_what_exists():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    instructions = [line for line in lines if line and not line.startswith("#")]
    # CI of who wants a repeatable build names a digest.
    assert instructions[:2] == ["ARG BASE=python:3.11-slim", "FROM ${BASE}"]
    for line in lines:
        if line.startswith("COPY "):
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source


def test_every_command_is_in_the_readme_or_the_docs():
    from bakeoff.cli import COMMANDS

    text = (ROOT / "README.md").read_text() + (ROOT / "docs/commands.md").read_text()
    for command in COMMANDS:
        assert f"bakeoff {command}" in text, command


def test_every_setting_is_documented():
    source = (ROOT / "platform/bakeoff/environment.py").read_text()
    source += (ROOT / "platform/bakeoff/settings.py").read_text()
    documented = (ROOT / "docs/settings.md").read_text()
    import re

    for name in set(re.findall(r'env\.get\("([A-Z_]+)"|environ\.get\("([A-Z_]+)"', source)):
        assert (name[0] or name[1]) in documented


def test_every_fast_route_is_documented():
    from bakeoff.environment import read_environment
    from bakeoff.gateway.app import Gateway

    documented = (ROOT / "docs/http.md").read_text()
    for path in (route.path for route in Gateway(read_environment(), None).routes):
        assert path in documented


def test_the_quickstarts_requests_to_the_fast_lane_say_that_they_are_json():
    """curl calls a body a form unless told otherwise, and the fast lane refuses forms."""
    commands = (ROOT / "docs/quickstart.md").read_text().split("curl ")[1:]
    fast = [
        c for c in commands if c.startswith(("localhost:8000/v1/recommend", "localhost:8000/v1/events"))
    ]
    assert len(fast) == 2
    assert all("Content-Type: application/json" in command.split("```")[0] for command in fast)


def test_every_link_in_the_docs_leads_somewhere():
    import re

    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_slow_files_are_there_and_only_a_whole_run_has_them():
    assert [name for name in SLOW_FILES if not (ROOT / "tests" / name).exists()] == []
    collected = {}
    for options in ((), ("--slow",)):
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/faults", *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        collected[options] = {
            line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line
        }
    assert collected[()] == set()
    assert "tests/faults/test_faults.py" in collected["--slow",]
    named = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/faults/test_faults.py"]
    assert "::" in subprocess.run(named, cwd=ROOT, capture_output=True, text=True, check=False).stdout
