"""Convert a model that somebody made, in a process of its own with bounds and without secrets.

Standard input holds a line of JSON, the question; the answer is a line of JSON and then the graph, or a
sentence that says what is wrong.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from inference.conversion.converted import ConversionError, Converted

MAX_CPU_SECONDS = 300


def convert(question: dict[str, Any]) -> Converted:
    """Return the graph of a model that a question names.

    Raises:
        ConversionError: it cannot be carried over.
    """
    path = Path(question["path"])
    if question["flavour"] == "pytorch":
        from inference.conversion.torch_graph import convert_torch  # noqa: PLC0415  an extra

        code = Path(question["code"]) if question["code"] else None
        return convert_torch(path, width=question["width"], code=code)
    from inference.conversion.sklearn_graph import convert_sklearn  # noqa: PLC0415  an extra

    return convert_sklearn(
        path,
        serialization=question["serialization"],
        runs_code=question["runs_code"],
        texts=question["texts"],
    )


def _limit_time() -> None:
    try:
        import resource  # noqa: PLC0415  not on Windows
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))


def main() -> None:
    """Read, convert, answer."""
    _limit_time()
    # Libraries print what they like: the answer has a stream of its own.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    question = json.loads(sys.stdin.buffer.readline())
    try:
        done = convert(question)
    except ConversionError as error:
        answer: dict[str, Any] = {"problem": str(error)}
        graph = b""
    except ImportError as error:
        answer, graph = {"missing": error.name or str(error)}, b""
    else:
        inputs = {name: list(columns) for name, columns in done.inputs.items()}
        answer, graph = {"labels": list(done.labels), "inputs": inputs}, done.graph
    with answers:
        answers.write(json.dumps(answer).encode() + b"\n" + graph)


if __name__ == "__main__":
    main()
