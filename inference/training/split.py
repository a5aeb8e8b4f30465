"""What is learnt from and what is held out to judge by: the last of each unit, or of each label."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from inference.training.data import TrainingData
    from inference.training.snapshot import Examples, Likes

HELD_OUT = 0.2
MIN_LIKES = 5  # a fifth of them is one like
MIN_HELD_OUT = 20  # examples; fewer cannot tell a model from chance


@dataclass(frozen=True, slots=True)
class UnitLikes:
    """One unit's likes in order of time, as arrays of one length.

    Attributes:
        unit_id: who.
        items: indices.
        at: seconds.
        live: recorded here, not loaded.
        chance: of having been examined.
        weight: what it counts by its event; of one that was repeated soon, the heaviest's.
        first_weight: what it counted when it was liked.
        raised_at: since when it counts `weight`, in seconds.
        words: of each feature in its context, (n, features).
        disliked: indices of items that the unit refused.
        disliked_at: when, in seconds.
    """

    unit_id: str
    items: NDArray[np.int64]
    at: NDArray[np.float64]
    live: NDArray[np.bool_]
    chance: NDArray[np.float64]
    weight: NDArray[np.float64]
    first_weight: NDArray[np.float64]
    raised_at: NDArray[np.float64]
    words: NDArray[np.str_]
    disliked: NDArray[np.int64]
    disliked_at: NDArray[np.float64]

    def part(self, chosen: NDArray[np.bool_]) -> UnitLikes:
        """Return some of the likes."""
        return replace(
            self,
            items=self.items[chosen],
            at=self.at[chosen],
            live=self.live[chosen],
            chance=self.chance[chosen],
            weight=self.weight[chosen],
            first_weight=self.first_weight[chosen],
            raised_at=self.raised_at[chosen],
            words=self.words[chosen],
        )

    def before(self, time: float) -> UnitLikes:
        """Return the same likes with what was known of them before a time, and its dislikes."""
        known = self.disliked_at < time
        return replace(
            self,
            weight=np.where(self.raised_at < time, self.weight, self.first_weight),
            disliked=self.disliked[known],
            disliked_at=self.disliked_at[known],
        )


@dataclass(frozen=True, slots=True)
class SplitData:
    """One unit after another, split by time.

    Attributes:
        item_ids: the catalogue.
        whole: per unit, all of its likes.
        past: per unit, what is learnt from.
        later: per unit, indices held out; empty for a unit with too few.
        gap_seconds: what lies within it before a unit's first held-out like is left out of `past`.
        is_weighted: whether events have weights.
        features: of the context of likes, in the order of their words.
        published_at: from when on each item can be shown, in seconds, (n,); None: all, always.
        expires_at: until when, likewise.
    """

    item_ids: Sequence[str]
    whole: list[UnitLikes]
    past: list[UnitLikes]
    later: list[NDArray[np.int64]]
    gap_seconds: float = 0.0
    is_weighted: bool = False
    features: Sequence[str] = ()
    published_at: NDArray[np.float64] | None = None
    expires_at: NDArray[np.float64] | None = None

    def hidden_from(self, unit: int) -> NDArray[np.bool_] | None:
        """Return whether items could not be shown while a judged unit liked what is held out, (n,).

        Those that had expired before, or were published after it; none of what it liked then. None
        where all could be. One unit at a time: most of a large catalogue may have expired.
        """
        likes = self.whole[unit]
        times = (self.published_at, self.expires_at)
        return hidden_while(times, likes.items, likes.at, self.later[unit])

    def excluded_of(self, unit: int) -> NDArray[np.int64]:
        """Return indices that a judged unit is not shown again, as in traffic: liked or refused."""
        past = self.past[unit]
        return np.concatenate([past.items, past.disliked])

    def context_of(self, unit: int) -> dict[str, str]:
        """Return the words of the context in which a judged unit liked the first held-out item."""
        likes = self.whole[unit]
        first = np.flatnonzero(np.isin(likes.items, self.later[unit]))[:1]
        return {
            name: str(word)
            for row in first
            for name, word in zip(self.features, likes.words[row], strict=True)
            if word
        }

    @property
    def earlier(self) -> list[NDArray[np.int64]]:
        """Per unit, indices to learn from."""
        return [unit.items for unit in self.past]

    def weights_of(self, unit: int, items: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what some of a unit's likes count, (m,): of one that is there twice, the heaviest."""
        likes = self.whole[unit]
        return np.array([likes.weight[likes.items == item].max() for item in items])

    @property
    def judged(self) -> list[int]:
        """Units that have something to be judged by and something to be known by."""
        return [i for i, later in enumerate(self.later) if len(later) and len(self.past[i].items)]


