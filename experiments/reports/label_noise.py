"""Examples of a run whose stated label is improbable, with their texts, for a page and a file."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings

from experiments.ingest.redact import redact
from experiments.reports.downloads import plain_cell
from inference.serving.remote_store import RemoteStoreError, remote_of
from inference.training.snapshot import Examples, SnapshotDestroyedError, read_snapshot

if TYPE_CHECKING:
    from inference.models import TrainingRun

COLUMNS = ("text", "stated", "likely", "probability", "stated_probability", "by_visitor")
MAX_TEXT = 500  # characters of a text on a page


@dataclass(frozen=True, slots=True)
class NoisyExample:
    """One example.

    Attributes:
        text: redacted, cut short.
        stated: its label.
        likely: the label that a fit without this example gives it.
        probability: of the likely label.
        stated_probability: of the stated one.
        by_visitor: whether it is a visitor's correction, not loaded.
    """

    text: str
    stated: str
    likely: str
    probability: float
    stated_probability: float
    by_visitor: bool


@dataclass(frozen=True, slots=True)
class LabelNoise:
    """What a run says of its labels.

    Attributes:
        examined: how many examples were judged.
        count: how many seem mislabelled.
        rows: the worst; empty where a unit among the training data was erased.
        is_loaded: whether the texts were read; an object store's are downloaded where they are wanted.
        problem: why they cannot be read now, a sentence; empty: no reason.
    """

    examined: int
    count: int
    rows: list[NoisyExample]
    is_loaded: bool = True
    problem: str = ""


def label_noise_of(run: TrainingRun, *, downloads: bool = True) -> LabelNoise | None:
    """Read what a run found, and the texts from its snapshot; None where nothing was examined.

    Args:
        run: the run.
        downloads: whether texts are read that are in an object store: all of the training data come
            from there, for 50 texts at most.
    """
    view = run.version.gate.get("about", {}).get("label_noise") if run.version is not None else None
    if not view:
        return None
    examined, count = view["examined"], view["count"]
    remote = remote_of(settings.BAKEOFF.snapshots)
    if remote is not None and not downloads:
        return LabelNoise(examined, count, [], is_loaded=False)
    try:
        if remote is not None:
            remote.refuse_while_away()
        return LabelNoise(examined, count, _with_texts(run, view["rows"]))
    except RemoteStoreError as error:
        return LabelNoise(examined, count, [], problem=str(error))


def _with_texts(run: TrainingRun, rows: list[dict[str, str | int | float]]) -> list[NoisyExample]:
    if run.snapshot is None or not rows:
        return []
    try:
        examples = read_snapshot(settings.BAKEOFF.snapshots, run.snapshot.sha256, Examples)
    except SnapshotDestroyedError:  # the page shows the count
        return []
    listed = []
    for row in rows:
        place = int(row["row"])
        listed.append(
            NoisyExample(
                # Loaded examples are stored as they were loaded, so they are redacted here.
                text=redact(examples.texts[place][:MAX_TEXT])[0],
                stated=str(row["stated"]),
                likely=str(row["likely"]),
                probability=float(row["probability"]),
                stated_probability=float(row["stated_probability"]),
                by_visitor=bool(examples.unit_ids[place]),
            )
        )
    return listed


def csv_of_noise(noise: LabelNoise) -> str:
    """Return the listed examples as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([plain_cell(getattr(row, name)) for name in COLUMNS] for row in noise.rows)
    return out.getvalue()
