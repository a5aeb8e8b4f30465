"""Labelled texts before they are frozen: dates bounded, labels folded, strangers' labels set aside.

Guarantees: no row is dated in the future; labels that differ in case or blanks are one; a label that
only a public key has named is not learnt before it is declared or approved; each label has enough
examples to learn one and to judge by one. Whatever is set aside is said in `Examples.notes`.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from inference.plurals import counted, verb
from inference.serving.folded_labels import fold_label
from inference.training.label_names import MAX_LABELS, choose_spellings
from inference.training.snapshot import Examples
from inference.training.split import question_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MIN_EXAMPLES = 2  # one to learn, one to judge by
MAX_NAMED = 5


class RawExample(NamedTuple):
    """A labelled text as it was recorded.

    Attributes:
        unit_id: who said so; empty for what was loaded.
        text: what was labelled.
        features: what else is known.
        label: as it was written.
        labelled_at: when, in seconds.
        trusted: whether it was loaded, or came with a secret key.
        approved: whether a person has reviewed it and found it fine.
    """

    unit_id: str
    text: str
    features: Mapping[str, Any]
    label: str
    labelled_at: float
    trusted: bool
    approved: bool


def known_labels(
    declared: Sequence[str], trusted: Sequence[str], approved: Sequence[str]
) -> frozenset[str]:
    """Return the folded labels that may be learnt.

    Args:
        declared: the surface's labels; when there are any, trusted rows add none.
        trusted: labels of loaded examples and of corrections with a secret key.
        approved: labels of corrections that a person has reviewed.
    """
    named = declared or trusted
    return frozenset(map(fold_label, named)) | frozenset(map(fold_label, approved))


def clean_examples(rows: Sequence[RawExample], declared: Sequence[str], *, latest: float) -> Examples:
    """Return what is learnt from, with notes on what is not.

    Args:
        rows: ordered by time.
        declared: the surface's labels; none: those of trusted rows.
        latest: seconds after which a date is of the future.
    """
    notes: list[str] = []
    dated = [row for row in rows if math.isfinite(row.labelled_at) and row.labelled_at <= latest]
    if len(dated) < len(rows):
        future = counted(len(rows) - len(dated), "example", "is", "are")
        aside = verb(len(rows) - len(dated))
        notes.append(f"{future} dated in the future and {aside} set aside.")
    known = known_labels(
        declared,
        [row.label for row in dated if row.trusted],
        [row.label for row in dated if row.approved],
    )
    learnable = [row for row in dated if fold_label(row.label) in known]
    if len(learnable) < len(dated):
        strange = Counter(
            " ".join(row.label.split()) for row in dated if fold_label(row.label) not in known
        )
        undeclared = len(dated) - len(learnable)
        subject = counted(undeclared, "example", "has a label", "have labels")
        notes.append(
            f"{subject} that {verb(undeclared)} not declared and {verb(undeclared)} set "
            f"aside: {_names(strange)}. Declare them on the surface, or approve the feedback."
        )
    spelling = choose_spellings((row.label for row in learnable), declared)
    labels = [spelling[fold_label(row.label)] for row in learnable]
    learnt = _choose_labels(labels, notes)
    pairs = [(row, label) for row, label in zip(learnable, labels, strict=True) if label in learnt]
    _note_contradictions(pairs, notes)
    _note_missing(declared, learnt, notes)
    return Examples(
        unit_ids=[row.unit_id for row, _ in pairs],
        texts=[row.text for row, _ in pairs],
        features=[row.features for row, _ in pairs],
        labels=[label for _, label in pairs],
        labelled_at=[row.labelled_at for row, _ in pairs],
        notes=notes,
    )


def _choose_labels(labels: Sequence[str], notes: list[str]) -> set[str]:
    """Return the labels that are learnt: those with enough examples, and of too many the commonest."""
    counts = Counter(labels)
    enough = {label: count for label, count in counts.items() if count >= MIN_EXAMPLES}
    if len(enough) < len(counts):
        few = Counter({label: count for label, count in counts.items() if label not in enough})
        notes.append(
            f"{counted(len(few), 'label', 'has', 'have')} fewer than {MIN_EXAMPLES} examples and "
            f"{verb(len(few))} left out: "
            f"{_names(few)}."
        )
    # Labels that are as frequent in the order of the alphabet: the same at every run.
    ordered = sorted(enough, key=lambda label: (-enough[label], label))
    if len(ordered) > MAX_LABELS:
        left = sum(enough[label] for label in ordered[MAX_LABELS:])
        notes.append(
            f"labels == {len(ordered)}, must be at most {MAX_LABELS}: the most frequent stay, "
            f"{counted(left, 'example')} of the others {verb(left)} left out."
        )
    return set(ordered[:MAX_LABELS])


def _note_contradictions(pairs: Sequence[tuple[RawExample, str]], notes: list[str]) -> None:
    labels: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row, label in pairs:
        labels[question_key(row.text, row.features)].add(label)
    torn = sum(len(several) > 1 for several in labels.values())
    if torn:
        notes.append(
            f"{torn} texts stand with more than one label: no model can get all of them right."
        )


def _note_missing(declared: Sequence[str], learnt: set[str], notes: list[str]) -> None:
    missing = [label for label in declared if label not in learnt]
    if missing:
        more = f" and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
        notes.append(
            "declared labels that have no examples to learn from: "
            f"{', '.join(f'{label!r}' for label in missing[:MAX_NAMED])}{more}."
        )


def _names(counts: Counter[str]) -> str:
    named = ", ".join(f"{label!r:.60} ({count})" for label, count in counts.most_common(MAX_NAMED))
    return named + (f" and {len(counts) - MAX_NAMED} more" if len(counts) > MAX_NAMED else "")