def hidden_while(
    times: tuple[NDArray[np.float64] | None, NDArray[np.float64] | None],
    items: NDArray[np.int64],
    at: NDArray[np.float64],
    later: NDArray[np.int64],
) -> NDArray[np.bool_] | None:
    """Return whether items could not be shown while a unit liked what is held out, (n,).

    Args:
        times: from when on each item can be shown, and until when, (n,) each; None: all, always.
        items: that the unit liked.
        at: when, of the same length.
        later: what is held out of them.
    """
    since, until = times
    if since is None or until is None:
        return None
    then = at[np.isin(items, later)]
    hidden: NDArray[np.bool_] = (until <= then.min()) | (since > then.max())
    hidden[later] = False
    return hidden


@dataclass(slots=True)
class _Like:
    """One like of a unit, as it is grouped; see `UnitLikes`."""

    item: int
    at: float
    live: bool
    chance: float
    weight: float
    first_weight: float
    raised_at: float
    words: tuple[str, ...]


def by_unit(likes: Likes, item_ids: Sequence[str]) -> list[UnitLikes]:
    """Group likes by unit; likes of items outside the catalogue are left out."""
    index = {item_id: i for i, item_id in enumerate(item_ids)}
    rows: dict[str, list[_Like]] = {}
    n = len(likes.unit_ids)
    words_of = list(zip(*(likes.contexts[name] for name in sorted(likes.contexts)), strict=True))
    for unit, item, at, lives, seen, weight, words in zip(
        likes.unit_ids,
        likes.item_ids,
        likes.liked_at,
        likes.live or [False] * n,
        likes.chance or [1.0] * n,
        likes.weights or [1.0] * n,
        words_of or [()] * n,
        strict=True,
    ):
        if item not in index:
            continue
        mine = rows.setdefault(unit, [])
        # A like that was repeated soon says nothing new, unless it counts more; 50 likes later it does.
        same = next((like for like in mine[-50:] if like.item == index[item]), None)
        if same is None:
            mine.append(_Like(index[item], at, lives, seen, weight, weight, at, words))
        elif weight > same.weight:
            same.weight, same.raised_at = weight, at
    refused = _dislikes_by_unit(likes, index)
    return [_unit_likes(unit, mine, refused.get(unit, [])) for unit, mine in rows.items()]


def _dislikes_by_unit(likes: Likes, index: Mapping[str, int]) -> dict[str, list[tuple[int, float]]]:
    refused: dict[str, list[tuple[int, float]]] = {}
    rows = likes.dislikes
    for unit, item, at in zip(rows.unit_ids, rows.item_ids, rows.disliked_at, strict=True):
        if item in index:
            refused.setdefault(unit, []).append((index[item], at))
    return refused


def _unit_likes(unit: str, mine: list[_Like], refused: list[tuple[int, float]]) -> UnitLikes:
    return UnitLikes(
        unit,
        items=np.array([like.item for like in mine], np.int64),
        at=np.array([like.at for like in mine], np.float64),
        live=np.array([like.live for like in mine], np.bool_),
        chance=np.array([like.chance for like in mine], np.float64),
        weight=np.array([like.weight for like in mine], np.float64),
        first_weight=np.array([like.first_weight for like in mine], np.float64),
        raised_at=np.array([like.raised_at for like in mine], np.float64),
        words=np.array([like.words for like in mine], np.str_).reshape(len(mine), -1),
        disliked=np.array([item for item, _ in refused], np.int64),
        disliked_at=np.array([at for _, at in refused], np.float64),
    )


def split_by_time(
    likes: Likes,
    item_ids: Sequence[str],
    *,
    held_out: float = HELD_OUT,
    min_likes: int = MIN_LIKES,
    gap_seconds: float = 0.0,
) -> SplitData:
    """Hold out each unit's last likes.

    Args:
        likes: ordered by unit and time.
        item_ids: the catalogue; likes of other items are left out.
        held_out: share of a unit's likes that is held out.
        min_likes: units with fewer likes are only learnt from.
        gap_seconds: live likes this close before the first held-out one are not learnt from: they may
            come from the same slate.
    """
    whole = by_unit(likes, item_ids)
    past, later = [], []
    for unit in whole:
        n = len(unit.items)
        cut = n - max(1, int(n * held_out)) if n >= min_likes else n
        first = np.arange(n) < cut
        if cut < n and gap_seconds:
            first &= ~(unit.live & (unit.at > unit.at[cut] - gap_seconds))
        # What is known of a unit that is judged ends with its first held-out like.
        past.append(unit.part(first).before(unit.at[cut]) if cut < n else unit)
        # An item liked before is no discovery, and serving would not show it again.
        later.append(np.setdiff1d(unit.items[cut:], unit.items[:cut]))
    return _split_data(likes, item_ids, whole, past, later, gap_seconds)


