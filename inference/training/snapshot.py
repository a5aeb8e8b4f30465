"""Frozen training data: a Parquet file named by the hash of its content.

A recommender learns from `Likes`, a classifier from `Examples`, a generator from `Preferences`, an
encoder from `Texts`; `Answers` are what a recommender is judged by off-policy, and `Questions` what a
search for a better prompt works on. A policy learns from `Decisions`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from inference.training.decisions import Decisions
from inference.training.questions import Questions
from inference.training.snapshot_files import open_snapshot, put_snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

CATALOGUE = b"catalogue"  # key of the file's metadata
CONTEXT = "context of a like: "  # before a feature's name, as a column


@dataclass(frozen=True, slots=True)
class Dislikes:
    """Items that units refused, in columns of equal length, ordered by (unit, time).

    Attributes:
        unit_ids: who.
        item_ids: what.
        disliked_at: when, in seconds.
    """

    unit_ids: Sequence[str] = ()
    item_ids: Sequence[str] = ()
    disliked_at: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Likes:
    """Liked items of units, in columns of equal length, ordered by (unit, time, item).

    Attributes:
        unit_ids: who.
        item_ids: what.
        liked_at: when, in seconds.
        live: whether it was recorded here, not loaded from elsewhere; empty for none.
        chance: how likely the item was examined where it stood, in (0, 1]; empty for 1.
        notes: what was set aside, in sentences; not kept in the snapshot.
        catalogue: hash of what training reads of the items; empty in older snapshots.
        weights: what each like counts by its event, above 0; empty for 1.
        dislikes: what units refused, and did not like since.
        contexts: by feature, its word in the context of each like, empty where nothing is known.
    """

    unit_ids: Sequence[str]
    item_ids: Sequence[str]
    liked_at: Sequence[float]
    live: Sequence[bool] = ()
    chance: Sequence[float] = ()
    notes: Sequence[str] = ()
    catalogue: str = ""
    weights: Sequence[float] = ()
    dislikes: Dislikes = Dislikes()
    contexts: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def as_columns(self) -> dict[str, tuple[Sequence[Any], str]]:
        """Return the columns of the snapshot and their types; dislikes are its last rows.

        Columns that say nothing are left out: what has neither weights nor dislikes has the hash that
        it had before there were any.
        """
        n, refused = len(self.unit_ids), self.dislikes
        more = len(refused.unit_ids)
        columns: dict[str, tuple[Sequence[Any], str]] = {
            "unit_id": ([*self.unit_ids, *refused.unit_ids], "string"),
            "item_id": ([*self.item_ids, *refused.item_ids], "string"),
            "liked_at": ([*self.liked_at, *refused.disliked_at], "float64"),
            "live": ([*(self.live or [False] * n), *[False] * more], "bool"),
            "chance": ([*(self.chance or [1.0] * n), *[1.0] * more], "float64"),
        }
        if self.weights:
            columns["weight"] = ([*self.weights, *[1.0] * more], "float64")
        for name, words in sorted(self.contexts.items()):
            columns[CONTEXT + name] = ([*words, *[""] * more], "string")
        if more:
            columns["disliked"] = ([*[False] * n, *[True] * more], "bool")
        return columns

    @classmethod
    def from_columns(cls, columns: Mapping[str, list[Any]]) -> Likes:
        """Read the columns of a snapshot."""
        units, items, at = columns["unit_id"], columns["item_id"], columns["liked_at"]
        n = len(units) - sum(columns.get("disliked", ()))
        return cls(
            unit_ids=units[:n],
            item_ids=items[:n],
            liked_at=at[:n],
            live=columns["live"][:n],
            chance=columns["chance"][:n],
            weights=columns.get("weight", [])[:n],
            dislikes=Dislikes(units[n:], items[n:], at[n:]),
            contexts={
                name.removeprefix(CONTEXT): words[:n]
                for name, words in columns.items()
                if name.startswith(CONTEXT)
            },
        )


@dataclass(frozen=True, slots=True)
class Examples:
    """Labelled texts, in columns of equal length, ordered by time.

    Attributes:
        unit_ids: who said so; empty for what was loaded.
        texts: what was labelled.
        features: what else is known of each: numbers, words and truths by name.
        labels: the labels.
        labelled_at: when, in seconds.
        notes: what was set aside, in sentences; not kept in the snapshot.
    """

    unit_ids: Sequence[str]
    texts: Sequence[str]
    features: Sequence[Mapping[str, Any]]
    labels: Sequence[str]
    labelled_at: Sequence[float]
    notes: Sequence[str] = ()

    def as_columns(self) -> dict[str, tuple[Sequence[Any], str]]:
        """Return the columns of the snapshot and their types."""
        return {
            "unit_id": (self.unit_ids, "string"),
            "text": (self.texts, "string"),
            "features": ([json.dumps(one, sort_keys=True) for one in self.features], "string"),
            "label": (self.labels, "string"),
            "labelled_at": (self.labelled_at, "float64"),
        }

    @classmethod
    def from_columns(cls, columns: Mapping[str, list[Any]]) -> Examples:
        """Read the columns of a snapshot."""
        return cls(
            unit_ids=columns["unit_id"],
            texts=columns["text"],
            features=[json.loads(one) for one in columns["features"]],
            labels=columns["label"],
            labelled_at=columns["labelled_at"],
        )


@dataclass(frozen=True, slots=True)
class Preferences:
    """Answers that were good, or better than others, in columns of equal length, ordered by time.

    Attributes:
        unit_ids: who said so.
        messages: the conversation before the answer, as it was sent to the model.
        chosen: the good or better answer.
        rejected: the worse one; empty where there is none.
        rejected_unit_ids: who said that of the worse one, where it was somebody else; else empty.
        sources: what said so: `accept`, `edit`, `thumb`, `correction`.
        preferred_at: when, in seconds.
        notes: what was set aside, in sentences; not kept in the snapshot.
    """

    unit_ids: Sequence[str]
    messages: Sequence[Sequence[dict[str, Any]]]
    chosen: Sequence[str]
    rejected: Sequence[str]
    rejected_unit_ids: Sequence[str]
    sources: Sequence[str]
    preferred_at: Sequence[float]
    notes: Sequence[str] = ()

    def as_columns(self) -> dict[str, tuple[Sequence[Any], str]]:
        """Return the columns of the snapshot and their types."""
        return {
            "unit_id": (self.unit_ids, "string"),
            "messages": ([json.dumps(one, sort_keys=True) for one in self.messages], "string"),
            "chosen": (self.chosen, "string"),
            "rejected": (self.rejected, "string"),
            "rejected_unit_id": (self.rejected_unit_ids, "string"),
            "source": (self.sources, "string"),
            "preferred_at": (self.preferred_at, "float64"),
        }

    @classmethod
    def from_columns(cls, columns: Mapping[str, list[Any]]) -> Preferences:
        """Read the columns of a snapshot."""
        return cls(
            unit_ids=columns["unit_id"],
            messages=[json.loads(one) for one in columns["messages"]],
            chosen=columns["chosen"],
            rejected=columns["rejected"],
            rejected_unit_ids=columns["rejected_unit_id"],
            sources=columns["source"],
            preferred_at=columns["preferred_at"],
        )


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers that were served with exploration, in columns of equal length, ordered by time.

    Attributes:
        unit_ids: who was served.
        served_at: when, in seconds.
        slots: per answer and slot: the item, its propensity given the slots before it, and whether it
            was liked.
        contexts: per answer, the words of its request's context by feature; empty where no feature is
            read, and of answers that were frozen before any was.
    """

    unit_ids: Sequence[str]
    served_at: Sequence[float]
    slots: Sequence[Sequence[tuple[str, float, bool]]]
    contexts: Sequence[Mapping[str, str]] = ()

    def as_columns(self) -> dict[str, tuple[Sequence[Any], str]]:
        """Return the columns of the snapshot and their types; no contexts where there are none."""
        columns: dict[str, tuple[Sequence[Any], str]] = {
            "unit_id": (self.unit_ids, "string"),
            "served_at": (self.served_at, "float64"),
            "slots": ([json.dumps(one) for one in self.slots], "string"),
        }
        if self.contexts:
            contexts = [json.dumps(one, sort_keys=True) for one in self.contexts]
            columns["context"] = (contexts, "string")
        return columns

    @classmethod
    def from_columns(cls, columns: Mapping[str, list[Any]]) -> Answers:
        """Read the columns of a snapshot."""
        return cls(
            unit_ids=columns["unit_id"],
            served_at=columns["served_at"],
            slots=[[tuple(slot) for slot in json.loads(one)] for one in columns["slots"]],
            contexts=[json.loads(one) for one in columns.get("context", ())],
        )


