"""Prompts as text, and what two of them differ in, line by line."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.serving.prompts import Prompt

MAX_LINES = 2000  # of each; difflib's time is their product


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a comparison.

    Attributes:
        kind: whether both have it, only the first, or only the second.
        text: without its end.
    """

    kind: Literal["same", "removed", "added"]
    text: str


class _Dumper(yaml.SafeDumper):
    """YAML whose longer texts are blocks, so that a line of a prompt is a line."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def prompt_text(prompt: Prompt) -> str:
    """Return a prompt as YAML, without what it leaves at its default."""
    plain: dict[str, Any] = {
        name: value for name, value in prompt.as_json().items() if value not in (None, [], {})
    }
    checks = {name: value for name, value in plain["checks"].items() if value not in (None, [])}
    plain |= {"checks": checks}
    if not checks:
        del plain["checks"]
    return str(yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000))


def diff_prompts(before: Prompt, after: Prompt) -> Sequence[DiffLine]:
    """Return the lines of two prompts, what both have once."""
    first = prompt_text(before).splitlines()[:MAX_LINES]
    second = prompt_text(after).splitlines()[:MAX_LINES]
    lines: list[DiffLine] = []
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    for tag, start, end, other_start, other_end in matcher.get_opcodes():
        if tag == "equal":
            lines += [DiffLine("same", text) for text in first[start:end]]
            continue
        lines += [DiffLine("removed", text) for text in first[start:end]]
        lines += [DiffLine("added", text) for text in second[other_start:other_end]]
    return lines