def hold_out_last(
    data: TrainingData, *, held_out: float = HELD_OUT, min_likes: int = MIN_LIKES
) -> tuple[TrainingData, list[int], list[NDArray[np.int64]]]:
    """Hold out a validation part of what is learnt from: each unit's last likes.

    Returns:
        The data without it; the units that have something in it and something to be known by; and of
        each of these, indices of what it liked then.
    """
    cuts = []
    for liked in data.liked:
        n = len(liked)
        cuts.append(n - max(1, int(n * held_out)) if n >= min_likes else n)
    later = [
        np.setdiff1d(liked[cut:], liked[:cut]) for liked, cut in zip(data.liked, cuts, strict=True)
    ]
    judged = [unit for unit, items in enumerate(later) if len(items)]
    return data.first(cuts), judged, [later[unit] for unit in judged]


def hidden_of(
    data: TrainingData, judged: Sequence[int], wanted: Sequence[NDArray[np.int64]], row: int
) -> NDArray[np.bool_] | None:
    """Return whether items could not be shown while a unit liked its validation part, (n,).

    Args:
        data: of which that was held out.
        judged: units that have such a part.
        wanted: of each, what it liked then.
        row: of the unit among them.
    """
    times, unit = (data.published_at, data.expires_at), judged[row]
    if data.liked_at is None:
        return None
    return hidden_while(times, data.liked[unit], data.liked_at[unit], wanted[row])


def split_at_date(likes: Likes, item_ids: Sequence[str], *, held_out: float = HELD_OUT) -> SplitData:
    """Hold out everything after one date: the cold view, which is shown and not gated."""
    whole = by_unit(likes, item_ids)
    every = np.concatenate([unit.at for unit in whole]) if whole else np.zeros(1)
    date = np.quantile(every, 1 - held_out)
    past = [unit.part(unit.at <= date).before(np.nextafter(date, np.inf)) for unit in whole]
    later = [
        np.setdiff1d(unit.items[unit.at > date], before.items)
        for unit, before in zip(whole, past, strict=True)
    ]
    return _split_data(likes, item_ids, whole, past, later, 0.0)


def _split_data(
    likes: Likes,
    item_ids: Sequence[str],
    whole: list[UnitLikes],
    past: list[UnitLikes],
    later: list[NDArray[np.int64]],
    gap_seconds: float,
) -> SplitData:
    features = sorted(likes.contexts)
    return SplitData(item_ids, whole, past, later, gap_seconds, bool(likes.weights), features)


def split_examples(
    examples: Examples, *, held_out: float = HELD_OUT
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out each label's last examples; return the rows to learn from and the rows held out.

    A text that is learnt from is not judged by: people ask the same twice.

    Args:
        examples: ordered by time.
        held_out: share of a label's examples that is held out; a label with one example is learnt.
    """
    rows: dict[str, list[int]] = {}
    for row, label in enumerate(examples.labels):
        rows.setdefault(label, []).append(row)
    earlier: list[int] = []
    later: list[int] = []
    for mine in rows.values():
        cut = len(mine) - _held_out_of(len(mine), held_out)
        earlier += mine[:cut]
        later += mine[cut:]
    known = {question_key(examples.texts[row], examples.features[row]) for row in earlier}
    later = [
        row for row in later if question_key(examples.texts[row], examples.features[row]) not in known
    ]
    return np.array(sorted(earlier), np.int64), np.array(sorted(later), np.int64)


def why_too_few(examples: Examples) -> str:
    """Return why no model can be judged by the examples, and how many more it takes; else nothing."""
    count = len(split_examples(examples)[1])
    if count >= MIN_HELD_OUT:
        return ""
    more = _missing_rows(Counter(examples.labels), MIN_HELD_OUT - count)
    return (
        f"held-out examples == {count}, must be at least {MIN_HELD_OUT}. Of {len(examples.labels)} "
        f"examples with {len(set(examples.labels))} labels, the last fifth of each label is held out: "
        f"load about {more} more, spread over the labels as these are."
    )


def _missing_rows(counts: Mapping[str, int], missing: int) -> int:
    """Return how many more examples of the same shares hold out so many more."""
    total = sum(counts.values())
    if not total:
        return round(missing / HELD_OUT)
    wanted = missing + sum(map(_held_out_of, counts.values()))
    more = missing  # each adds one at the most
    while sum(_held_out_of(count + count * more // total) for count in counts.values()) < wanted:
        more += 1
    return more


def _held_out_of(count: int, share: float = HELD_OUT) -> int:
    """Return how many of a label's examples are held out; none of a single one."""
    return max(1, int(count * share)) if count > 1 else 0


def question_key(text: str, features: Mapping[str, Any]) -> tuple[str, str]:
    """Return what makes two examples the same question: case and blanks do not."""
    return " ".join(text.lower().split()), str(sorted(features.items()))
