"""A catalogue and its interactions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bakeoff.data_files.rows import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class CatalogueItem:
    """One item: a title, and what else is known of it as text."""

    item_id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Interaction:
    """One unit interacted with one item; without a rating it counts as liked."""

    unit_id: str
    item_id: str
    rating: float | None
    at: float


@dataclass(frozen=True, slots=True)
class Dataset:
    """What is replayed.

    Attributes:
        name: for people.
        items: the catalogue.
        interactions: in order of time.
        positive: rating from which an interaction counts as liked.
        users: what is known of units besides, by unit.
        notes: what was left out of the files, as sentences.
    """

    name: str
    items: Sequence[CatalogueItem]
    interactions: Sequence[Interaction]
    positive: float
    users: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def likes(self, interaction: Interaction) -> bool:
        """Whether the unit liked the item."""
        return interaction.rating is None or interaction.rating >= self.positive

    @property
    def has_ratings(self) -> bool:
        """Whether interactions carry ratings."""
        return any(interaction.rating is not None for interaction in self.interactions)


def read_movielens(folder: Path) -> Dataset:
    """Read MovieLens-100k as the `recbole` wheel holds it."""
    items = [
        CatalogueItem(
            item_id=row["item_id"],
            title=f"{row['movie_title']} ({row['release_year']})",
            text=row["class"],
        )
        for row in read_rows(folder / "ml-100k.item")
    ]
    interactions = [
        Interaction(row["user_id"], row["item_id"], float(row["rating"]), float(row["timestamp"]))
        for row in read_rows(folder / "ml-100k.inter")
    ]
    interactions.sort(key=lambda interaction: (interaction.at, interaction.unit_id))
    known = ("age", "gender", "occupation")
    users = {
        row["user_id"]: {name: row[name] for name in known}
        for row in read_rows(folder / "ml-100k.user")
    }
    return Dataset("MovieLens-100k", items, interactions, positive=4.0, users=users)


def by_unit(interactions: Iterable[Interaction]) -> dict[str, list[Interaction]]:
    """Group interactions by unit, each in order of time and each item once."""
    grouped: dict[str, dict[str, Interaction]] = {}
    for interaction in interactions:
        grouped.setdefault(interaction.unit_id, {}).setdefault(interaction.item_id, interaction)
    return {unit: list(items.values()) for unit, items in grouped.items()}
