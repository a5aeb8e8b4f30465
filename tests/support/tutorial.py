"""Follow a tutorial as its reader would: each numbered line is a step, each block is typed or saved.

A line that this reader does not understand fails: nothing of the page is skipped.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$|^\d+\. ([^\n]+)$", re.DOTALL | re.MULTILINE)
PAGE_ADDRESS = "http://127.0.0.1:8000"
GOODS = {"the first good": "#slate li button", "five goods": "#goods li", "item": "#slate"}
PATIENCE_SECONDS = 600


@dataclass(frozen=True)
class Step:
    """A numbered line, or a block of code in a language."""

    text: str
    language: str = ""


def read_steps(page: str) -> Iterator[Step]:
    """Yield the steps of a page in their order."""
    for language, code, line in BLOCK.findall(page):
        yield Step(line) if line else Step(code, language)


@dataclass
class TutorialReader:
    """Does what the page says, with a terminal, a folder and a browser.

    Attributes:
        script: the console script, in place of the one that the page installs.
        folder: where files are saved.
        output: of `bakeoff up`, as far as it is printed.
        url: where the platform really listens.
        page: of a browser.
        environment: of commands.
        waits: whether it waits for what takes minutes.
        reached: when each step was done, in seconds of a clock that only goes forward.
    """

    script: Path
    folder: Path
    output: Path
    url: str
    page: Any
    environment: dict[str, str]
    waits: bool = True
    reached: dict[str, float] = field(default_factory=dict)
    answer: str = ""
    is_verdict_skipped: bool = False

    def follow(self, text: str) -> None:
        """Follow a page from the first line to the last."""
        for step in read_steps(text):
            self._do(step)
            self.reached[step.text] = time.monotonic()

    def _do(self, step: Step) -> None:
        if step.language == "sh":
            self._type(step.text)
        elif step.language == "html":
            (self.folder / "shop.html").write_text(self._as_here(step.text), encoding="utf-8")
        else:
            assert not step.language, f"a block of {step.language}"
            self._act(step.text)

    def _act(self, line: str) -> None:
        for pattern, act in (
            (r"Wait until it prints `(.+)`\.", self._wait_for),
            (r"Open the address after `(.+)`\.", self._open_printed),
            (r"Open the file `(.+)`\.", self._open_file),
            (r"Sign in with the login\.", self._sign_in),
            (r"Click \*\*(.+)\*\*\.", self._click),
            (r"You see \*\*(.+?)\*\*[,.].*", self._see),
            (r"You get \*\*(.+)\*\*\.", self._get),
        ):
            if match := re.fullmatch(pattern, line):
                act(*match.groups())
                return
        raise AssertionError(f"no reader understands '{line}'")

    # The terminal

    def _type(self, block: str) -> None:
        """Type a block; what installs was done, and what starts the platform runs already."""
        if "bakeoff up --sample" in block:
            assert block.splitlines()[1:] == [
                ".venv/bin/pip install '.[docs]'",
                ".venv/bin/bakeoff up --sample",
            ]
            return
        typed = self._as_here(block).replace(".venv/bin/bakeoff", str(self.script))
        done = subprocess.run(
            ["sh", "-c", typed], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        self.answer = done.stdout

    def _as_here(self, text: str) -> str:
        key = self.printed("the shop").rpartition("key=")[2]
        return text.replace(PAGE_ADDRESS, self.url).replace("pk_…", key)

    def printed(self, name: str) -> str:
        """Return what the terminal shows after a name, or nothing."""
        lines = re.findall(rf"^ *{name}:? +(.*)$", self.output.read_text(), re.MULTILINE)
        return lines[-1] if lines else ""

    def _wait_for(self, name: str) -> None:
        if name == "Verdict" and not self.waits:
            self.is_verdict_skipped = True
            return
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.printed(name):
            printed = self.output.read_text()
            assert "has no experiment yet" not in printed, printed
            assert time.monotonic() < deadline, printed
            time.sleep(0.2)

    def _get(self, text: str) -> None:
        assert text in self.answer

    # The browser

    def _open_printed(self, name: str) -> None:
        self.page.goto(self.printed(name).partition(" ")[0])

    def _open_file(self, name: str) -> None:
        self.page.goto((self.folder / name).as_uri())

    def _sign_in(self) -> None:
        name, _slash, password = self.printed("login").partition(" / ")
        self.page.fill("input[name=username]", name)
        self.page.fill("input[name=password]", password)
        self.page.keyboard.press("Enter")

    def _click(self, what: str) -> None:
        self.page.locator(GOODS[what]).first.click()

    def _see(self, what: str) -> None:
        if what == "Shipped" and self.is_verdict_skipped:
            return
        target = self.page.locator(GOODS[what]) if what in GOODS else self.page.get_by_text(what)
        target.first.wait_for(timeout=30_000)
        if what == "five goods":
            self.page.wait_for_function("document.querySelectorAll('#goods li').length === 5")
