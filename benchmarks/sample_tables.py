"""Synthetic tables of four domains, to try a surface that labels text on.

    python -m benchmarks.sample_tables triage triage.csv [--rows 600] [--seed 0]

Nobody's data: words, numbers and labels are drawn. What is drawn has the traits that make each domain
hard: rare labels that matter most, notes that mislead, groups of people that are recognised less well.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator

    Sample = Callable[[Generator], dict[str, Any]]

_COMPLAINTS = {
    "urgent": ["chest pain", "slurred speech", "short of breath", "heavy bleeding", "fainted twice"],
    "soon": ["high fever", "deep cut", "bad migraine", "vomiting since morning", "swollen ankle"],
    "routine": [
        "repeat prescription",
        "sore throat",
        "mild rash",
        "back pain for weeks",
        "vaccination",
    ],
}
_PURPOSES = {"repaid": ["car", "kitchen", "course fees"], "default": ["debts", "holiday", "casino"]}
_REQUESTS = {
    "refund": ["send it back", "money back please", "arrived broken", "wrong size"],
    "delivery": ["where is my parcel", "still not here", "tracking stands still", "late again"],
    "account": ["cannot sign in", "forgot my password", "locked out", "change my e-mail"],
}
_QUESTIONS = {
    "needs_help": ["I am lost", "no idea how to start", "stuck since Monday", "what does this mean"],
    "on_track": ["finished the sheet", "one more exercise please", "all clear so far", "got it"],
}


def sample_triage(rng: Generator) -> dict[str, Any]:
    """A nurse's note: one in eight is urgent, and the old complain less clearly."""
    label = str(rng.choice(list(_COMPLAINTS), p=[0.125, 0.275, 0.6]))
    age = int(rng.integers(1, 95))
    complaint = (
        label if rng.random() < (0.8 if age >= 65 else 0.95) else str(rng.choice(list(_COMPLAINTS)))
    )
    fever = {"urgent": 0.3, "soon": 1.2, "routine": 0.1}[label]
    return {
        "note": f"{rng.choice(_COMPLAINTS[complaint])}, {rng.choice(['walked in', 'brought in', 'called'])}",
        "urgency": label,
        "age": age,
        "age_group": "65 and over" if age >= 65 else "under 65",
        "sex": str(rng.choice(["f", "m"])),
        "temperature": round(float(36.6 + fever + rng.normal(0, 0.4)), 1),
    }


def sample_credit(rng: Generator) -> dict[str, Any]:
    """A loan: one in five is not paid back, and the purpose says something of it."""
    risk = float(rng.normal())
    label = "default" if risk + rng.normal(0, 0.6) > 1.0 else "repaid"
    stated = label if rng.random() < 0.7 else str(rng.choice(list(_PURPOSES)))
    age = int(rng.integers(20, 75))
    return {
        "purpose": str(rng.choice(_PURPOSES[stated])),
        "outcome": label,
        "amount": round(float(np.exp(rng.normal(8.5, 0.6)) * (1 + 0.2 * max(risk, 0))), 2),
        "debt_ratio": round(float(np.clip(0.3 + 0.12 * risk + rng.normal(0, 0.05), 0, 1)), 3),
        "late_payments": int(rng.poisson(np.exp(0.8 * risk - 0.5))),
        "age_group": "under 30" if age < 30 else "30 and over",
    }


def sample_service(rng: Generator) -> dict[str, Any]:
    """A customer's message, with what the shop knows of the customer."""
    label = str(rng.choice(list(_REQUESTS)))
    return {
        "message": f"{rng.choice(['hello', 'hi', ''])} {rng.choice(_REQUESTS[label])}".strip(),
        "intent": label,
        "orders": int(rng.poisson(1 if label == "account" else 3)),
        "language": str(rng.choice(["en", "de"])),
    }


def sample_education(rng: Generator) -> dict[str, Any]:
    """A student's message: who needs help practises less and tries more often."""
    label = str(rng.choice(list(_QUESTIONS), p=[0.3, 0.7]))
    written = label if rng.random() < 0.85 else str(rng.choice(list(_QUESTIONS)))
    lost = label == "needs_help"
    return {
        "message": str(rng.choice(_QUESTIONS[written])),
        "state": label,
        "attempts": int(rng.poisson(5 if lost else 2)),
        "hours": round(float(rng.gamma(2, 1.0 if lost else 2.5)), 1),
        "school": str(rng.choice(["north", "south"])),
    }


DOMAINS: dict[str, Sample] = {
    "triage": sample_triage,
    "credit": sample_credit,
    "service": sample_service,
    "education": sample_education,
}


def write_table(domain: str, file: Path, *, rows: int, seed: int = 0) -> None:
    """Write a table of a domain as CSV."""
    rng = np.random.default_rng(seed)
    samples = [DOMAINS[domain](rng) for _ in range(rows)]
    with file.open("w", encoding="utf-8", newline="") as out:
        # A number of its own: two visits with the same note and values are two rows.
        writer = csv.DictWriter(out, ["id", *samples[0]])
        writer.writeheader()
        writer.writerows({"id": f"{domain}-{n}", **sample} for n, sample in enumerate(samples))


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.sample_tables")
    parser.add_argument("domain", choices=sorted(DOMAINS))
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write_table(arguments.domain, arguments.file, rows=arguments.rows, seed=arguments.seed)


if __name__ == "__main__":
    main()