@dataclass(frozen=True, slots=True)
class Texts:
    """What people wrote of a project's items, in columns of equal length, ordered by time.

    Attributes:
        unit_ids: who.
        texts: redacted.
        written_at: when, in seconds.
    """

    unit_ids: Sequence[str]
    texts: Sequence[str]
    written_at: Sequence[float]

    def as_columns(self) -> dict[str, tuple[Sequence[Any], str]]:
        """Return the columns of the snapshot and their types."""
        return {
            "unit_id": (self.unit_ids, "string"),
            "text": (self.texts, "string"),
            "written_at": (self.written_at, "float64"),
        }

    @classmethod
    def from_columns(cls, columns: Mapping[str, list[Any]]) -> Texts:
        """Read the columns of a snapshot."""
        return cls(columns["unit_id"], columns["text"], columns["written_at"])


Rows = Likes | Examples | Preferences | Answers | Texts | Questions | Decisions
# Columns that name a unit: whoever is erased stands in none of them.
UNIT_COLUMNS = ("unit_id", "rejected_unit_id")


class SnapshotDestroyedError(Exception):
    """The data of a run is not there any more."""


class SnapshotChangedError(SnapshotDestroyedError):
    """The data of a run is not what its name says."""


def holds_any(file: BinaryIO, unit_ids: Sequence[str]) -> bool:
    """Whether a snapshot has a row of one of the units; reads their columns alone, by row groups."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    wanted = pa.array(list(unit_ids), pa.string())
    parquet = pq.ParquetFile(file)
    columns = [name for name in UNIT_COLUMNS if name in parquet.schema_arrow.names]
    return any(
        pc.any(pc.is_in(batch[name], value_set=wanted)).as_py()
        for batch in parquet.iter_batches(columns=columns)
        for name in columns
    )


def write_snapshot(folder: Path, rows: Rows) -> str:
    """Write rows and return the hash of their content, which is the file's name.

    Raises:
        OSError: the folder cannot be written; nothing of it is left there.
        RemoteStoreError: the object store denies, or does not answer.
    """
    # Web processes import this module for its dataclasses, and have no use for pyarrow.
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    table = _as_table(rows)
    digest = _digest_of(table)
    content = pa.BufferOutputStream()
    pq.write_table(table, content)
    put_snapshot(folder, digest, memoryview(content.getvalue()))
    return digest


def _as_table(rows: Rows) -> Any:
    """Return rows as an Arrow table; the catalogue's hash, where there is one, is in its metadata."""
    import pyarrow as pa  # noqa: PLC0415

    table = pa.table(
        {
            name: pa.array(values, getattr(pa, kind if kind != "bool" else "bool_")())
            for name, (values, kind) in rows.as_columns().items()
        }
    )
    catalogue = rows.catalogue if isinstance(rows, Likes) else ""
    return table.replace_schema_metadata({CATALOGUE: catalogue}) if catalogue else table


