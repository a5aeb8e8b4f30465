"""`python -m benchmarks [--only NAME] [--size small|full]`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time

NAMES = (
    "assignment",
    "recommend",
    "events",
    "web",
    "ofrep",
    "start",
    "backup",
    "newcomer",
    "memory",
    "power",
    "statistics",
    "breaker",
    "breaker_live",
    "interleaving",
    "variance",
    "bandit",
    "rank",
    "contextual",
    "judges",
    "new_items",
    "storefront",
    "gains",
    "programme",
    "scorecard",
    "engines",
    "freshness",
    "refresh",
    "catalogue_size",
    "nearest_texts",
    "slate_rules",
    "embedding",
    "training",
    "parallel",
    "generators",
    "recommenders",
    "tuned_recommenders",
    "recbole",
    "classify",
    "multilingual",
    "themes",
    "cold",
    "private",
    "generate",
    "off_policy",
    "pages",
    "packages",
    "redaction",
    "usage",
    "faults",
    "month",
    "hostile",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks")
    parser.add_argument("--only", choices=NAMES)
    parser.add_argument("--size", choices=["small", "full"], default="full")
    arguments = parser.parse_args()
    from benchmarks.results import write_page

    failed = []
    for name in [arguments.only] if arguments.only else NAMES:
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="bakeoff-bench-") as home:
            # In a process of its own: each has a home, and Django reads its settings once.
            code = f"from benchmarks.{name} import run; run({arguments.size!r}, {home!r})"
            if subprocess.run([sys.executable, "-c", code], check=False).returncode:
                failed.append(name)
                print(f"{name} failed", file=sys.stderr)
        print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)
    write_page()
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
