"""Resident memory of web after traffic, and of the worker that holds the encoder."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import psutil

from benchmarks.load import measure, request_bytes
from benchmarks.results import Row, write_result
from benchmarks.stage import UNITS, body, staged

ENCODE = """
import django; django.setup()
from inference.encoders.item_vectors import load_encoder
import psutil
load_encoder().encode(["Heat (1995). Action Crime Thriller"] * 2000)
print(psutil.Process().memory_info().rss)
"""


def run(size: str, home: str) -> None:
    seconds = 10.0 if size == "full" else 2.0
    with staged(home, peer=False) as stage:
        numbers = itertools.count()

        def ask() -> bytes:
            unit = f"user-{next(numbers) % UNITS}"
            return request_bytes(
                "POST", "/v1/recommend", body({"surface": "home-feed", "unit_id": unit}), stage.public
            )

        measure(stage.port, ask, connections=64, seconds=seconds)
        web = psutil.Process(stage.web_pid).memory_info().rss / 2**20
        done = subprocess.run(
            [sys.executable, "-c", ENCODE], capture_output=True, text=True, check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        worker = int(done.stdout.split()[-1]) / 2**20
    rows = [
        Row("web, resident after traffic", web, "MiB", None, None, "ours <= 200", higher_is_better=False),
        Row("worker with the encoder, resident after 2,000 texts", worker, "MiB", None, None, "ours <= 800", higher_is_better=False),
    ]  # fmt: skip
    write_result(
        "memory",
        size,
        rows,
        "The encoder is all-MiniLM-L6-v2 in torch, fp32, one thread.",
        ("torch", "transformers"),
    )
