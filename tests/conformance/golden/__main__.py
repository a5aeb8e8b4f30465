"""`python -m tests.conformance.golden FILE [--json]`: run reference cases through the engine.

A file holds `cases`: name → method, inputs, the outputs of one or more independent libraries, the one
that is canonical, and a tolerance; `shared` holds sufficient statistics that cases refer to. A case
passes when every number of its canonical output is met.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.conformance.golden.cases import run_file


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.conformance.golden", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    report = run_file(arguments.file)
    if arguments.json:
        print(json.dumps(report))  # noqa: T201
    else:
        for method, row in report["methods"].items():
            print(f"{row['passed']}/{row['total']}  {method}")  # noqa: T201
        for miss in report["misses"]:
            print(f"miss: {miss}")  # noqa: T201
        print(f"{report['passed']} of {report['total']} passed")  # noqa: T201
    sys.exit(0 if report["passed"] == report["total"] else 1)


if __name__ == "__main__":
    main()
