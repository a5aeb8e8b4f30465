"""Build the pages: docs and the generated reference, by MkDocs, with its links checked strictly.

Guarantees: a folder of built pages is there whole or not at all; pages hold no inline script, so that
the platform's policy for scripts need not be loosened for them; nothing is fetched from elsewhere.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.help_site.sources import SOURCES, can_build

if TYPE_CHECKING:
    from collections.abc import Mapping

# Scripts that run: one with a type is data, one with a source is a file already.
INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
MISSING = "The builder of the help pages is not installed: pip install 'bakeoff[docs]'."


class BuildError(Exception):
    """The pages cannot be built; the message is what the builder said."""


def build_site(target: Path, generated: Mapping[str, str]) -> None:
    """Build the pages into a folder; one that is there is replaced.

    Args:
        target: the folder.
        generated: pages that the code writes, by their path below docs.

    Raises:
        BuildError: the builder is missing, or a link or the navigation leads nowhere.
    """
    if not can_build():
        raise BuildError(MISSING)
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        (target.parent / ".lock").open("w") as lock,
        tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as folder,
    ):
        # Two web processes may be called at once: the second waits, and builds the same again.
        fcntl.flock(lock, fcntl.LOCK_EX)
        work = Path(folder)
        _write_sources(work, generated)
        _run_mkdocs(work)
        site = work / "site"
        for page in site.rglob("*.html"):
            _move_scripts_into_files(page, site)
        if target.exists():
            shutil.rmtree(target)
        site.rename(target)


def _write_sources(work: Path, generated: Mapping[str, str]) -> None:
    shutil.copy(SOURCES / "mkdocs.yml", work)
    shutil.copytree(SOURCES / "docs", work / "docs")
    for name, text in generated.items():
        page = work / "docs" / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")


def _run_mkdocs(work: Path) -> None:
    """Run the builder in a process of its own: it changes logging and warnings of the one it is in."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", work / "site"],
        cwd=work,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        output = (done.stderr or done.stdout).splitlines()
        raise BuildError("\n".join(line for line in output if not line.startswith("INFO")).strip())


def _move_scripts_into_files(page: Path, site: Path) -> None:
    """Put each inline script of a page into a file, which is loaded in its place and order."""
    to_root = "../" * (len(page.relative_to(site).parts) - 1)

    def move(script: re.Match[str]) -> str:
        name = f"assets/inline-{hashlib.sha256(script[1].encode()).hexdigest()[:12]}.js"
        (site / name).write_text(script[1], encoding="utf-8")
        return f'<script src="{to_root}{name}"></script>'

    html = page.read_text(encoding="utf-8")
    page.write_text(INLINE_SCRIPT.sub(move, html), encoding="utf-8")
