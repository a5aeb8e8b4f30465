"""Every error code, with its statuses and a sentence it comes with, as the code raises them."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.help_site.markdown import code, plain, table
from bakeoff.help_site.sources import PACKAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """# Errors

Generated from the code. Every error of both lanes has one shape; `message` names the value and the
rule, `field` the field of the request, where one is at fault:

```json
{"error": {"code": "invalid_value", "message": "k == 0, must be 1 to 1000.", "field": "k"}}
```

Chat completions and flags have the error shapes of OpenAI and OFREP, with the same codes. A 429 and a
503 carry `Retry-After`; a request with an id may be sent again. Each … stands for a value.

"""
# Constructors and functions that take a status and a code, and at which argument they begin.
TAKE_STATUS = {"ApiError": 0, "Problem": 0, "_answer": 1}
# Codes without a status beside them: what a value breaks, what a state forbids, what an action refuses.
OF_FILE = (("experiments/bounds.py", "400"), ("experiments/models", "409"), ("move_champion.py", "409"))
OF_ACTIONS = "409 or 422"
BY_HAND = (("400", "invalid_value", "k == 0, must be 1 to 1000."),)


def errors_page() -> str:
    """Return the page."""
    rows: dict[str, tuple[set[str], str]] = {}
    for status, name, message in (*BY_HAND, *_raised()):
        statuses, first = rows.get(name, (set(), ""))
        # A message that only names a value says less than one of words.
        rows[name] = {*statuses, status}, first if len(first) >= len(message) else message
    return HEAD + table(
        ("code", "status", "for example"),
        ((code(name), _statuses(s), plain(words)) for name, (s, words) in sorted(rows.items())),
    )


def _statuses(of_code: set[str]) -> str:
    # One that is written down says more than the two that actions may have.
    return ", ".join(sorted(of_code - {OF_ACTIONS})) or OF_ACTIONS


def _raised() -> Iterator[tuple[str, str, str]]:
    rooms = [PACKAGE / "api", PACKAGE / "gateway", _folder("experiments"), _folder("inference")]
    for path in sorted(path for room in rooms for path in room.rglob("*.py")):
        status = next((s for part, s in OF_FILE if part in path.as_posix()), OF_ACTIONS)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield from _of_call(node, status)
            elif isinstance(node, ast.ClassDef):
                yield from _of_class(node)


def _folder(package: str) -> Path:
    (folder,) = importlib.import_module(package).__path__
    return Path(folder)


def _of_call(node: ast.Call, status: str) -> Iterator[tuple[str, str, str]]:
    name = ast.unparse(node.func).rsplit(".", 1)[-1]
    keywords = {one.arg: one.value for one in node.keywords}
    if name in TAKE_STATUS:
        first, second, *rest = [*node.args[TAKE_STATUS[name] :], None, None]
        if isinstance(first, ast.Constant) and isinstance(second, ast.Constant):
            yield str(first.value), str(second.value), _text(rest[0])
    elif name == "not_found" and isinstance(node.args[0], ast.Constant):
        kind = str(node.args[0].value)
        yield "404", f"unknown_{kind}", f"{kind} == '…', not found in project '…'. Did you mean '…'?"
    elif name.endswith("Error") and isinstance(keywords.get("code"), ast.Constant):
        yield (
            status,
            str(ast.literal_eval(keywords["code"])),
            _text(node.args[0] if node.args else None),
        )


def _of_class(node: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    """Give the code that an exception of a state has in its class."""
    for line in node.body:
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "code":
            yield (
                "409",
                str(ast.literal_eval(line.value)),
                (ast.get_docstring(node) or "").split("\n")[0],
            )


def _text(node: ast.expr | None) -> str:
    """Return a message as far as it is written down."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return ""
