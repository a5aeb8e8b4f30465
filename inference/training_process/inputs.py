"""What a run works on: its row, the champion's and the surface's, as the plan and data of `runs`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from django.conf import settings

from inference.actions.find_encoder import find_encoder
from inference.algorithms import AUTO, PORTFOLIOS, PRETRAIN, inputs_of
from inference.encoders.image_vectors import (
    fetch_due_images,
    image_encoder_sha256,
    image_vectors_at,
    image_vectors_of,
    refusals_of,
    want_images,
)
from inference.encoders.item_vectors import (
    custom_vectors_of,
    encoder_path,
    other_widths,
    vectors_of,
    why_no_encoder,
)
from inference.encoders.locate import NotFoundError, locate_gguf
from inference.evaluation.gate import GateRule
from inference.models import Item
from inference.runs.label_run import NO_IMAGES, ExampleImages
from inference.runs.off_policy_view import Log
from inference.runs.outcome import (
    Labelling,
    Recipe,
    RefitRival,
    RunError,
    RunPlan,
    ServedVersion,
    Workplace,
)
from inference.runs.ranking_run import Catalogue
from inference.serving.centred import centred, mean_of
from inference.serving.example_images import address_of
from inference.serving.label_costs import LabelCosts
from inference.training.decisions import Decisions
from inference.training.questions import Questions
from inference.training.snapshot import (
    Answers,
    Examples,
    Likes,
    Preferences,
    SnapshotDestroyedError,
    Texts,
    read_snapshot,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from inference.models import ModelVersion, TrainingRun
    from inference.serving.artifact import Floats

    NoteTexts = Callable[[int, int], None]  # receives how many of how many are done

PLAIN = "frozen-text"  # what the configured encoder does, with nothing learnt
MAX_FETCH_SECONDS = 600.0  # of images: a dead host must not keep a run from training

Rows = TypeVar("Rows", Likes, Examples, Preferences, Questions, Decisions)


def checkpoints_of(run: TrainingRun) -> Path:
    """Return the folder of a run's checkpoints, which its next attempt finds."""
    return settings.BAKEOFF.home / "checkpoints" / f"run-{run.pk}"


def _encoder_of(run: TrainingRun) -> str:
    """Return where the configured encoder lies; empty where nothing in the run reads it."""
    return encoder_path() if _inputs(run) and not _no_encoder(run) else ""


def _no_encoder(run: TrainingRun) -> str:
    """Return why the encoder cannot be had, where a portfolio has candidates that need none."""
    champion = _champion_of(run)
    if run.algorithm != AUTO or not _inputs(run):
        return ""
    if champion and inputs_of(run.surface.kind, champion.recipe, champion.params):
        return ""  # the gate needs it too: the run cannot go on without
    return why_no_encoder()


def _inputs(run: TrainingRun) -> frozenset[str]:
    """Return what the run's algorithm, and the champion's, read besides ids."""
    kind, champion = run.surface.kind, _champion_of(run)
    recipe = _recipe_of(run)
    inputs = inputs_of(kind, recipe.algorithm, recipe.params)
    return inputs | inputs_of(kind, champion.recipe, champion.params) if champion else inputs


def _recipe_of(run: TrainingRun) -> Recipe:
    """Return what is trained; of a compression, what its parent was made by."""
    if run.compresses is not None:
        return Recipe(run.compresses.recipe, run.compresses.params)
    return Recipe(run.algorithm, run.params)


def _champion_of(run: TrainingRun) -> ModelVersion | None:
    return run.surface.versions.champions().select_related("snapshot").first()


