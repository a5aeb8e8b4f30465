"""Vectors of the catalogue's texts, computed once per text and stored in the database."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from django.conf import settings

from inference.encoders.locate import (
    NotFoundError,
    locate_encoder,
    sha256_of_encoder,
    why_unavailable,
)
from inference.models import Item, ItemVector

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from inference.encoders.text_encoder import TextEncoder
    from inference.serving.artifact import Floats

MAX_READ = 5000  # vectors a statement reads
CHUNK = 256  # texts an insert: what a worker that dies has to embed again


@cache
def encoder_path() -> str:
    """Return where the configured encoder lies.

    Raises:
        NotFoundError: it cannot be had.
    """
    return locate_encoder(settings.BAKEOFF.encoder, settings.BAKEOFF.home / "cache" / "encoders")


@cache  # a training asks several times, and a download that fails takes long
def why_no_encoder() -> str:
    """Return why the configured encoder cannot be had; nothing where it can."""
    return why_unavailable(settings.BAKEOFF.encoder, settings.BAKEOFF.home / "cache" / "encoders")


@cache
def encoder_sha256() -> str:
    """Return the hash of the configured encoder's weights."""
    return sha256_of_encoder(encoder_path())


@cache
def load_encoder() -> TextEncoder:
    """Return this process's encoder; the first call loads it."""
    # torch enters a process only here.
    from inference.encoders.text_encoder import TextEncoder  # noqa: PLC0415

    return TextEncoder(encoder_path())


def embed_missing(
    items: Sequence[Item],
    *,
    path: str = "",
    progress: Callable[[int], None] = lambda _count: None,
) -> int:
    """Embed the texts that have no vector yet; return how many there were.

    Args:
        items: whose texts.
        path: of another encoder than the configured one; empty for that.
        progress: receives how many more are done: first those that have a vector already.
    """
    digest = sha256_of_encoder(path) if path else encoder_sha256()
    texts = {ItemVector.key_of(item.text_to_embed): item.text_to_embed for item in items}
    known = set(
        ItemVector.objects.filter(encoder_sha256=digest, text_sha256__in=texts).values_list(
            "text_sha256", flat=True
        )
    )
    missing = [key for key in texts if key not in known]
    progress(len(items) - len(missing))
    for start in range(0, len(missing), CHUNK):
        keys = missing[start : start + CHUNK]
        vectors = _encoder_at(path).encode([texts[key] for key in keys], progress=progress)
        ItemVector.objects.bulk_create(
            [
                ItemVector(encoder_sha256=digest, text_sha256=key, vector=vector.tobytes())
                for key, vector in zip(keys, vectors.astype("<f4"), strict=True)
            ],
            ignore_conflicts=True,  # another worker may have embedded the same text meanwhile
        )
    return len(missing)


def settle_vectors(items: Sequence[Item]) -> None:
    """Mark items as embedded; one whose text changed meanwhile stays due.

    Conditional on the time it was due at, which a change moves on.
    """
    by_due: dict[datetime, list[int]] = {}
    for item in items:
        if item.vector_due_at is not None:
            by_due.setdefault(item.vector_due_at, []).append(item.pk)
    for due_at, ids in by_due.items():  # loaded together, so of one or few times
        Item.objects.filter(pk__in=ids, vector_due_at=due_at).update(vector_due_at=None)


def count_embedded(items: Sequence[Item]) -> int:
    """Return how many of the items' texts have a vector."""
    keys = {ItemVector.key_of(item.text_to_embed) for item in items}
    vectors = ItemVector.objects.filter(encoder_sha256=encoder_sha256(), text_sha256__in=keys)
    return len(items) if vectors.count() == len(keys) else vectors.count()


@lru_cache(maxsize=2)  # of the run's recipe, and of the champion's
def _load(path: str) -> TextEncoder:
    from inference.encoders.text_encoder import TextEncoder  # noqa: PLC0415  torch

    return TextEncoder(path)


def _encoder_at(path: str) -> TextEncoder:
    return _load(path) if path else load_encoder()


def vectors_of(
    items: Sequence[Item],
    *,
    path: str = "",
    progress: Callable[[int], None] = lambda _count: None,
) -> Floats:
    """Return the vectors of items, float32 (n, width), embedding what is missing.

    Args:
        items: n of them.
        path: of another encoder than the configured one; empty for that.
        progress: receives how many more have one.
    """
    embed_missing(items, path=path, progress=progress)
    digest = sha256_of_encoder(path) if path else encoder_sha256()
    keys = [ItemVector.key_of(item.text_to_embed) for item in items]
    vectors = dict(
        ItemVector.objects.filter(encoder_sha256=digest, text_sha256__in=set(keys)).values_list(
            "text_sha256", "vector"
        )
    )
    return np.stack([np.frombuffer(vectors[key], dtype="<f4") for key in keys])


def stored_vectors(items: Sequence[Item]) -> Floats:
    """Return the vectors of items as far as there are any, float32 (n, width), zeros for none.

    Of an item that says nothing but its id there is none: its vector would be that of a name. Width 0
    where no item has one, or the encoder cannot be had.
    """
    keys = [_text_key(item) for item in items]
    by_key: dict[str, bytes] = {}
    wanted = sorted({key for key in keys if key})
    try:
        digest = encoder_sha256()
    except (NotFoundError, OSError):
        return np.zeros((len(items), 0), dtype=np.float32)
    for start in range(0, len(wanted), MAX_READ):
        rows = ItemVector.objects.filter(
            encoder_sha256=digest, text_sha256__in=wanted[start : start + MAX_READ]
        )
        by_key |= {key: bytes(vector) for key, vector in rows.values_list("text_sha256", "vector")}
    width = len(next(iter(by_key.values()), b"")) // 4
    vectors = np.zeros((len(items), width), dtype=np.float32)
    for row, key in zip(vectors, keys, strict=True):
        if key in by_key:
            row[:] = np.frombuffer(by_key[key], dtype="<f4")
    return vectors


def _text_key(item: Item) -> str:
    return ItemVector.key_of(item.text_to_embed) if item.says_something else ""


def custom_vectors_of(items: Sequence[Item]) -> Floats | None:
    """Return the vectors that the user supplied, float32 (n, width), each of length 1.

    Zeros where there is none; None when no item has one. The most frequent width counts.
    """
    supplied = [np.frombuffer(item.vector or b"", dtype="<f4") for item in items]
    widths = np.bincount([len(vector) for vector in supplied])
    widths[:1] = 0
    if not widths.any():
        return None
    vectors = np.zeros((len(items), int(widths.argmax())), dtype=np.float32)
    for row, vector in zip(vectors, supplied, strict=True):
        if len(vector) == len(row):
            row[:] = vector / max(float(np.linalg.norm(vector)), 1e-9)  # of zeros: zeros
    return vectors


def other_widths(items: Sequence[Item]) -> int:
    """Return how many vectors that the user supplied are not read, for their width."""
    widths = np.bincount([len(item.vector or b"") // 4 for item in items])
    return int(widths[1:].sum() - widths[1:].max(initial=0))
