"""Packages of npm for tests; where they cannot be had, the test is skipped and says why."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SECONDS = 120
SOURCE = Path(__file__).parents[2] / "clients" / "js"
# Of the empty project that the packages are tried in.
TOOLS = (
    "react@19.3.1",
    "react-dom@19.3.1",
    "@types/react@19.3.3",
    "@types/react-dom@19.3.0",
    "typescript@7.0.2",
    "esbuild@0.28.2",
)

# Packed, in bytes: what a page loads by its address, and what a bundler leaves of an import.
SCRIPTS = {"bakeoff.js": 4096, "slate.js": 2816, "survey.js": 2048}
BUNDLES = {
    'export { createClient } from "@bakeoff/js"': 4096,
    'export { bucketsOf } from "@bakeoff/js/hash"': 300,
    'export { loadEmbed } from "@bakeoff/js/stub"': 400,
    'export { defineSlate } from "@bakeoff/js/slate"': 2816,
    'export { defineSurvey } from "@bakeoff/js/survey"': 2048,
    'export { useFlag } from "@bakeoff/react"': 700,
    'export { BakeoffProvider, useRecommendations, useFlag, useFeedback, Viewed } from "@bakeoff/react"': 1900,
}


def npm(folder: Path, *words: str) -> None:
    """Run npm in a folder."""
    if not shutil.which("npm"):
        pytest.skip("no npm here")
    command = ["npm", *words, "--no-audit", "--no-fund", "--fetch-retries=1", "--prefer-offline"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm installs nothing here within {SECONDS} s")
    if done.returncode:
        pytest.skip(f"npm installs nothing here: {done.stderr[-200:]}")


def install(folder: Path, *packages: str) -> Path:
    """Install packages into a folder and return it."""
    (folder / "package.json").write_text('{"type": "module", "private": true}')
    npm(folder, "install", *packages)
    return folder


@dataclass(frozen=True)
class Packages:
    """Our packages, built from their sources and installed in an empty project.

    Attributes:
        workspace: a copy of clients/js with its tools; `sdk` there is what the build made.
        project: where they are installed.
    """

    workspace: Path
    project: Path

    def node(self, source: str, *arguments: str, name: str = "script.mjs"):
        """Run a script in the project; return what came of it."""
        (self.project / name).write_text(source)
        return subprocess.run(
            ["node", name, *arguments],
            cwd=self.project, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def answer(self, source: str, *arguments: str):
        """Run a script and return the JSON that it prints."""
        done = self.node(source, *arguments)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)

    def bundle(self, source: str, *options: str, name: str = "page.tsx") -> bytes:
        """Return a script for a page, with all that it imports."""
        (self.project / name).write_text(source)
        command = [
            "node_modules/.bin/esbuild",
            name,
            "--bundle",
            "--jsx=automatic",
            "--log-level=error",
            *options,
        ]
        done = subprocess.run(command, cwd=self.project, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def minified(self, source: str) -> bytes:
        """Return what a bundler leaves of an import; React is the page's own."""
        outside = ("--external:react", "--external:react/jsx-runtime")
        return self.bundle(source, "--minify", "--format=esm", *outside)

    def check_types(self, *files: str, module: str = "nodenext") -> str:
        """Check files under `strict`, our declarations as well; return what is wrong."""
        resolution = "nodenext" if module == "nodenext" else "bundler"
        command = [
            "node_modules/.bin/tsc", "--noEmit", "--strict", "--skipLibCheck", "false", "--target", "es2022", "--lib",
            "es2022,dom,dom.iterable", "--jsx", "react-jsx", "--module", module, "--moduleResolution", resolution,
            *files,
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=self.project, capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout + done.stderr


def build_workspace(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the packages from a copy of their sources, by the versions of the lock file."""
    skipped = shutil.ignore_patterns("node_modules", "dist", "sdk")
    shutil.copytree(SOURCE, folder, ignore=skipped, dirs_exist_ok=True)
    npm(folder, "ci")
    return subprocess.run(
        ["node", "build.mjs"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def install_packages(folder: Path) -> Packages:
    """Build, pack and install our packages in an empty project."""
    workspace, project = folder / "workspace", folder / "project"
    built = build_workspace(workspace)
    assert built.returncode == 0, built.stdout + built.stderr
    project.mkdir()
    where = ("--pack-destination", str(project))
    npm(workspace, "pack", "--workspace", "packages/js", "--workspace", "packages/react", *where)
    tarballs = sorted(f"./{path.name}" for path in project.glob("*.tgz"))
    install(project, *tarballs, *TOOLS)
    return Packages(workspace, project)
