"""A newcomer follows docs/tutorial.md word by word: in a home of its own, by console script and browser."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.console import SCRIPT
from tests.support.faults.platform import PlatformUnderTest
from tests.support.servers import WARM
from tests.support.tutorial import TutorialReader, read_steps

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


def test_a_line_that_nobody_understands_fails(tmp_path):
    reader = TutorialReader(SCRIPT, tmp_path, tmp_path / "out", "", None, {})
    with pytest.raises(AssertionError, match=r"no reader understands 'Think of a number\.'"):
        reader.follow("# A page\n\n1. Think of a number.\n")


def test_every_block_and_line_is_a_step():
    steps = list(read_steps(TUTORIAL.read_text(encoding="utf-8")))
    assert [step.language for step in steps if step.language] == ["sh", "sh", "html", "sh"]
    assert steps[-1].text == "You get **The sample shop is gone**."


def test_the_tutorial_works_without_its_wait_for_the_verdict(tmp_path, chromium, tiny_bert):
    home = tmp_path / "home"
    assert tiny_bert.exists()  # the platform's encoder, by the environment
    platform = PlatformUnderTest(home, own_disk=False, arguments=["--sample"], interpreter=WARM)
    platform.start()
    try:
        context = chromium.new_context()
        environment = {**os.environ, "BAKEOFF_HOME": str(home)}
        for name in ("DATABASE_URL", "REDIS_URL", "BROKER_URL"):
            environment.pop(name, None)
        reader = TutorialReader(
            script=SCRIPT, folder=tmp_path, output=platform.output, url=platform.url,
            page=context.new_page(), environment=environment, waits=False,
        )  # fmt: skip
        reader.follow(TUTORIAL.read_text(encoding="utf-8"))
        platform.until(lambda: "its visitors stop" in platform.output.read_text(), "visitors stop")
        context.close()
    finally:
        platform.stop()