def plan_of(run: TrainingRun) -> RunPlan:
    """Return what a run is to do; what serves now is not a part of it when a version is compressed."""
    classifies = run.surface.kind == run.surface.Kind.CLASSIFY
    champion = _champion_of(run)
    trains = run.compresses is None and run.algorithm != PRETRAIN
    return RunPlan(
        recipe=_recipe_of(run),
        champion=_rival_of(run, champion),
        rule=GateRule.for_labels() if classifies else GateRule(),
        place=Workplace(
            artifacts=settings.BAKEOFF.artifacts,
            checkpoints=checkpoints_of(run),
            encoder=_encoder_of(run),
            language_model=_language_model_of(run),
            encoders=_encoders_of(run),
            no_encoder=_no_encoder(run),
        ),
        served=_served(run, champion) if champion and trains else None,
        tested=_tested(run, champion) if champion and trains else None,
        portfolio=(PORTFOLIOS[run.surface.kind].parse(run.params) if run.algorithm == AUTO else None),
        labelling=Labelling(
            LabelCosts.parse(run.surface.costs, run.surface.abstain_cost),
            tuple(run.surface.slices),
            run.surface.max_gap,
        ),
        about={"snapshot": run.snapshot.sha256 if run.snapshot else ""},
    )


def _rival_of(run: TrainingRun, champion: ModelVersion | None) -> Recipe | None:
    """Return what the gate compares with: the champion, or of an adapted encoder the plain one."""
    if run.algorithm == PRETRAIN and run.compresses is None:
        return Recipe(PLAIN, {}, "the plain encoder")
    return Recipe(champion.recipe, champion.params, champion.label) if champion else None


def _encoders_of(run: TrainingRun) -> dict[str, str]:
    """Return where those encoders lie that the run's recipe and its rival name, by version."""
    rival = _rival_of(run, _champion_of(run))
    names = {recipe.encoder for recipe in (_recipe_of(run), rival) if recipe is not None} - {""}
    versions = {name: find_encoder(run.surface, name) for name in names}
    return {
        name: str(settings.BAKEOFF.artifacts / version.artifact_sha256)
        for name, version in versions.items()
    }


def _served(run: TrainingRun, champion: ModelVersion) -> ServedVersion:
    """Return what serves now, with what it has learnt from if its snapshot is still there."""
    seen: Likes | Examples | None = None
    reads = (run.surface.Kind.RECOMMEND, run.surface.Kind.CLASSIFY)
    if champion.snapshot is not None and run.surface.kind in reads:
        with contextlib.suppress(SnapshotDestroyedError):
            folder, digest = settings.BAKEOFF.snapshots, champion.snapshot.sha256
            seen = (
                read_snapshot(folder, digest, Examples)
                if run.surface.kind == run.surface.Kind.CLASSIFY
                else read_snapshot(folder, digest, Likes)
            )
    return ServedVersion(champion.label, champion.artifact_sha256, champion.recipe, seen)


def _language_model_of(run: TrainingRun) -> str:
    """Return the folder of the model that a generator's run trains; empty for other runs.

    It is downloaded and imported once.

    Raises:
        RunError: it is none of the operator's, or cannot be had.
    """
    if run.surface.kind != run.surface.Kind.GENERATE:
        return ""
    # transformers enters this process alone, and where it is needed.
    from inference.generators.causal_model import import_base  # noqa: PLC0415

    sources, cache = settings.BAKEOFF.local_models.sources, settings.BAKEOFF.home / "cache"
    name = str(run.params.get("base") or next(iter(sources)))
    if name not in sources:
        raise RunError(f"base == '{name}', must be one of the local models {sorted(sources)}.")
    try:
        file = locate_gguf(sources[name], cache / "models")
        return str(import_base(file, cache / "language-models"))
    except (NotFoundError, ValueError) as error:
        raise RunError(str(error)) from error


def _tested(run: TrainingRun, champion: ModelVersion) -> RefitRival | None:
    """Return what a refit of the champion is compared with; None when the run can be no refit."""
    tested, same = run.tested_version, (champion.recipe, champion.params)
    # A portfolio may end with the champion's recipe: whether it does is known when it has chosen.
    if tested is None or (run.algorithm != AUTO and (run.algorithm, run.params) != same):
        return None
    end = tested.learnt_until
    return RefitRival(
        tested.label, tested.artifact_sha256, tested.recipe, end.timestamp() if end else None
    )


def rows_of(run: TrainingRun, kind: type[Rows]) -> Rows:
    """Read a run's snapshot.

    Raises:
        SnapshotDestroyedError: a unit in it was erased.
    """
    assert run.snapshot is not None  # noqa: S101  queue_training always gives one
    return read_snapshot(settings.BAKEOFF.snapshots, run.snapshot.sha256, kind)


