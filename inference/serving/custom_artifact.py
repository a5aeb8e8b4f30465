"""A custom model's class, found by its entry point, and its files, which travel in the artifact."""

from __future__ import annotations

import tempfile
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inference.options import FitOptions

GROUP = "bakeoff.models"
# Loading a pickle runs its code: an artifact from elsewhere could take over a worker.
PICKLES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".dill")
RESERVED = frozenset({"manifest.json", "items.json"})


def find_python(name: str) -> Any:
    """Return the class that a package registered under `bakeoff.models`.

    Raises:
        ValueError: no installed package did.
    """
    registered = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in registered:
        raise ValueError(
            f"entry_point == '{name}', must be one of {sorted(registered)} (group {GROUP})."
        )
    return registered[name].load()


def fit_python(name: str, data: Any, options: FitOptions) -> dict[str, bytes]:
    """Let a user's class learn into a folder; return the files that it wrote.

    Raises:
        ValueError: there is no such class, or it wrote what an artifact may not hold.
    """
    model = find_python(name)()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if hasattr(model, "fit"):
            model.fit(data, folder, options)
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    wrong = [
        file
        for file in files
        if file in RESERVED or file.endswith((".npy", *PICKLES)) or files[file][:2] == b"\x80\x04"
    ]
    if wrong:
        raise ValueError(
            f"files {wrong} of '{name}' are pickles or of reserved names: save safetensors."
        )
    return files
