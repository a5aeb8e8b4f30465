"""The artifact: what every model is exported to, and what every process serves from.

An artifact is a folder of numpy arrays and plain files with a manifest that holds the SHA-256 of each;
its name is the SHA-256 of the manifest. It is checked when loaded, and never holds a pickle or code.
The manifest's `form` says how it answers: `inference.serving.scorers` has the recommenders' forms,
`inference.serving.text_classifiers` the classifiers'.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inference.serving.remote_store import RemoteStoreError, remote_of
from inference.serving.text_table import TextTable, table_arrays

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

Floats = NDArray[np.float32]
Indices = NDArray[np.int32]


# Of all files of one artifact. Larger than any model that answers within a request's deadline.
MAX_BYTES = 8_000_000_000
SHARED = ".shared"  # folder of a store: files of several artifacts, by their hash
MIN_SHARED_BYTES = 1_000_000  # smaller ones are not worth a link
# Of more items the ids are mapped from disk, beside the list: each process has no dict of its own.
MAPPED_ITEMS = 50_000
IDS = "ids."  # what the names of their arrays begin with


class ArtifactError(Exception):
    """An artifact is missing, damaged or not what its name says."""


@dataclass(frozen=True, slots=True)
class ArtifactDraft:
    """What training hands over to be exported.

    Attributes:
        form: how it is to be served.
        arrays: by name; every number finite.
        item_ids: n items, or nothing for a classifier.
        about: what made it: algorithm, parameters, seeds, encoder, snapshot.
        files: the bytes of other files, by name.
    """

    form: str
    arrays: Mapping[str, NDArray[Any]]
    about: Mapping[str, Any]
    item_ids: Sequence[str] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)


def save_artifact(root: Path, draft: ArtifactDraft) -> str:
    """Write an artifact and return its SHA-256; the same draft gives the same name.

    Where the folder is the cache of an object store, it is there, too, before its name is returned.

    Raises:
        ArtifactError: a number that is not finite: such a model answers nothing; or the object store
            does not take it: what is here stays, and saving it again uploads it.
    """
    for name, array in draft.arrays.items():
        _refuse_infinite(name, array)
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
    try:
        # Synced to disk before the rename: after a power cut a name stands for whole files.
        manifest = _fill(folder, draft)
        digest = hashlib.sha256(manifest).hexdigest()
        target = root / digest
        try:
            os.utime(target)  # it is new again: see `inference.actions.clean_artifacts`
        except FileNotFoundError:
            folder.chmod(0o755)  # mkdtemp's 0700 would hide it from processes of another user
            # Renamed when it is whole: nobody sees half an artifact.
            try:
                folder.rename(target)
            except OSError:
                if not target.is_dir():
                    raise  # another process wrote the same meanwhile: what is there serves as well
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if (remote := remote_of(root)) is not None:
        try:
            remote.upload(target, digest)
        except RemoteStoreError as error:
            raise ArtifactError(f"artifact {digest[:12]} is not stored: {error}") from error
    return digest


def _fill(folder: Path, draft: ArtifactDraft) -> bytes:
    files: dict[str, str] = {}

    def add(name: str, data: bytes) -> None:
        files[name] = hashlib.sha256(data).hexdigest()
        if len(data) < MIN_SHARED_BYTES:
            _write_synced(folder / name, data)
        else:
            _write_shared(folder / name, data, folder.parent / SHARED / files[name])

    for name in sorted(draft.arrays):
        add(f"{name}.npy", _npy_bytes(np.ascontiguousarray(draft.arrays[name])))
    for name, data in sorted(draft.files.items()):
        add(name, data)
    add("items.json", json.dumps(list(draft.item_ids)).encode())
    if len(draft.item_ids) > MAPPED_ITEMS:
        for name, array in table_arrays(draft.item_ids).items():
            add(f"{IDS}{name}.npy", _npy_bytes(array))
    manifest = json.dumps(
        {"schema": 2, "form": draft.form, "files": files, "about": dict(draft.about)}, sort_keys=True
    ).encode()
    _write_synced(folder / "manifest.json", manifest)
    return manifest


def _refuse_infinite(name: str, array: NDArray[Any]) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ArtifactError(f"array '{name}' holds a number that is not finite (NaN or infinity).")


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


def _write_shared(path: Path, data: bytes, shared: Path) -> None:
    """Write a file that may be part of other artifacts: one copy on the disk, a link in each of them.

    A hard link is a plain file to whoever reads it, and the disk counts how many there are. Where the
    file system has no links, or no more of them, each artifact has a copy.
    """
    try:
        os.link(shared, path)
        if _sha256(path) == shared.name:
            return
        path.unlink()  # damaged since: this artifact gets its own copy, and later ones share that
        shared.unlink()
    except OSError:
        path.unlink(missing_ok=True)
    _write_synced(path, data)
    with contextlib.suppress(OSError):
        shared.parent.mkdir(exist_ok=True)
        os.link(path, shared)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_artifact(
    root: Path, digest: str, *, spare: Collection[str] = ()
) -> tuple[Path, Mapping[str, Any]]:
    """Return the folder and the manifest of an artifact whose every byte is as its name says.

    Args:
        root: folder of artifacts.
        digest: of the artifact.
        spare: files that it serves without: those that are missing or damaged are left out of the
            manifest's `files` and named in `damaged`.

    Raises:
        ArtifactError: it is missing, damaged, or holds what its manifest does not name.
    """
    folder = root / digest
    if not folder.is_dir():
        _fetch(root, digest)
    _check_entries(folder, digest[:12])
    try:
        manifest = (folder / "manifest.json").read_bytes()
    except OSError as error:
        raise ArtifactError(f"artifact {digest[:12]} is missing from {root}.") from error
    if hashlib.sha256(manifest).hexdigest() != digest:
        raise ArtifactError(f"manifest of artifact {digest[:12]} was changed.")
    content, files = _parse_manifest(manifest, digest[:12])
    damaged = _damaged_files(folder, files, digest[:12])
    if needed := [name for name in damaged if name not in spare]:
        raise ArtifactError(f"file {needed[0]} of artifact {digest[:12]} was changed.")
    strangers = {path.name for path in folder.iterdir()} - set(files) - {"manifest.json"}
    if strangers:
        raise ArtifactError(
            f"artifact {digest[:12]} holds {sorted(strangers)}, which its manifest does not name."
        )
    whole = {name: expected for name, expected in files.items() if name not in damaged}
    return folder, {**content, "files": whole, "damaged": damaged}


def _damaged_files(folder: Path, files: Mapping[str, str], name: str) -> list[str]:
    """Return the files of an artifact that are missing or not as its manifest says.

    Raises:
        ArtifactError: one lies outside of it.
    """
    damaged = []
    for file, expected in files.items():
        if Path(file).name != file:
            raise ArtifactError(f"file '{file}' of artifact {name} lies outside of it.")
        if not (folder / file).is_file() or _sha256(folder / file) != expected:
            damaged.append(file)
    return damaged


def _fetch(root: Path, digest: str) -> None:
    """Bring an artifact from the object store whose cache the folder is, if it is one."""
    remote = remote_of(root)
    if remote is None or re.fullmatch("[0-9a-f]{64}", digest) is None:
        return
    try:
        remote.download(root, digest, partial(_files_within, digest[:12]), MAX_BYTES)
    except RemoteStoreError as error:
        raise ArtifactError(f"artifact {digest[:12]} is missing from {root}: {error}") from error


def _files_within(name: str, manifest: bytes) -> Mapping[str, str]:
    """Return the hashes of a manifest's files, none of which lies outside of its artifact."""
    _, files = _parse_manifest(manifest, name)
    for file in files:
        if Path(file).name != file or file == "manifest.json":
            raise ArtifactError(f"file '{file}' of artifact {name} lies outside of it.")
    return files


