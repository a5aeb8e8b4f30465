"""Load labelled texts from a person's file, for a surface that classifies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.actions.record_load import record_load
from inference.actions.load_examples import LoadedExamples, load_examples
from inference.cache import cache_client
from inference.serving.changes import announce_change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from inference.actions.example_draft import ExampleDraft
    from inference.models import Surface


def load_labelled_texts(
    *,
    surface: Surface,
    examples: Iterable[ExampleDraft],
    by: str,
    with_repeats: bool = True,
    progress: Callable[[int], None] = lambda _count: None,
) -> LoadedExamples:
    """Load examples; of an id that is there already, the newer example stays.

    Args:
        surface: learns from them.
        examples: in any order.
        by: who loads.
        with_repeats: whether a text that is there already under a name of another sort is loaded too.
        progress: is called with the number of rows of each chunk, after its commit.
    """
    what = f"labelled texts for {surface.key}"
    with record_load(surface.project_id, by=by, what=what, progress=progress) as count:
        loaded = load_examples(
            surface_id=surface.pk, examples=examples, with_repeats=with_repeats, progress=count
        )
    announce_change(cache_client())
    return loaded