def _digest_of(table: Any) -> str:
    content = hashlib.sha256()
    for column in table.columns:
        for chunk in column.chunks:
            for buffer in chunk.buffers():
                content.update(memoryview(buffer) if buffer is not None else b"")
    content.update(_catalogue_of(table).encode())  # of nothing, as before there was one: the same hash
    return content.hexdigest()


def _catalogue_of(table: Any) -> str:
    return str((table.schema.metadata or {}).get(CATALOGUE, b"").decode())


Kind = TypeVar("Kind", Likes, Examples, Preferences, Answers, Texts, Questions, Decisions)


def read_snapshot(folder: Path, digest: str, kind: type[Kind]) -> Kind:
    """Read rows back.

    Raises:
        SnapshotDestroyedError: the file is gone, or is not what its name says.
        RemoteStoreError: the object store denies, or does not answer.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        with open_snapshot(folder, digest) as file:
            stored = pq.read_table(file)
    except FileNotFoundError as error:
        raise SnapshotDestroyedError(
            f"snapshot {digest[:12]} is gone: a unit in it was erased, or its file was deleted. "
            "Train on a new one."
        ) from error
    rows = kind.from_columns(stored.to_pydict())
    if isinstance(rows, Likes):
        rows = replace(rows, catalogue=_catalogue_of(stored))
    # Made anew from the values: how Parquet lays out what it reads is its own affair.
    if _digest_of(_as_table(rows)) != digest:
        raise SnapshotChangedError(f"snapshot {digest[:12]} was changed since. Train on a new one.")
    return rows
