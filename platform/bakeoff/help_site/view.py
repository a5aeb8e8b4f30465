"""`/help/`: the built pages, as files; built by the first call where nobody has built them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from django.conf import settings
from django.shortcuts import redirect, render
from django.utils._os import safe_join
from django.views.decorators.http import require_safe
from django.views.static import serve

from bakeoff.help_site.build import MISSING
from bakeoff.help_site.sources import can_build, site_folder

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase

SECONDS_BETWEEN_LOOKS = 2


class Builder:
    """At most one build per process, beside the requests: no thread of pages waits for it."""

    def __init__(self) -> None:
        """Begin with no build."""
        self._lock = Lock()
        self._process: subprocess.Popen[str] | None = None

    def problem_after_starting(self, home: Path) -> str:
        """Start a build unless one runs; return why the last one failed, or nothing.

        Args:
            home: of the platform, where the log goes.
        """
        with self._lock:
            log = home / "logs" / "help.log"
            status = self._process.poll() if self._process is not None else 0
            if status:
                return log.read_text(encoding="utf-8").strip()[-2000:]
            if status == 0:
                log.parent.mkdir(parents=True, exist_ok=True)
                with log.open("w", encoding="utf-8") as output:
                    self._process = subprocess.Popen(
                        [sys.executable, "-m", "bakeoff", "docs"],
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        text=True,
                    )
            return ""


BUILDER = Builder()


@require_safe
def show_help(request: HttpRequest, path: str = "") -> HttpResponseBase:
    """Answer a file of the pages; they say nothing of a project, so nobody need sign in."""
    site = site_folder(settings.BAKEOFF.home)
    if not site.exists():
        return _say_not_built(request)
    # Before anything is looked at: an address that leads out of the folder is refused (400).
    target = Path(safe_join(site, path))
    if target.is_dir() and path and not path.endswith("/"):
        return redirect("help", path=f"{path}/")
    if not path or path.endswith("/"):
        path += "index.html"
    answer = serve(request, path, document_root=str(site))
    answer["Cache-Control"] = "public, max-age=300"
    return answer


def _say_not_built(request: HttpRequest) -> HttpResponseBase:
    problem = BUILDER.problem_after_starting(settings.BAKEOFF.home) if can_build() else MISSING
    answer = render(request, "dashboard/help.html", {"problem": problem}, status=503)
    if not problem:
        answer["Retry-After"] = answer["Refresh"] = str(SECONDS_BETWEEN_LOOKS)
    return answer
