"""How long a newcomer takes from an empty home to the first recommendation, and to the first verdict.

The tutorial is followed word by word, as its test does, but with all its waits.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from benchmarks.results import Row, write_result
from benchmarks.stage import free_port
from tests.support.console import SCRIPT
from tests.support.tutorial import TutorialReader

TUTORIAL = Path(__file__).parent.parent / "docs" / "tutorial.md"
RECOMMENDATION = 'You get **"recommendation_id"**.'
VERDICT = "You see **Shipped**."
FIRST_MINUTES, VERDICT_MINUTES = 2, 7


def run(size: str, home: str) -> None:
    from playwright.sync_api import sync_playwright

    folder, port = Path(home), free_port()
    output = folder / "terminal"
    environment = {**os.environ, "BAKEOFF_HOME": str(folder / "home")}
    began = time.monotonic()
    with output.open("wb") as terminal:
        platform = subprocess.Popen(
            [SCRIPT, "up", "--sample", "--port", str(port)],
            env=environment, stdout=terminal, stderr=terminal,
        )  # fmt: skip
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            reader = TutorialReader(
                script=SCRIPT, folder=folder, output=output, url=f"http://127.0.0.1:{port}",
                page=browser.new_page(), environment=environment,
            )  # fmt: skip
            reader.follow(TUTORIAL.read_text(encoding="utf-8"))
            browser.close()
    finally:
        platform.send_signal(signal.SIGINT)
        platform.wait()
    spent = {name: (reader.reached[name] - began) / 60 for name in (RECOMMENDATION, VERDICT)}
    rows = [
        Row("from an empty home to the first recommendation", spent[RECOMMENDATION], "min", None, None,
            f"ours <= {FIRST_MINUTES}", higher_is_better=False),
        Row("from an empty home to the first verdict", spent[VERDICT], "min", None, None,
            f"ours <= {VERDICT_MINUTES}", higher_is_better=False),
    ]  # fmt: skip
    notes = (
        "docs/tutorial.md, followed word by word in Chromium and by the console script, packages installed; the encoder is "
        "fetched within these times. The visitors are simulated, four a second."
    )
    write_result("newcomer", size, rows, notes)