def log_of(run: TrainingRun) -> Log | None:
    """Read what was served; None if the surface does not explore, or a unit in it was erased."""
    if run.answers is None or run.surface.exploration <= 0:
        return None
    try:
        answers = read_snapshot(settings.BAKEOFF.snapshots, run.answers.sha256, Answers)
    except SnapshotDestroyedError:
        return None
    return Log(answers, run.surface.exploration)


def catalogue_of(run: TrainingRun, note_texts: NoteTexts = lambda _done, _total: None) -> Catalogue:
    """Read the project's items, embedding texts and images without a vector if the run reads them.

    Args:
        run: that reads them.
        note_texts: receives how many of how many texts have a vector, while some are embedded.
    """
    items = list(Item.objects.filter(project_id=run.surface.project_id).order_by("id"))
    reads_vectors = "vectors" in _inputs(run) and not _no_encoder(run)
    return Catalogue(
        item_ids=[item.item_id for item in items],
        vectors=vectors_of(items, progress=count_texts(len(items), note_texts))
        if reads_vectors
        else None,
        vectors_by={
            name: vectors_of(items, path=path, progress=count_texts(len(items), note_texts))
            for name, path in (_encoders_of(run) if reads_vectors else {}).items()
        },
        other_texts=_texts_of(run),
        texts=[item.text_to_embed for item in items],
        without_text=np.array([not item.says_something for item in items], dtype=bool),
        custom_vectors=custom_vectors_of(items),
        other_widths=other_widths(items),
        **_times_of(items),
        images=_images_of(items) if "images" in _inputs(run) else None,
        refused_images=refusals_of(run.surface.project_id),
    )


def _times_of(items: Sequence[Item]) -> dict[str, NDArray[np.float64]]:
    """Return from and until when items can be shown; nothing where none has such a time."""
    if not any(item.published_at or item.expires_at for item in items):
        return {}
    since = [item.published_at.timestamp() if item.published_at else -np.inf for item in items]
    until = [item.expires_at.timestamp() if item.expires_at else np.inf for item in items]
    return {"published_at": np.array(since), "expires_at": np.array(until)}


def count_texts(total: int, note: NoteTexts) -> Callable[[int], None]:
    """Return what adds up counts and notes them; nothing is noted where none had to be made."""
    done = -1  # before the first count, which is of those that are there

    def add(count: int) -> None:
        nonlocal done
        is_first = done < 0
        done = count if is_first else done + count
        if not is_first or done < total:
            note(done, total)

    return add


def example_images_of(run: TrainingRun, examples: Examples) -> ExampleImages:
    """Return the images that examples name, if the run reads any; fetched for a while as items' are."""
    addresses = [address_of(row) for row in examples.features]
    if "images" not in _inputs(run) or not any(addresses):
        return NO_IMAGES
    project_id = run.surface.project_id
    if want_images(project_id, addresses):
        fetch_due_images(seconds=MAX_FETCH_SECONDS, project_id=project_id)
    vectors = image_vectors_at(project_id, addresses)
    refused = refusals_of(project_id, addresses)
    return ExampleImages(vectors, "" if vectors is None else image_encoder_sha256(), refused)


def _texts_of(run: TrainingRun) -> Sequence[str]:
    """Read what people wrote; nothing of a run that reads none, or where a unit in it was erased."""
    if run.texts is None:
        return ()
    try:
        return read_snapshot(settings.BAKEOFF.snapshots, run.texts.sha256, Texts).texts
    except SnapshotDestroyedError:
        return ()


def _images_of(items: list[Item]) -> Floats | None:
    """Return the vectors of the items' images, fetching for a while what is not there yet."""
    if not items:
        return None
    project_id = items[0].project_id
    if want_images(project_id, [item.image_address for item in items]):
        fetch_due_images(seconds=MAX_FETCH_SECONDS, project_id=project_id)
    vectors = image_vectors_of(items)
    return None if vectors is None else centred(vectors, mean_of(vectors))