def _check_entries(folder: Path, name: str) -> None:
    """Refuse what must not be read, before a byte of it is: by what the file system says of it.

    A sparse file of terabytes takes no disk and an hour to hash; a link leads out of the artifact, to
    what may change when it has been checked.
    """
    size = 0
    try:
        for path in folder.iterdir():
            about = path.lstat()
            if not stat.S_ISREG(about.st_mode):
                raise ArtifactError(f"'{path.name}' of artifact {name} is not a plain file.")
            size += about.st_size
    except OSError as error:
        raise ArtifactError(f"artifact {name} is missing from {folder.parent}.") from error
    if size > MAX_BYTES:
        raise ArtifactError(f"bytes of artifact {name} == {size}, must be at most {MAX_BYTES}.")


def _parse_manifest(manifest: bytes, name: str) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Return a manifest and the hashes of its files.

    Raises:
        ArtifactError: it is no JSON object with hashes by name.
    """
    try:
        content = json.loads(manifest)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"manifest of artifact {name} is not JSON: {error}.") from error
    files = content.get("files") if isinstance(content, dict) else None
    if not isinstance(files, dict) or not all(isinstance(one, str) for one in files.values()):
        raise ArtifactError(
            f"manifest of artifact {name} must be an object with 'files', the SHA-256 of each by name."
        )
    return content, files


def form_of(manifest: Mapping[str, Any]) -> str:
    """Return how an artifact is served; those of version 0.1 do not say, and have one form."""
    return str(manifest.get("form", "vectors"))


def load_array(folder: Path, name: str) -> NDArray[Any]:
    """Return an array of an artifact, mapped from disk and shared between processes by the system.

    Raises:
        ArtifactError: it is no plain array, or a number in it is not finite.
    """
    path = folder / f"{name}.npy"
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"array '{name}' of artifact {folder.name[:12]}: {error}.") from error
    _refuse_infinite(name, array)
    # A plain view of the map: numpy pays for the subclass at every index. A memory map of an empty
    # array is an error in numpy.
    return array.view(np.ndarray) if array.size else np.zeros(array.shape, array.dtype)


def load_item_ids(folder: Path, manifest: Mapping[str, Any]) -> tuple[Sequence[str], Mapping[str, int]]:
    """Return the ids of an artifact's items, and the place of each by its id.

    Raises:
        ArtifactError: an array cannot be mapped.
    """
    if f"{IDS}text.npy" in manifest["files"]:
        table = TextTable(lambda name: load_array(folder, f"{IDS}{name}"))
        return table, table.place_of
    item_ids = json.loads((folder / "items.json").read_bytes())
    return item_ids, {item_id: place for place, item_id in enumerate(item_ids)}


def load_draft(root: Path, digest: str) -> ArtifactDraft:
    """Return an artifact as what it was saved from.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    folder, manifest = check_artifact(root, digest)
    files = [name for name in manifest["files"] if not name.startswith(IDS)]
    arrays = [name for name in files if name.endswith(".npy")]
    plain = [name for name in files if name not in {*arrays, "items.json"}]
    return ArtifactDraft(
        form=form_of(manifest),
        arrays={name[:-4]: np.array(load_array(folder, name[:-4])) for name in arrays},
        about=manifest["about"],
        item_ids=json.loads((folder / "items.json").read_bytes()),
        files={name: (folder / name).read_bytes() for name in plain},
    )


def artifact_bytes(root: Path, digest: str) -> int:
    """Return the size of an artifact on disk."""
    return sum(path.stat().st_size for path in (root / digest).iterdir())
