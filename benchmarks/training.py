"""Training on recorded behaviour: two-tower heads beside sentence-transformers' trainer on the same pairs.

An example is one (history, liked item) pair. The peer fine-tunes the same encoder on pairs of texts with
its ranking loss, ours learns heads over frozen vectors; both are judged on the same held-out likes. Fine-tuning
of our own, full and by LoRA, is timed on the same texts.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.movielens import K, Stage, split_movielens
from benchmarks.results import Row, write_result
from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.serving.artifact import save_artifact
from inference.serving.ranker import Ranker
from inference.training.head_params import HeadParams

HISTORY = 5  # liked items that one text of the peer's names


def run(size: str, home: str) -> None:
    import torch

    torch.set_num_threads(1)
    root = Path(home)
    stage = split_movielens(root)
    start = time.perf_counter()
    draft = RECOMMENDERS["two-tower"].fit(stage.data, FitOptions())
    seconds = time.perf_counter() - start
    ranker = Ranker(root, save_artifact(root, draft))
    ours = stage.scores_of(
        ranker.candidates([liked[::-1][:50] for liked in stage.past], stage.past, K)
    ).mean("ndcg")
    units = [len(liked) for liked in stage.data.liked if len(liked) >= 2]
    pairs = sum(units) * HeadParams().epochs_for(len(units))
    rate = pairs / seconds
    peer_rate, theirs, trained = _peer(root, stage, 4000 if size == "full" else 200)
    rows = [
        Row("heads, examples", rate, "examples/s", peer_rate, None, "ratio_to_peer >= 50"),
        Row(f"ndcg@{K} after training", ours, "share", theirs, None, "ratio_to_peer >= 1"),
        *_tuning(stage, 60 if size == "full" else 5),
    ]
    notes = (
        f"One thread, no GPU. Heads: {pairs} pairs in {seconds:.1f} s, with everything that a fit does. "
        f"Peer: sentence-transformers 6.2, MultipleNegativesRankingLoss, batches of 32, {trained} pairs."
    )
    write_result("training", size, rows, notes, ("torch", "transformers"))


def _tuning(stage: Stage, steps: int) -> list[Row]:
    """Time fine-tuning of the encoder over the items' texts, a step of 32 texts at a time."""
    from inference.classifiers import CLASSIFIERS
    from inference.training.data import LabelledData

    assert stage.data.item_texts is not None
    texts = list(stage.data.item_texts)[: 32 * steps]
    truth = np.arange(len(texts)) % 8
    data = LabelledData(texts, [{}] * len(texts), truth, list("abcdefgh"))
    rows = []
    for method in ("full", "lora"):
        times = []
        for steps_limit in (
            1,
            1 + steps,
        ):  # what is done once, such as the first encoding, is taken off
            params = {"method": method, "most_steps": steps_limit, "epochs": 100.0}
            start = time.perf_counter()
            CLASSIFIERS["bert"].fit(data, FitOptions(params=params, encoder=stage.encoder))
            times.append(time.perf_counter() - start)
        rows.append(
            Row(f"fine-tuning the encoder, {method}", 32 * steps / (times[1] - times[0]), "examples/s")
        )
    return rows


def _peer(root: Path, stage: Stage, steps_limit: int) -> tuple[float, float, int]:
    """Return the peer's examples a second, its NDCG, and on how many pairs it was trained."""
    target = root / "sentence-transformers-peer"
    names = ["sentence-transformers==6.2.0", "datasets==5.2.0", "dill", "multiprocess", "xxhash"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), *names],
        check=True,
    )
    sys.path.append(str(target))
    import datasets
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import MultipleNegativesRankingLoss
    from sentence_transformers.models import Normalize, Pooling, Transformer

    read = Transformer(stage.encoder, max_seq_length=128)
    model = SentenceTransformer(modules=[read, Pooling(384, "mean"), Normalize()], device="cpu")
    texts = list(stage.data.item_texts or [])
    rng = np.random.default_rng(0)
    every = [(liked, n) for liked in stage.data.liked for n in range(1, len(liked))]
    chosen = [every[i] for i in rng.permutation(len(every))[:steps_limit]]
    rows = {
        "anchor": [" ".join(texts[i] for i in liked[max(0, n - HISTORY) : n]) for liked, n in chosen],
        "positive": [texts[liked[n]] for liked, n in chosen],
    }
    trainer = SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            output_dir=str(root / "peer"),
            num_train_epochs=1,
            per_device_train_batch_size=32,
            report_to="none",
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
        ),
        train_dataset=datasets.Dataset.from_dict(rows),
        loss=MultipleNegativesRankingLoss(model),
    )
    start = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - start
    items = np.asarray(model.encode(texts, batch_size=32, show_progress_bar=False))
    queries = [" ".join(texts[i] for i in liked[-HISTORY:]) for liked in stage.past]
    scores = np.asarray(model.encode(queries, batch_size=32, show_progress_bar=False)) @ items.T
    for row, seen in enumerate(stage.past):
        scores[row, seen] = -np.inf
    ranked = list(np.argsort(-scores, axis=1)[:, :K].astype(np.int32))
    return len(chosen) / seconds, stage.scores_of(ranked).mean("ndcg"), len(chosen)
