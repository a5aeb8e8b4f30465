"""The artifact: what every recommender is exported to, and what every process serves from.

An artifact is a folder of numpy arrays with a manifest that holds the SHA-256 of each; its name is
the SHA-256 of the manifest. It is checked when loaded and never holds code.

One form serves the whole family. With recent items h, newest first, an item i scores

    s(i) = V[i] · Σⱼ aⱼ C[hⱼ] + b[i],   a = softmax over j of (C[hⱼ] · q + p[j])

Popularity has vectors of width 0; a frozen encoder has q = p = b = 0, so the unit is the mean of its
recent items; the two-tower model learns all of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Floats = NDArray[np.float32]
Indices = NDArray[np.int32]
ARRAYS = ("item_vectors", "context_vectors", "bias", "attention", "recency", "default_order")


class ArtifactError(Exception):
    """An artifact is missing, damaged or not what its name says."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What training hands over to be exported.

    Attributes:
        item_ids: n items.
        item_vectors: V, float32 (n, d).
        context_vectors: C, float32 (n, d).
        bias: b, float32 (n,).
        attention: q, float32 (d,).
        recency: p, float32 (h,): the longest history that is read.
        default_order: int32 (m,): indices to serve a unit of whom nothing is known.
        about: what made it: recommender, parameters, seeds, encoder, snapshot.
    """

    item_ids: Sequence[str]
    item_vectors: Floats
    context_vectors: Floats
    bias: Floats
    attention: Floats
    recency: Floats
    default_order: Indices
    about: Mapping[str, Any]


def save_artifact(root: Path, draft: Draft) -> str:
    """Write an artifact and return its SHA-256; the same draft gives the same name."""
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
    files: dict[str, str] = {}
    for name in ARRAYS:
        _write_synced(folder / f"{name}.npy", _npy_bytes(np.ascontiguousarray(getattr(draft, name))))
        files[f"{name}.npy"] = _sha256(folder / f"{name}.npy")
    _write_synced(folder / "items.json", json.dumps(list(draft.item_ids)).encode())
    files["items.json"] = _sha256(folder / "items.json")
    manifest = json.dumps({"files": files, "about": dict(draft.about)}, sort_keys=True).encode()
    _write_synced(folder / "manifest.json", manifest)
    digest = hashlib.sha256(manifest).hexdigest()
    target = root / digest
    if target.exists():
        shutil.rmtree(folder)
    else:
        folder.chmod(0o755)
        folder.rename(target)
    return digest


def _npy_bytes(array: NDArray[Any]) -> bytes:
    with tempfile.SpooledTemporaryFile() as file:
        np.save(file, array, allow_pickle=False)
        file.seek(0)
        return file.read()


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_artifact(root: Path, digest: str) -> tuple[Path, Mapping[str, Any]]:
    """Return the folder and the manifest of an artifact whose every byte is as its name says.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    folder = root / digest
    try:
        manifest = (folder / "manifest.json").read_bytes()
    except OSError as error:
        raise ArtifactError(f"artifact {digest[:12]} is missing from {root}.") from error
    if hashlib.sha256(manifest).hexdigest() != digest:
        raise ArtifactError(f"manifest of artifact {digest[:12]} was changed.")
    content: Mapping[str, Any] = json.loads(manifest)
    for name, expected in content["files"].items():
        if _sha256(folder / name) != expected:
            raise ArtifactError(f"file {name} of artifact {digest[:12]} was changed.")
    return folder, content


def artifact_bytes(root: Path, digest: str) -> int:
    """Return the size of an artifact on disk."""
    return sum(path.stat().st_size for path in (root / digest).iterdir())
